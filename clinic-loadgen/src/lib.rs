//! Drives a running clinic over its REST API, says how it did, and checks afterwards that it kept its promises.
//!
//! In reading order: [`scenario`] (what a run is to do), [`load`] (how much, how fast), [`draw`] (who asks for what), [`tally`] (what
//! came of it), [`series`] (the same, second by second), [`log`] (the same, request by request), [`drive`] (sending), [`settle`]
//! (following all until it is decided and told), [`report`], [`threshold`] (what is demanded of it), [`run`] (all of that in one),
//! [`verdict`] (which promises were broken), [`verify`] (reading what it judges), [`chaos`] (breaking it meanwhile), `view` (how it stands), [`command`].

mod chance;
pub mod chaos;
pub mod command;
pub mod draw;
pub mod drive;
mod latency;
pub mod load;
pub mod log;
mod read;
pub mod report;
pub mod run;
pub mod scenario;
pub mod series;
pub mod settle;
pub mod tally;
pub mod threshold;
pub mod verdict;
pub mod verify;
mod view;
