//! Breaking a clinic on purpose while it is under load, and making it whole again.
//!
//! In reading order: [`fault`] (what may be done, how often), [`schedule`] (when, drawn from a seed), [`target`] (what it is done to),
//! [`process`] and [`compose`] (the two kinds of target), [`conductor`] (doing it by the schedule).

mod command_line;
pub mod compose;
pub mod conductor;
pub mod fault;
pub mod process;
pub mod schedule;
mod signal;
pub mod target;

pub use self::{
    conductor::{Mark, Outcome, conduct},
    fault::{Fault, Kind},
    schedule::{Planned, Schedule},
    target::{Target, TargetError, Targets},
};
