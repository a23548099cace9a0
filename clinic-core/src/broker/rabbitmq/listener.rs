use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::{
    Channel,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{
    sync::mpsc,
    task::coop,
    time::{MissedTickBehavior, interval},
};

use super::{
    error::{LinkError, within},
    names::Names,
    session::{STEP, Session},
};
use crate::{
    id::BookingId,
    message::Message,
    ports::Listener,
    topology::{NOTIFICATIONS, Queue},
};

/// News that a listener may lag behind before it misses some.
const NEWS: i32 = 4096;
/// How often the binding is made sure of: it goes with its exchange, and nobody is told.
const BIND: Duration = Duration::from_secs(10);

/// A listener: a queue of its own, bound to the news, that goes with it.
#[derive(Debug)]
pub(super) struct RabbitListener {
    news: mpsc::Receiver<BookingId>,
}

impl RabbitListener {
    pub(super) async fn open(session: &Arc<Session>, names: &Names) -> Result<Self, LinkError> {
        let ear = Ear { channel: session.channel().await?, queue: names.news(), exchange: names.exchange(&NOTIFICATIONS) };
        // News are a hint: what goes wrong here is no fault of the session that others consume by.
        let deliveries = match ear.open().await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                session.close_channel(&ear.channel).await;
                return Err(error);
            }
        };
        let (heard, news) = mpsc::channel(NEWS as usize);
        session.spawn(ear.hear(Arc::clone(session), deliveries, heard));
        Ok(Self { news })
    }
}

/// A listener's half that always listens.
struct Ear {
    channel: Channel,
    queue: ShortString,
    exchange: ShortString,
}

impl Ear {
    async fn open(&self) -> Result<lapin::Consumer, LinkError> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(NEWS));
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        within(STEP, "declaring a queue for news", self.channel.queue_declare(self.queue.clone(), options, arguments)).await?;
        self.bind().await?;
        // Unacknowledged, so taken off lapin's hands at once: its buffer has no bound.
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
        let consuming = self.channel.basic_consume(self.queue.clone(), "".into(), options, FieldTable::default());
        within(STEP, "consuming news", consuming).await
    }

    async fn bind(&self) -> Result<(), LinkError> {
        let (queue, exchange, key) = (self.queue.clone(), self.exchange.clone(), Queue::Notifications.spec().binding);
        let binding = self.channel.queue_bind(queue, exchange, key.into(), QueueBindOptions::default(), FieldTable::default());
        within(STEP, "binding a queue for news", binding).await
    }

    /// Hands on what is heard until nobody listens or the session is over.
    async fn hear(self, session: Arc<Session>, mut deliveries: lapin::Consumer, heard: mpsc::Sender<BookingId>) {
        let mut end = std::pin::pin!(session.end());
        let mut binds = interval(BIND);
        binds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            coop::consume_budget().await;
            let delivery = tokio::select! {
                () = &mut end => break,
                () = heard.closed() => break,
                _ = binds.tick() => match self.bind().await {
                    Ok(()) => continue,
                    Err(_) => break,
                },
                delivery = deliveries.next() => delivery,
            };
            let Some(Ok(delivery)) = delivery else { break };
            // Garbage is the notifiers' to deal with, who have a `.dead` queue. What finds no room is missed.
            if let Ok(message) = Message::parse(&delivery.data) {
                let _ = heard.try_send(message.booking);
            }
        }
        session.close_channel(&self.channel).await;
    }
}

#[async_trait]
impl Listener for RabbitListener {
    async fn next(&mut self) -> Option<BookingId> {
        self.news.recv().await
    }
}
