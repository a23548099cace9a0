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
    Method, StatusCode,
    header::{ACCEPT, HeaderName, HeaderValue},
};
use thiserror::Error as ThisError;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    call::{Call, Failure, Opened, is_of_type},
    client::Client,
    error::{Error, ErrorKind, Unreadable},
    sse::{Event, Parser},
};

const EVENT_STREAM: &str = "text/event-stream";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a stream may be silent before its connection is given up: a clinic sends a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// A connection that lasts so long has brought a second sign of life: the clinic is back, whatever happens next.
const STEADY: Duration = Duration::from_secs(15);
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

    /// How long the clinic may be away at a stretch, 60 s unless set. It is back when an entry comes, when it ends a connection in order, or
    /// when a connection lasts for 15 s or for this long: one that breaks sooner is still an outage. To be said before the first entry is asked for.
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
    /// What went wrong behind the entries that came.
    broken: Option<ErrorKind>,
    open: Option<Connection>,
    come_again: Duration,
    /// Connections in a row that neither brought an entry nor lasted.
    failed: u32,
    away_since: Option<Instant>,
}

struct Connection {
    opened: Opened,
    parser: Parser,
    has_begun: bool,
    since: Instant,
}

/// Why an answer is no stream of events.
#[derive(Debug, ThisError)]
enum NoStream {
    #[error("its content type is not {EVENT_STREAM}")]
    Foreign,
    #[error("it ended before its first byte")]
    Empty,
}

/// How a connection went on.
enum Read {
    Opened,
    /// Bytes came that can be understood.
    Came,
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
            broken: None,
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
                Ok(Read::Opened) => {}
                Ok(Read::Came) => {
                    if !follow.came.is_empty() || follow.is_steady() {
                        follow.failed = 0;
                        follow.away_since = None;
                    }
                }
                Ok(Read::Ended) => follow.pause_after_end().await,
                Ok(Read::Over) => return None,
                Err(failure) => {
                    if let Err(error) = follow.pause_after(failure).await {
                        return Some((Err(error), None));
                    }
                }
            }
        }
    }

    async fn pause_after_end(&mut self) {
        if self.is_steady() {
            self.failed = 0;
        }
        self.open = None;
        self.away_since = None;
        // Decided, so that this was the end, most likely: the next answer says so at once.
        if self.failed > 0 {
            sleep(self.pause(None).max(self.come_again)).await;
        } else if !self.is_decided {
            sleep(self.come_again).await;
        }
        self.failed = self.failed.saturating_add(1);
    }

    /// Pauses after what passes with time, unless the clinic was away for too long.
    async fn pause_after(&mut self, failure: Failure) -> Result<(), Error> {
        self.open = None;
        let away_since = *self.away_since.get_or_insert_with(Instant::now);
        let pause = self.pause(failure.asked);
        if !failure.kind.is_retryable() || away_since.elapsed().saturating_add(pause) > self.max_outage {
            return Err(failure.into());
        }
        tracing::debug!(attempt = failure.attempts, error = failure.kind.code(), pause_ms = pause.as_millis(), "trying again");
        self.failed = self.failed.saturating_add(1);
        sleep(pause).await;
        Ok(())
    }

    /// Whether the connection lasts: for no less than what would be paused, whatever outage is allowed.
    fn is_steady(&self) -> bool {
        let steady = STEADY.min(self.max_outage.max(self.come_again));
        self.open.as_ref().is_some_and(|connection| connection.since.elapsed() >= steady)
    }

    fn pause(&self, asked: Option<Duration>) -> Duration {
        self.client.inner.retry.patient_pause(self.failed.saturating_add(1), asked, rand::random())
    }

    async fn read(&mut self) -> Result<Read, Failure> {
        if self.open.is_none() {
            return self.connect().await;
        }
        let read = match self.broken.take() {
            Some(broken) => Err(broken),
            None => self.piece().await,
        };
        read.map_err(|kind| self.failure(kind))
    }

    async fn piece(&mut self) -> Result<Read, ErrorKind> {
        let connection = self.open.as_mut().expect("only an open connection is read");
        let piece = timeout(SILENCE, connection.opened.response.chunk()).await.map_err(|_| ErrorKind::Timeout)?;
        let Some(piece) = piece.map_err(ErrorKind::connection)? else {
            return if connection.has_begun { Ok(Read::Ended) } else { Err(ErrorKind::Transport(Box::new(NoStream::Empty))) };
        };
        connection.has_begun = true;
        let mut events = Vec::new();
        let parsed = connection.parser.push(&piece, &mut events);
        let retry = connection.parser.retry();
        let last_event_id = connection.parser.last_event_id().map(str::to_owned);
        self.come_again = retry.map_or(self.come_again, |asked| self.client.inner.retry.bounded(asked));
        let taken = events.into_iter().try_for_each(|event| self.take(event)).and_then(|()| {
            // Later than the last event where ids without data followed.
            self.go_on_from = last_event_id.or(self.go_on_from.take());
            parsed
        });
        match taken {
            Err(unreadable) if self.came.is_empty() => return Err(unreadable.into()),
            taken => self.broken = taken.err().map(ErrorKind::from),
        }
        Ok(Read::Came)
    }

    fn take(&mut self, event: Event) -> Result<(), Unreadable> {
        let entry: TimelineEvent = serde_json::from_str(&event.data)?;
        self.go_on_from = event.id.or(self.go_on_from.take());
        if self.seen.is_none_or(|seen| entry.seq > seen) {
            self.seen = Some(entry.seq);
            self.is_decided |= matches!(entry.kind.known(), Some(EntryKind::Confirmed | EntryKind::Rejected | EntryKind::Cancelled));
            self.came.push_back(entry);
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<Read, Failure> {
        let mut call = Call::new(&self.client, "events", Method::GET, &["booking", &self.id.to_string(), "events"])
            .header(ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        if let Some(id) = self.go_on_from.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
            call = call.header(LAST_EVENT_ID, id);
        }
        let opened = call.open(self.failed.saturating_add(1)).await?;
        if opened.response.status() == StatusCode::NO_CONTENT {
            return Ok(Read::Over);
        }
        let is_stream = is_of_type(opened.response.headers(), EVENT_STREAM);
        self.open = Some(Connection { opened, parser: Parser::default(), has_begun: false, since: Instant::now() });
        if is_stream { Ok(Read::Opened) } else { Err(self.failure(ErrorKind::Decode(Box::new(NoStream::Foreign)))) }
    }

    /// What went wrong on the connection that is open.
    fn failure(&self, kind: ErrorKind) -> Failure {
        let opened = self.open.as_ref().map(|connection| &connection.opened);
        if let Some(opened) = opened {
            opened.span.record("error", kind.code());
        }
        let request_id = opened.map(|opened| opened.request_id.clone());
        Failure { kind, attempts: self.failed.saturating_add(1), request_id, status: None, asked: None }
    }
}
