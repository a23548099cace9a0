//! Webhooks over HTTP: which targets may be posted to, and the posting.

mod guard;
mod sender;

pub use guard::{Guard, GuardError, Lookup};
pub use sender::{Answer, PostError, Sender};
