//! Drives a running clinic over its REST API and says how it did.
//!
//! In reading order: [`load`] (how much, how fast), [`draw`] (who asks for what), [`tally`] (what came of it), [`drive`]
//! (sending), [`settle`] (waiting until all is decided and told), [`report`], [`command`].

pub mod command;
pub mod draw;
pub mod drive;
pub mod load;
pub mod report;
pub mod settle;
pub mod tally;
