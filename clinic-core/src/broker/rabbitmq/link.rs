use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, Purpose},
    error::LinkError,
    options::Setup,
    pause::Pauses,
    session::Session,
    url::RabbitUrl,
};

/// A session that held for so long was a good one: the next try may follow soon.
const GOOD: Duration = Duration::from_secs(5);

/// What one of the two connections is for.
pub(super) trait Side: Send + Sync + Sized + 'static {
    const PURPOSE: Purpose;

    /// Sets up what is used of a session.
    fn open(session: Arc<Session>, setup: &Setup) -> impl Future<Output = Result<Self, LinkError>> + Send;

    fn session(&self) -> &Arc<Session>;
}

/// A connection that comes back: the session there is now, if any.
#[derive(Debug)]
pub(super) struct Link<S> {
    side: RwLock<Option<Arc<S>>>,
}

impl<S> Default for Link<S> {
    fn default() -> Self {
        Self { side: RwLock::new(None) }
    }
}

impl<S: Side> Link<S> {
    /// The session there is now.
    pub(super) fn now(&self) -> Result<Arc<S>, LinkError> {
        let side = self.side.read().unwrap_or_else(PoisonError::into_inner).clone();
        side.filter(|side| side.session().is_usable()).ok_or(LinkError::NoSession)
    }

    fn put(&self, side: Option<Arc<S>>) {
        *self.side.write().unwrap_or_else(PoisonError::into_inner) = side;
    }

    /// Keeps a session up until `stop`: after any fault another one, on the next broker of the list, for ever.
    pub(super) async fn supervise(self: Arc<Self>, setup: Arc<Setup>, board: Arc<Board>, stop: CancellationToken) {
        let (mut pauses, mut complaint) = (Pauses::default(), Complaint::default());
        for url in setup.urls.iter().cycle() {
            match stop.run_until_cancelled(open::<S>(&setup, url)).await {
                None => return,
                Some(Err(error)) => complaint.unusable(S::PURPOSE, url, &error),
                Some(Ok(side)) => {
                    let (session, begun) = (Arc::clone(side.session()), Instant::now());
                    complaint.connected(S::PURPOSE, url);
                    self.put(Some(Arc::new(side)));
                    board.set_connected(S::PURPOSE, true);
                    let ended = stop.run_until_cancelled(session.watch(S::PURPOSE, &board)).await;
                    board.set_connected(S::PURPOSE, false);
                    self.put(None);
                    session.close().await;
                    let Some(why) = ended else { return };
                    if begun.elapsed() >= GOOD {
                        pauses.reset();
                        complaint = Complaint::default();
                    }
                    complaint.over(S::PURPOSE, url, &why);
                }
            }
            if stop.run_until_cancelled(sleep(pauses.next())).await.is_none() {
                return;
            }
        }
    }
}

async fn open<S: Side>(setup: &Setup, url: &RabbitUrl) -> Result<S, LinkError> {
    let session = Arc::new(Session::open(setup, url, S::PURPOSE.as_str()).await?);
    let opened = S::open(Arc::clone(&session), setup).await;
    if opened.is_err() {
        session.close().await;
    }
    opened
}

/// Different things that are said of one outage.
const COMPLAINTS: usize = 32;

/// Each thing that is wrong is said once an outage, not at every try.
#[derive(Debug, Default)]
struct Complaint {
    made: HashSet<String>,
}

impl Complaint {
    fn unusable(&mut self, purpose: Purpose, url: &RabbitUrl, error: &LinkError) {
        let (text, connection) = (error.in_full(), purpose.as_str());
        if self.is_new(url, &text) {
            tracing::warn!(broker = %url, connection, error = text, "RabbitMQ cannot be used; trying again until it can");
        } else {
            tracing::debug!(broker = %url, connection, error = text, "RabbitMQ still cannot be used");
        }
    }

    fn over(&mut self, purpose: Purpose, url: &RabbitUrl, why: &str) {
        let connection = purpose.as_str();
        if self.is_new(url, why) {
            tracing::warn!(broker = %url, connection, why, "the session with RabbitMQ is over; making another one");
        } else {
            tracing::debug!(broker = %url, connection, why, "the session with RabbitMQ is over again");
        }
    }

    /// It can be used again; whether for long is not known yet.
    fn connected(&mut self, purpose: Purpose, url: &RabbitUrl) {
        let connection = purpose.as_str();
        if self.is_new(url, "connected") {
            tracing::info!(broker = %url, connection, "connected to RabbitMQ");
        } else {
            tracing::debug!(broker = %url, connection, "connected to RabbitMQ again");
        }
    }

    fn is_new(&mut self, url: &RabbitUrl, text: &str) -> bool {
        self.made.len() < COMPLAINTS && self.made.insert(format!("{url} {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_is_wrong_is_said_once_for_each_broker() {
        let urls = RabbitUrl::parse_list("amqp://one,amqp://two").unwrap();
        let mut complaint = Complaint::default();
        for round in 0..3 {
            for (url, text) in [(&urls[0], "refused"), (&urls[1], "refused"), (&urls[0], "no answer")] {
                assert_eq!(complaint.is_new(url, text), round == 0, "{url} {text}");
            }
        }
        assert!((0..1_000).filter(|n| complaint.is_new(&urls[0], &n.to_string())).count() < COMPLAINTS, "there is a bound");
    }
}
