use std::{sync::Arc, time::Duration};

use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use tokio::{
    sync::{Mutex, oneshot, watch},
    time::timeout,
};

use super::{
    board::Purpose, consumer::RabbitConsumer, error::LinkError, link::Side, listener::RabbitListener, names::Names, options::Setup, poison,
    session::Session,
};
use crate::{dead_letter::Poison, topology::Queue};

/// How long a new consumer waits for those before it to have gone.
const GOING: Duration = Duration::from_secs(2);
/// For a question: whoever looks at metrics does not want to wait.
const QUESTION: Duration = Duration::from_secs(1);
/// For a look at poison, and for those before it.
const LOOKING: Duration = Duration::from_secs(3);

/// The consuming side: consumers and listeners, each on channels of its own, and one channel for questions.
#[derive(Debug)]
pub(super) struct Intake {
    session: Arc<Session>,
    names: Names,
    questions: Mutex<Option<Channel>>,
    /// One looks at poison at a time: what one has in hand the next would miss.
    looking: Arc<Mutex<()>>,
    going: Going,
}

/// Consumers that were dropped and whose channels the broker has not closed yet.
#[derive(Clone, Debug)]
pub(super) struct Going(watch::Sender<usize>);

impl Going {
    /// Counts one in; it is out when what is returned is dropped.
    pub(super) fn begin(&self) -> Gone {
        self.0.send_modify(|count| *count += 1);
        Gone(self.clone())
    }

    async fn wait(&self) {
        let _ = timeout(GOING, self.0.subscribe().wait_for(|count| *count == 0)).await;
    }
}

#[derive(Debug)]
pub(super) struct Gone(Going);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

impl Side for Intake {
    const PURPOSE: Purpose = Purpose::Consuming;

    async fn open(session: Arc<Session>, setup: &Setup) -> Result<Self, LinkError> {
        let names = Names::new(setup.prefix.clone());
        Ok(Self { session, names, questions: Mutex::new(None), looking: Arc::default(), going: Going(watch::channel(0).0) })
    }

    fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Intake {
    pub(super) async fn consume(&self, queue: Queue, prefetch: usize) -> Result<RabbitConsumer, LinkError> {
        // So that what they held is back in the queue, at its head.
        self.going.wait().await;
        let opened = RabbitConsumer::open(&self.session, self.going.clone(), self.names.queue(queue), prefetch).await;
        // Most likely the queue is gone: a new session declares it.
        opened.inspect_err(|error| self.session.fail(error.in_full()))
    }

    pub(super) async fn listen(&self) -> Result<RabbitListener, LinkError> {
        RabbitListener::open(&self.session, &self.names).await
    }

    /// Messages ready in a queue.
    pub(super) async fn depth(&self, queue: Queue) -> Option<u64> {
        let asking = async {
            let mut questions = self.questions.lock().await;
            let channel = match questions.take().filter(|channel| channel.status().connected()) {
                Some(channel) => channel,
                None => self.session.channel().await.ok()?,
            };
            let options = QueueDeclareOptions { passive: true, ..Default::default() };
            let answer = channel.queue_declare(self.names.queue(queue), options, FieldTable::default()).await.ok()?;
            // After an error, and after a time-out, the next question has a new channel.
            *questions = Some(channel);
            Some(u64::from(answer.message_count()))
        };
        timeout(QUESTION, asking).await.ok().flatten()
    }

    /// What lies in the `.dead` queues.
    pub(super) async fn poison(&self) -> Option<Vec<Poison>> {
        let (session, names) = (Arc::clone(&self.session), self.names.clone());
        let looking = async {
            let turn = Arc::clone(&self.looking).lock_owned().await;
            let (told, found) = oneshot::channel();
            // By the session: whoever asked may go, and what is in hand must go back all the same.
            self.session.spawn(async move {
                let found = poison::look(&session, &names).await;
                drop(turn);
                let _ = told.send(found);
            });
            found.await.ok()?.ok()
        };
        timeout(LOOKING, looking).await.ok().flatten()
    }
}
