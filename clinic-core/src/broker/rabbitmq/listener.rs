use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::{
    Channel,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::coop,
    time::timeout,
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
const NEWS: usize = 4096;

/// A listener: a queue of its own, bound to the news, that goes with it.
#[derive(Debug)]
pub(super) struct RabbitListener {
    news: mpsc::Receiver<BookingId>,
}

impl RabbitListener {
    pub(super) async fn open(session: &Arc<Session>, names: &Names) -> Result<Self, LinkError> {
        let channel = session.channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(NEWS as i32));
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = within(STEP, "declaring a queue for news", channel.queue_declare("".into(), options, arguments)).await?;
        let (exchange, key) = (names.exchange(&NOTIFICATIONS), Queue::Notifications.spec().binding);
        let binding = channel.queue_bind(queue.name().clone(), exchange, key.into(), QueueBindOptions::default(), FieldTable::default());
        within(STEP, "binding a queue for news", binding).await?;
        // Unacknowledged, so taken off lapin's hands at once: its buffer has no bound.
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
        let consuming = channel.basic_consume(queue.name().clone(), "".into(), options, FieldTable::default());
        let deliveries = within(STEP, "consuming news", consuming).await?;
        let (heard, news) = mpsc::channel(NEWS);
        session.spawn(hear(Arc::clone(session), channel, deliveries, heard));
        Ok(Self { news })
    }
}

/// Hands on what is heard until nobody listens or the session is over.
async fn hear(session: Arc<Session>, channel: Channel, mut deliveries: lapin::Consumer, heard: mpsc::Sender<BookingId>) {
    let mut end = std::pin::pin!(session.end());
    loop {
        coop::consume_budget().await;
        let delivery = tokio::select! {
            () = &mut end => break,
            () = heard.closed() => break,
            delivery = deliveries.next() => delivery,
        };
        let Some(Ok(delivery)) = delivery else {
            session.fail("the broker ended a listener");
            break;
        };
        // Garbage is the notifiers' to deal with, who have a `.dead` queue.
        if let Ok(message) = Message::parse(&delivery.data)
            && let Err(TrySendError::Closed(_)) = heard.try_send(message.booking)
        {
            break;
        }
    }
    if !session.is_over() {
        let _ = timeout(STEP, channel.close(200, "done".into())).await;
    }
}

#[async_trait]
impl Listener for RabbitListener {
    async fn next(&mut self) -> Option<BookingId> {
        self.news.recv().await
    }
}
