use std::time::Duration;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: the request is answered as it should be.
    None,
    /// The connection ends before anything is done.
    DropBefore,
    /// What is asked is done, and the connection ends before the answer.
    DropAfter,
    /// What is asked is done, and the connection ends in the middle of the answer.
    CutAnswer,
    /// What is asked is done, and the answer's body comes as no JSON.
    Garbled,
    /// What is asked is done, and the answer comes so much later.
    Slow(Duration),
    /// What is asked is done so much later, whether or not its caller is still there, and then answered.
    Late(Duration),
    /// Nothing is done: 503 `unavailable`, with `Retry-After` in whole seconds if it is given.
    Unavailable(Option<Duration>),
    /// Nothing is done: 429 of a proxy, with `Retry-After` in whole seconds if it is given.
    TooManyRequests(Option<Duration>),
    /// 504 `outcome_unknown`, with or without what is asked having been done.
    OutcomeUnknown {
        /// Whether it was done.
        done: bool,
    },
}

impl Fault {
    /// Whether what is asked is done all the same.
    pub(super) const fn is_done(self) -> bool {
        !matches!(self, Self::DropBefore | Self::Unavailable(_) | Self::TooManyRequests(_) | Self::OutcomeUnknown { done: false })
    }
}
