use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use clinic_core::{api::TimelineEvent, timeline::EntryKind};
use futures_core::Stream;
use futures_util::{StreamExt, stream::unfold};
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, HeaderName, HeaderValue},
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    call::Call,
    client::Client,
    error::{Error, ErrorKind, Unreadable},
    sse::Parser,
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a stream may be silent before its connection is given up: a clinic sends a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// How long to wait before coming again to a server that says nothing of it.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// How long the clinic may be away at a stretch.
const MAX_OUTAGE: Duration = Duration::from_secs(60);

/// Follows a booking: a [`Stream`] of its timeline's entries, each once and in order, over as many connections as it takes.
///
/// It ends once the booking is decided and each of its notices was tried. An error ends it as well: one that no repetition mends, or
/// whichever is the last when the clinic was away for too long.
pub struct Events {
    follow: Option<Follow>,
    entries: Option<Entries>,
}

type Entries = Pin<Box<dyn Stream<Item = Result<TimelineEvent, Error>> + Send>>;

impl Events {
    pub(crate) fn new(client: Client, id: Uuid) -> Self {
        Self { follow: Some(Follow::new(client, id)), entries: None }
    }

    /// Only what is later than the entry of this `seq`. To be said before the first entry is asked for.
    #[must_use]
    pub fn after(mut self, seq: u32) -> Self {
        if let Some(follow) = &mut self.follow {
            (follow.seen, follow.go_on_from) = (Some(seq), Some(seq.to_string()));
        }
        self
    }

    /// How long the clinic may be away at a stretch, 60 s unless set. To be said before the first entry is asked for.
    #[must_use]
    pub fn max_outage(mut self, outage: Duration) -> Self {
        if let Some(follow) = &mut self.follow {
            follow.max_outage = outage;
        }
        self
    }

    /// The next entry; `None` at the end. The same as of a [`Stream`], without a crate that has it.
    ///
    /// # Errors
    /// [`Error`]; it is the end, too.
    pub async fn try_next(&mut self) -> Result<Option<TimelineEvent>, Error> {
        poll_fn(|context| self.poll_next_unpin(context)).await.transpose()
    }
}

impl Stream for Events {
    type Item = Result<TimelineEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(follow) = self.follow.take() {
            self.entries = Some(Box::pin(unfold(Some(follow), Follow::step).fuse()));
        }
        self.entries.as_mut().map_or(Poll::Ready(None), |entries| entries.poll_next_unpin(context))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

struct Follow {
    client: Client,
    id: Uuid,
    max_outage: Duration,
    /// The last entry that was given.
    seen: Option<u32>,
    /// What the server called the last event.
    go_on_from: Option<String>,
    is_decided: bool,
    came: VecDeque<TimelineEvent>,
    open: Option<(Response, Parser)>,
    come_again: Duration,
    failed: u32,
    away_since: Option<Instant>,
}

/// How a connection went on.
enum Read {
    More,
    Ended,
    /// Nothing more is to come.
    Over,
}

impl Follow {
    const fn new(client: Client, id: Uuid) -> Self {
        Self {
            client,
            id,
            max_outage: MAX_OUTAGE,
            seen: None,
            go_on_from: None,
            is_decided: false,
            came: VecDeque::new(),
            open: None,
            come_again: COME_AGAIN,
            failed: 0,
            away_since: None,
        }
    }

    async fn step(follow: Option<Self>) -> Option<(Result<TimelineEvent, Error>, Option<Self>)> {
        let mut follow = follow?;
        loop {
            if let Some(entry) = follow.came.pop_front() {
                return Some((Ok(entry), Some(follow)));
            }
            match follow.read().await {
                Ok(Read::More) => {
                    follow.away_since = None;
                    if !follow.came.is_empty() {
                        follow.failed = 0;
                    }
                }
                Ok(Read::Ended) => {
                    follow.open = None;
                    // Decided, so that this was the end, most likely: the next answer says so at once.
                    if !follow.is_decided || follow.failed > 0 {
                        sleep(follow.come_again).await;
                    }
                    follow.failed += 1;
                }
                Ok(Read::Over) => return None,
                Err(error) => {
                    follow.open = None;
                    let away_since = *follow.away_since.get_or_insert_with(Instant::now);
                    let pause = follow.client.inner.retry.pause(follow.failed + 1, None, rand::random());
                    if !error.is_retryable() || away_since.elapsed() + pause > follow.max_outage {
                        return Some((Err(error), None));
                    }
                    follow.failed += 1;
                    sleep(pause).await;
                }
            }
        }
    }

    async fn read(&mut self) -> Result<Read, Error> {
        let Some((response, parser)) = &mut self.open else {
            let response = self.connect().await?;
            if response.status() == StatusCode::NO_CONTENT {
                return Ok(Read::Over);
            }
            self.open = Some((response, Parser::default()));
            return Ok(Read::More);
        };
        let piece = timeout(SILENCE, response.chunk()).await.map_err(|_| Error::new(ErrorKind::Timeout))?;
        let Some(piece) = piece.map_err(|error| Error::new(ErrorKind::connection(error)))? else { return Ok(Read::Ended) };
        let events = parser.push(&piece).map_err(|unreadable| Error::new(unreadable.into()))?;
        self.come_again = parser.retry().unwrap_or(self.come_again);
        if let Some(id) = parser.last_event_id() {
            self.go_on_from = Some(id.to_owned());
        }
        for event in events {
            let entry: TimelineEvent = serde_json::from_str(&event.data).map_err(|error| Error::new(Unreadable::from(error).into()))?;
            if self.seen.is_none_or(|seen| entry.seq > seen) {
                self.seen = Some(entry.seq);
                self.is_decided |= matches!(entry.kind, EntryKind::Confirmed | EntryKind::Rejected | EntryKind::Cancelled);
                self.came.push_back(entry);
            }
        }
        Ok(Read::More)
    }

    async fn connect(&self) -> Result<Response, Error> {
        let mut call = Call::new(&self.client, "events", Method::GET, &["booking", &self.id.to_string(), "events"])
            .header(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(id) = self.go_on_from.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            call = call.header(LAST_EVENT_ID, id);
        }
        call.open().await
    }
}
