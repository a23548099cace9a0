//! Test harness, checker of the promises, and the suites.

pub mod checker;
