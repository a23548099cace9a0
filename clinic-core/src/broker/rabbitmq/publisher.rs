use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    board::Purpose,
    error::{LinkError, within},
    link::Side,
    names::Names,
    options::Setup,
    session::{STEP, Session},
};
use crate::{
    ports::PublishError,
    topology::{Publication, Queue},
};

/// Messages on their way at once, on each channel.
const WINDOW: usize = 512;
/// A message that is not confirmed by then will not be.
const CONFIRM: Duration = Duration::from_secs(3);
/// Nobody who publishes waits longer.
const PUBLISH: Duration = Duration::from_secs(4);
const PERSISTENT: u8 = 2;

/// A message, and who waits for its confirm. Unanswered it counts as not published.
#[derive(Debug)]
struct Request {
    publication: Publication,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// Publishes, on a channel for each queue. A channel belongs to one task: when several publish on one, lapin credits confirms to the
/// wrong messages.
#[derive(Debug)]
pub(super) struct Publisher {
    session: Arc<Session>,
    work: mpsc::Sender<Request>,
    news: mpsc::Sender<Request>,
}

impl Side for Publisher {
    const PURPOSE: Purpose = Purpose::Publishing;

    async fn open(session: Arc<Session>, setup: &Setup) -> Result<Self, LinkError> {
        let names = Names::new(setup.prefix.clone());
        let work = start(&session, names.exchange(Queue::Bookings.spec().exchange)).await?;
        let news = start(&session, names.exchange(Queue::Notifications.spec().exchange)).await?;
        Ok(Self { session, work, news })
    }

    fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Publisher {
    /// One answer for each message, within [`PUBLISH`].
    pub(super) async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        let deadline = Instant::now() + PUBLISH;
        let mut answers = Vec::with_capacity(publications.len());
        for publication in publications {
            let (done, answer) = oneshot::channel();
            let lane = match publication.route.queue() {
                Queue::Bookings => &self.work,
                Queue::Notifications => &self.news,
            };
            let handed_on = timeout_at(deadline, lane.send(Request { publication: *publication, done })).await;
            answers.push(matches!(handed_on, Ok(Ok(()))).then_some(answer));
        }
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            let answered = match answer {
                Some(answer) => timeout_at(deadline, answer).await,
                None => Ok(Ok(Err(PublishError::Unreachable))),
            };
            results.push(answered.unwrap_or(Ok(Err(PublishError::Unreachable))).unwrap_or(Err(PublishError::Unreachable)));
        }
        results
    }
}

async fn start(session: &Arc<Session>, exchange: ShortString) -> Result<mpsc::Sender<Request>, LinkError> {
    let channel = session.channel().await?;
    within(STEP, "asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let (lane, requests) = mpsc::channel(WINDOW);
    let owner = Owner { session: Arc::clone(session), channel: Arc::new(channel), exchange, on_their_way: FuturesUnordered::new() };
    session.spawn(owner.work(requests));
    Ok(lane)
}

/// What became of a message that was on its way.
struct Fate {
    done: oneshot::Sender<Result<(), PublishError>>,
    /// Nothing when it took too long.
    confirmation: Option<lapin::Result<Confirmation>>,
}

/// The one task that publishes on a channel.
struct Owner {
    session: Arc<Session>,
    channel: Arc<Channel>,
    exchange: ShortString,
    on_their_way: FuturesUnordered<BoxFuture<'static, Fate>>,
}

impl Owner {
    /// Publishes until the session is over. Whatever is on its way then goes unanswered.
    async fn work(mut self, requests: mpsc::Receiver<Request>) {
        self.publish(requests).await;
        self.on_their_way.clear();
        self.session.close_channel(&self.channel).await;
    }

    async fn publish(&mut self, mut requests: mpsc::Receiver<Request>) {
        let session = Arc::clone(&self.session);
        let mut batch = Vec::with_capacity(WINDOW);
        let mut end = std::pin::pin!(session.end());
        loop {
            let room = WINDOW - self.on_their_way.len();
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(first) = self.on_their_way.next() => {
                    if let Err(why) = self.settle(first) {
                        return session.fail(why);
                    }
                }
                taken = requests.recv_many(&mut batch, room), if room > 0 => {
                    if taken == 0 {
                        return;
                    }
                    for request in batch.drain(..) {
                        self.send(request).await;
                    }
                }
            }
        }
    }

    /// Puts a message on its way, unless the broker takes none.
    async fn send(&mut self, request: Request) {
        // Whoever waited in vain has left the job to the sweep.
        if self.session.is_blocked() || request.done.is_closed() {
            return;
        }
        let Request { publication, done } = request;
        let (channel, exchange) = (Arc::clone(&self.channel), self.exchange.clone());
        let mut sending = async move {
            let body = publication.message.to_bytes();
            let properties = BasicProperties::default()
                .with_content_type("application/json".into())
                .with_delivery_mode(PERSISTENT)
                .with_message_id(publication.message.job.to_string().into());
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let confirming = async {
                let confirm = channel.basic_publish(exchange, publication.route.key().into(), options, &body, properties).await?;
                confirm.await
            };
            Fate { confirmation: timeout(CONFIRM, confirming).await.ok(), done }
        }
        .boxed();
        // The first poll takes the message's number and queues its frames, so they go in the order they came in.
        match futures_util::poll!(&mut sending) {
            std::task::Poll::Pending => self.on_their_way.push(sending),
            std::task::Poll::Ready(fate) => self.on_their_way.push(std::future::ready(fate).boxed()),
        }
    }

    /// Answers for everything that is ready; says what is wrong with the session, if anything is.
    fn settle(&mut self, first: Fate) -> Result<(), String> {
        let mut ready = vec![first];
        while let Some(Some(fate)) = self.on_their_way.next().now_or_never() {
            ready.push(fate);
        }
        // A message that no queue took is returned before its confirm, but lapin hands it out with whichever confirm comes first. So
        // nothing that is on its way or ready now is sure to be in a queue.
        let returned = |fate: &Fate| {
            matches!(fate.confirmation, Some(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) | Confirmation::NotRequested)))
        };
        if ready.iter().any(returned) {
            return Err("a message found no queue".to_owned());
        }
        for Fate { done, confirmation } in ready {
            let result = match confirmation {
                Some(Ok(Confirmation::Ack(_))) => Ok(()),
                Some(Ok(_)) => Err(PublishError::Full),
                Some(Err(error)) => return Err(format!("publishing failed: {error}")),
                None if self.session.is_blocked() => {
                    self.session.set_stale();
                    Err(PublishError::Unreachable)
                }
                // A confirm that comes later must find nobody: it goes with its channel.
                None => return Err("the broker did not confirm in time".to_owned()),
            };
            // Nobody may be waiting any more.
            let _ = done.send(result);
        }
        Ok(())
    }
}
