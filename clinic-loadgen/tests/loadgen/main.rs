//! The load tool against a scripted clinic.
#![allow(clippy::unwrap_used, reason = "tests")]

mod run;
mod scripted;
mod stalling;
mod terminal;
mod verify;
mod view;
