//! How a receiver treats what comes.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// How a receiver treats what comes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manner {
    /// It takes everything at once.
    Healthy,
    /// It fails each message up to five times, by a pattern of this seed and its id; some it takes and does not say so.
    Refusing(u64),
    /// It answers everything with this status.
    Answering(u16),
    /// It sends everything on to another address.
    Redirecting(String),
    /// It reads requests and never answers.
    Hanging,
    /// It sends the head of its answer a byte a second.
    DrippingHead,
    /// It sends the body of its answer a byte a second.
    DrippingBody,
    /// It answers with 10 GB.
    Flooding,
}

/// What is done about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Whether its effect stands.
    pub(super) takes: bool,
    pub(super) after: Duration,
    pub(super) does: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// A whole answer: its status and a header line of its own.
    Answer(u16, String),
    /// The connection is cut without an answer.
    Cut,
    Hang,
    DripHead,
    DripBody,
    Flood,
}

impl Manner {
    /// What is done about the message of this id, which came `turn` times before.
    pub(super) fn answer(&self, id: &str, turn: usize) -> Reply {
        let act = |does| Reply { takes: false, after: Duration::ZERO, does };
        let status = |status| act(Act::Answer(status, String::new()));
        match self {
            Self::Healthy => Reply { takes: true, ..status(204) },
            Self::Refusing(seed) => refuse(*seed, id, turn),
            Self::Answering(code) => status(*code),
            Self::Redirecting(to) => act(Act::Answer(302, format!("location: {to}\r\n"))),
            Self::Hanging => act(Act::Hang),
            Self::DrippingHead => act(Act::DripHead),
            Self::DrippingBody => act(Act::DripBody),
            Self::Flooding => act(Act::Flood),
        }
    }
}

fn refuse(seed: u64, id: &str, turn: usize) -> Reply {
    let dice = |throw: usize| {
        let mut hasher = DefaultHasher::new();
        (seed, id, throw).hash(&mut hasher);
        hasher.finish()
    };
    let after = Duration::from_millis(dice(0) % 4 * 30);
    if turn as u64 >= dice(1) % 6 {
        return Reply { takes: true, after, does: Act::Answer(200, String::new()) };
    }
    let does = match dice(2 + turn) % 5 {
        0 => Act::Answer(500, String::new()),
        1 => Act::Answer(503, "retry-after: 1\r\n".into()),
        2 => Act::Answer(429, String::new()),
        _ => Act::Cut,
    };
    // One in five is taken, though the sender hears nothing of it.
    Reply { takes: dice(2 + turn) % 5 == 4, after, does }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_fails_more_than_five_times_and_most_fail() {
        let mut failures = [0; 6];
        for number in 0..1_000 {
            let id = format!("message {number}");
            let fails = (0..20).take_while(|turn| !matches!(Manner::Refusing(7).answer(&id, *turn).does, Act::Answer(200, _))).count();
            failures[fails] += 1;
        }
        assert!(failures.iter().all(|count| *count > 100), "{failures:?}");
    }
}
