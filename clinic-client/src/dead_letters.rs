use chrono::{DateTime, Utc};
use clinic_core::{
    api::{DeadLetterPage, DeadLetterView, ProblemCode, ReplayView},
    dead_letter::DeadLetterKind,
};
use reqwest::Method;

use crate::{
    call::{Call, rfc3339},
    client::Client,
    error::Error,
    key::Key,
    pages::Items,
};

/// The dead-letter desk: letters listed, read, replayed.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
}

impl DeadLetters {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lists letters: one page, or all of them as a stream.
    pub fn list(&self) -> ListDeadLetters {
        ListDeadLetters {
            client: self.client.clone(),
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
        Call::new(&self.client, "deadLetter", Method::GET, &["dead-letters", &id.to_string()]).send().await
    }

    /// Replays a letter, once: asking again is refused with `already_replayed`.
    pub fn replay(&self, id: i64) -> ReplayDeadLetter {
        ReplayDeadLetter { client: self.client.clone(), id, dry_run: false, key: Key::generate() }
    }
}

/// A replay, about to be asked for. A clone is the same request, with the same key.
#[derive(Clone, Debug)]
#[must_use = "nothing is replayed before send()"]
pub struct ReplayDeadLetter {
    client: Client,
    id: i64,
    dry_run: bool,
    key: Key,
}

impl ReplayDeadLetter {
    /// Only says what would come of it.
    pub const fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Asks for it. Where a try follows one of this call whose answer was lost and finds the letter replayed, that is success.
    ///
    /// # Errors
    /// [`Error`]; `slot_taken`, `already_started`, `already_replayed`, `superseded` and the like when it cannot be.
    pub async fn send(self) -> Result<ReplayView, Error> {
        let route = ["dead-letters", &self.id.to_string(), "replay"];
        let call = Call::new(&self.client, "replay", Method::POST, &route).key(&self.key);
        match if self.dry_run { call.query("dry_run", "true") } else { call }.send().await {
            Err(error) if !self.dry_run && error.attempts > 1 && error.code() == Some(ProblemCode::AlreadyReplayed) => {
                Ok(ReplayView::new(false, DeadLetters::new(self.client).get(self.id).await?))
            }
            answer => answer,
        }
    }
}

/// A list of dead letters, about to be asked for. Filters add up; the oldest comes first.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before send()"]
pub struct ListDeadLetters {
    client: Client,
    code: Option<String>,
    kind: Option<DeadLetterKind>,
    older_than: Option<DateTime<Utc>>,
    newer_than: Option<DateTime<Utc>>,
    replayed: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl ListDeadLetters {
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
        Call::new(&self.client, "deadLetters", Method::GET, &["dead-letters"]).query_given(parameters).send().await
    }

    /// All letters of the list, a page asked for whenever the last one is used up.
    #[must_use]
    pub fn stream(self) -> Items<DeadLetterView> {
        let cursor = self.cursor.clone();
        Items::new(cursor, move |cursor| {
            let list = Self { cursor, ..self.clone() };
            async move { list.send().await.map(|page| (page.items, page.next_cursor)) }
        })
    }
}
