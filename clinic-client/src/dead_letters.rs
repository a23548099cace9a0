use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use clinic_core::{
    api::{DeadLetterPage, DeadLetterView, PoisonView, ReplayView},
    dead_letter::DeadLetterKind,
};
use reqwest::Method;

use crate::{
    call::{Call, rfc3339},
    client::Client,
    error::Error,
};

/// The dead-letter desk: letters listed, read, replayed.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetters<'a> {
    client: &'a Client,
}

impl<'a> DeadLetters<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists letters, page by page.
    pub const fn list(&self) -> ListDeadLetters<'a> {
        ListDeadLetters {
            client: self.client,
            code: None,
            kind: None,
            older_than: None,
            newer_than: None,
            replayed: None,
            limit: None,
            cursor: None,
        }
    }

    /// A letter.
    ///
    /// # Errors
    /// [`Error`]; `not_found` when there is none of that id.
    pub async fn get(&self, id: i64) -> Result<DeadLetterView, Error> {
        Call::new(self.client, Method::GET, &["dead-letters", &id.to_string()]).send().await
    }

    /// Replays a letter, once: a repeat is refused with `already_replayed`, and so is a try that follows one whose answer was lost.
    pub const fn replay(&self, id: i64) -> ReplayDeadLetter<'a> {
        ReplayDeadLetter { client: self.client, id, dry_run: false }
    }
}

/// A replay, about to be asked for.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is replayed before send()"]
pub struct ReplayDeadLetter<'a> {
    client: &'a Client,
    id: i64,
    dry_run: bool,
}

impl ReplayDeadLetter<'_> {
    /// Only says what would come of it.
    pub const fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Asks for it.
    ///
    /// # Errors
    /// [`Error`]; `slot_taken`, `already_started`, `already_replayed`, `superseded` and the like when it cannot be.
    pub async fn send(self) -> Result<ReplayView, Error> {
        let call = Call::new(self.client, Method::POST, &["dead-letters", &self.id.to_string(), "replay"]);
        if self.dry_run { call.query("dry_run", "true") } else { call }.send().await
    }
}

/// A list of dead letters, about to be asked for. Filters add up; the oldest comes first.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before send()"]
pub struct ListDeadLetters<'a> {
    client: &'a Client,
    code: Option<String>,
    kind: Option<DeadLetterKind>,
    older_than: Option<DateTime<Utc>>,
    newer_than: Option<DateTime<Utc>>,
    replayed: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl<'a> ListDeadLetters<'a> {
    /// With this code.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Of this kind.
    pub const fn kind(mut self, kind: DeadLetterKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Failed before then.
    pub const fn older_than(mut self, time: DateTime<Utc>) -> Self {
        self.older_than = Some(time);
        self
    }

    /// Failed then or later.
    pub const fn newer_than(mut self, time: DateTime<Utc>) -> Self {
        self.newer_than = Some(time);
        self
    }

    /// Replayed, or not.
    pub const fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = Some(replayed);
        self
    }

    /// At most so many a page, 1-200; 50 unless set.
    pub const fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes on behind a page: its `next_cursor`.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Asks for one page.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send(self) -> Result<DeadLetterPage, Error> {
        let parameters = [
            ("code", self.code),
            ("kind", self.kind.map(|kind| kind.to_string())),
            ("older_than", self.older_than.map(rfc3339)),
            ("newer_than", self.newer_than.map(rfc3339)),
            ("replayed", self.replayed.map(|replayed| replayed.to_string())),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("cursor", self.cursor),
        ];
        Call::new(self.client, Method::GET, &["dead-letters"]).query_given(parameters).send().await
    }

    /// All letters, one by one, a page asked for whenever the last one is used up.
    pub const fn stream(self) -> DeadLetterStream<'a> {
        DeadLetterStream { next: Some(self), items: VecDeque::new(), poison: None }
    }
}

/// The letters of a list, over all its pages.
#[derive(Debug)]
pub struct DeadLetterStream<'a> {
    next: Option<ListDeadLetters<'a>>,
    items: VecDeque<DeadLetterView>,
    poison: Option<Vec<PoisonView>>,
}

impl DeadLetterStream<'_> {
    /// The next letter; `None` at the end.
    ///
    /// # Errors
    /// [`Error`]; asking again goes on where it failed.
    pub async fn next(&mut self) -> Result<Option<DeadLetterView>, Error> {
        while self.items.is_empty() {
            let Some(list) = &self.next else { return Ok(None) };
            let page = list.clone().send().await?;
            self.next = page.next_cursor.and_then(|cursor| self.next.take().map(|list| list.cursor(cursor)));
            self.items.extend(page.items);
            self.poison = self.poison.take().or(page.poison);
        }
        Ok(self.items.pop_front())
    }

    /// The messages that nobody could understand, once the first letter was asked for; `None` where the broker could not be asked.
    #[must_use]
    pub fn poison(&self) -> Option<&[PoisonView]> {
        self.poison.as_deref()
    }
}
