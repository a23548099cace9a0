//! clinic-services
