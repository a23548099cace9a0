//! The limits that the clinic is measured against, and how: see the `limits` command.

pub mod command;
pub mod disk;
pub mod echo;
pub mod figure;
pub mod generator;
pub mod lab;
pub mod process;
pub mod template;
