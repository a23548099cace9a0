//! Test harness, checker of the promises, and the suites.
//!
//! The harness starts a clinic on a port and a store of its own, as a child process that can be killed at any instant
//! ([`process`]), or inside the test's process with ports of the test's own ([`in_process`]); or a
//! clinic of several processes ([`cluster`]) over a RabbitMQ in a container ([`rabbit`]), behind a network that can fail
//! ([`relay`]) or be cut off at any byte ([`cutter`]); patients and systems to be told, who refuse as they are told ([`mailbox`],
//! [`receiver`]), with certificates of an authority of the test's own ([`authority`]); it speaks to it with
//! one method per endpoint ([`http`]), with the load tool's many callers ([`load`], [`answers`]), or following bookings live ([`stream`]); waits
//! for conditions instead of sleeping ([`eventually`]); and holds what came of it against what was promised
//! ([`checker`]). Another project can use it to test its own deployment: the checker needs a store's file and a log.

pub mod answers;
pub mod authority;
pub mod checker;
pub mod cluster;
pub mod cutter;
pub mod disk;
#[cfg(test)]
mod echo;
pub mod eventually;
pub mod http;
pub mod in_process;
pub mod load;
pub mod mailbox;
pub mod process;
pub mod rabbit;
pub mod receiver;
pub mod relay;
pub mod size;
pub mod stream;
pub mod syncs;
