//! The limits that the clinic is measured against, and how. In reading order: [`disk`], [`template`] (who asks for what),
//! [`generator`], [`echo`] and [`raw`] (the limits), [`ward`] (existing bookings), [`serve`] and [`process`] (the servers' two sides),
//! [`lab`], [`measure`], [`calls`] (the client's), [`ceiling`] (the load tool's), [`figure`], [`report`], [`command`].

pub mod calls;
pub mod ceiling;
pub mod command;
pub mod disk;
pub mod echo;
pub mod figure;
pub mod generator;
pub mod lab;
pub mod measure;
pub mod process;
pub mod raw;
pub mod report;
pub mod serve;
pub mod template;
pub mod ward;
