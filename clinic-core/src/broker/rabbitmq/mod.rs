//! RabbitMQ: the topology on quorum queues, and two connections that come back by themselves.
//!
//! Each connection has a supervisor ([`link`]) that makes one [`session`] after another: connect, apply the topology, open what is
//! used of it, watch, and at the first fault begin anew. Nothing of a session is mended, so there is one way to be in order. One
//! connection publishes ([`publisher`]), since RabbitMQ stops reading from those when it is short of memory; the other consumes
//! ([`intake`]), and its acknowledgements go through meanwhile.

mod board;
mod connect;
mod consumer;
mod declare;
mod error;
mod intake;
mod link;
mod listener;
mod names;
mod options;
mod pause;
mod poison;
mod publisher;
mod session;
mod url;

use std::sync::Arc;

use async_trait::async_trait;
use metrics::counter;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{
    board::Board,
    error::LinkError,
    intake::Intake,
    link::{Link, Side},
    publisher::Publisher,
};
pub use self::{
    options::RabbitOptions,
    url::{RabbitUrl, RabbitUrlError},
};
use crate::{
    dead_letter::Poison,
    ports::{Broker, BrokerError, Consumer, Listener, PublishError},
    topology::{Publication, Queue, Route},
};

/// RabbitMQ behind the port. [`close`](Broker::close) takes leave of it; dropping this closes its connections as well, a little later.
#[derive(Debug)]
pub struct RabbitBroker {
    publishing: Arc<Link<Publisher>>,
    consuming: Arc<Link<Intake>>,
    /// The supervisors, one a connection.
    supervisors: TaskTracker,
    stop: CancellationToken,
    _dropped: DropGuard,
}

impl RabbitBroker {
    /// Begins to connect, in the background and for ever; never waits for the broker. Needs a Tokio runtime around it.
    ///
    /// # Errors
    /// [`RabbitUrlError`] when the options cannot be understood.
    pub fn new(options: RabbitOptions) -> Result<Self, RabbitUrlError> {
        let (setup, board, stop) = (Arc::new(options.parse()?), Arc::new(Board::default()), CancellationToken::new());
        let (publishing, consuming) = (Arc::new(Link::default()), Arc::new(Link::default()));
        let supervisors = TaskTracker::new();
        start(&publishing, &setup, &board, &stop, &supervisors);
        start(&consuming, &setup, &board, &stop, &supervisors);
        supervisors.close();
        Ok(Self { publishing, consuming, supervisors, _dropped: stop.clone().drop_guard(), stop })
    }

    /// The publishing side, if it takes messages now.
    fn publisher(&self) -> Result<Arc<Publisher>, LinkError> {
        let publisher = self.publishing.now()?;
        if publisher.session().is_blocked() { Err(LinkError::Blocked) } else { Ok(publisher) }
    }
}

fn start<S: Side>(
    link: &Arc<Link<S>>,
    setup: &Arc<options::Setup>,
    board: &Arc<Board>,
    stop: &CancellationToken,
    supervisors: &TaskTracker,
) {
    board.set_connected(S::PURPOSE, false);
    // It ends by itself soon after `stop`, having closed its connection.
    supervisors.spawn(Arc::clone(link).supervise(Arc::clone(setup), Arc::clone(board), stop.clone()));
}

fn unreachable(error: LinkError) -> BrokerError {
    if matches!(error, LinkError::Blocked) { BrokerError::Blocked } else { BrokerError::Unreachable(error.into()) }
}

#[async_trait]
impl Broker for RabbitBroker {
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        let results = match self.publisher() {
            Ok(publisher) => publisher.publish(publications).await,
            Err(_) => publications.iter().map(|_| Err(PublishError::Unreachable)).collect(),
        };
        count(publications, &results);
        results
    }

    async fn consume(&self, queue: Queue, prefetch: usize) -> Result<Box<dyn Consumer>, BrokerError> {
        let intake = self.consuming.now().map_err(unreachable)?;
        Ok(Box::new(intake.consume(queue, prefetch).await.map_err(unreachable)?))
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError> {
        let intake = self.consuming.now().map_err(unreachable)?;
        Ok(Box::new(intake.listen().await.map_err(unreachable)?))
    }

    fn health(&self) -> Result<(), BrokerError> {
        self.publisher().map_err(unreachable)?;
        self.consuming.now().map_err(unreachable)?;
        Ok(())
    }

    async fn depth(&self, queue: Queue) -> Option<u64> {
        self.consuming.now().ok()?.depth(queue).await
    }

    async fn poison(&self) -> Option<Vec<Poison>> {
        self.consuming.now().ok()?.poison().await
    }

    async fn close(&self) {
        self.stop.cancel();
        self.supervisors.wait().await;
    }
}

fn count(publications: &[Publication], results: &[Result<(), PublishError>]) {
    let (mut work, mut news) = (0, 0);
    for (publication, result) in publications.iter().zip(results) {
        match publication.route {
            Route::Work => work += u64::from(result.is_ok()),
            Route::News(_) => news += u64::from(result.is_ok()),
        }
    }
    counter!("clinic_published_total", "route" => "work").increment(work);
    counter!("clinic_published_total", "route" => "news").increment(news);
    counter!("clinic_publish_failures_total").increment(results.len() as u64 - work - news);
}
