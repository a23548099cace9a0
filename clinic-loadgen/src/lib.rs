//! Drives a running clinic over its REST API, says how it did, and checks afterwards that it kept its promises.
//!
//! In reading order: [`load`] (how much, how fast), [`draw`] (who asks for what), [`tally`] (what came of it), [`log`] (the same,
//! request by request), [`drive`] (sending), [`settle`] (waiting until all is decided and told), [`report`], [`verdict`] (which
//! promises were broken), [`verify`] (reading what it judges), [`chaos`] (breaking it meanwhile), [`command`].

pub mod chaos;
pub mod command;
pub mod draw;
pub mod drive;
pub mod load;
pub mod log;
mod read;
pub mod report;
pub mod settle;
pub mod tally;
pub mod verdict;
pub mod verify;
