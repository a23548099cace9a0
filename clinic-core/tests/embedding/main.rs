//! Ports of a developer's own that do what nobody expects: the clinic around them goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod roles;

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use clinic_core::{
    api::BookRequest,
    broker::EmbeddedBroker,
    clinic::{Builder, Clinic, StartError},
    id::BookingId,
    notification::{Notice, NoticeState},
    ports::{
        Availability, AvailabilityError, Broker, BrokerError, Channel, ChannelError, Consumer, Listener, PublishError, Receipt, Record,
        Request, Verdict,
    },
    retry::RetryPolicy,
    settings::Settings,
    topology::{Publication, Queue},
};
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

const SOON: Duration = Duration::from_secs(20);

fn builder(folder: &TempDir) -> Builder {
    let mut settings = Settings::default();
    settings.sweep = Duration::from_millis(50);
    settings.retry = RetryPolicy::new(3, Duration::from_millis(10), 1.0, 0.0).unwrap();
    Clinic::builder().store(format!("sqlite:{}", folder.path().join("clinic.db").display())).settings(settings)
}

async fn book(clinic: &Clinic) -> BookingId {
    let request = BookRequest {
        patient_id: Some("PAC001".into()),
        datetime: Some((Utc::now() + chrono::Duration::days(1)).to_rfc3339()),
        ..BookRequest::default()
    };
    clinic.book(&request).await.unwrap().id
}

/// The booking once every notice of it is settled.
async fn told(clinic: &Clinic, id: BookingId) -> Record {
    let settled = async {
        loop {
            let record = clinic.handle().find(id).await.unwrap().unwrap();
            if !record.notices.is_empty() && record.notices.iter().all(|notice| notice.state != NoticeState::Pending) {
                return record;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, settled).await.expect("told in time")
}

struct Yes;

#[async_trait]
impl Availability for Yes {
    async fn check(&self, _: &Request) -> Result<Verdict, AvailabilityError> {
        Ok(Verdict::Available)
    }

    fn reserves(&self) -> bool {
        false
    }
}

struct Push;

#[async_trait]
impl Channel for Push {
    fn name(&self) -> &str {
        "push"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        Ok(Receipt::none())
    }
}

/// As long as the provider likes.
struct Patient;

#[async_trait]
impl Channel for Patient {
    fn name(&self) -> &str {
        "patient"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        let mut receipt = Receipt::none();
        receipt.reference = Some(format!("for Ana\nÁlvarez{}", "x".repeat(1_000)));
        Ok(receipt)
    }

    fn timeout(&self) -> Duration {
        Duration::MAX
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_without_a_limit_is_used_and_its_receipt_is_cut_to_what_is_promised() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = builder(&folder).availability(Yes).channel(Patient).start().await.unwrap();
    let id = book(&clinic).await;
    let notice = told(&clinic, id).await.notices.pop().unwrap();
    assert_eq!(notice.state, NoticeState::Sent);
    let receipt = notice.receipt.unwrap();
    assert!(receipt.len() == 200 && receipt.bytes().all(|byte| byte.is_ascii_graphic()), "{receipt}");
    clinic.shutdown().await.unwrap();
}

#[tokio::test]
async fn two_channels_of_one_name_refuse_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = builder(&folder).availability(Yes).channel(Push).channel(Push).start().await.unwrap_err();
    assert!(matches!(refused, StartError::ChannelTwice { .. }) && refused.to_string().contains("push"), "{refused}");
}

/// Has the name that webhooks have.
struct Hook;

#[async_trait]
impl Channel for Hook {
    fn name(&self) -> &str {
        "webhook"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        Ok(Receipt::none())
    }
}

#[tokio::test]
async fn a_channel_named_as_webhooks_are_refuses_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = builder(&folder).availability(Yes).channel(Hook).start().await.unwrap_err();
    assert!(matches!(refused, StartError::ChannelName { .. }) && refused.to_string().contains("webhook"), "{refused}");
}

/// Spreads its pauses to before now.
struct Wild;

#[async_trait]
impl Channel for Wild {
    fn name(&self) -> &str {
        "wild"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        Ok(Receipt::none())
    }

    fn retry(&self) -> RetryPolicy {
        let mut policy = RetryPolicy::default();
        policy.jitter = 5.0;
        policy
    }
}

#[tokio::test]
async fn a_channel_whose_retries_cannot_be_refuses_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let refused = builder(&folder).availability(Yes).channel(Wild).start().await.unwrap_err();
    assert!(matches!(refused, StartError::ChannelRetry { .. }) && refused.to_string().contains("wild"), "{refused}");
}

/// As mocks do: it panics before there is a future.
struct Abrupt(AtomicU32);

impl Abrupt {
    fn fault(&self) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first call was not expected");
    }
}

impl Availability for Abrupt {
    fn check<'a, 'b, 'c>(&'a self, _: &'b Request) -> Pin<Box<dyn Future<Output = Result<Verdict, AvailabilityError>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.fault();
        Box::pin(async { Ok(Verdict::Available) })
    }
}

impl Channel for Abrupt {
    fn name(&self) -> &str {
        "abrupt"
    }

    fn send<'a, 'b, 'c>(&'a self, _: &'b Notice) -> Pin<Box<dyn Future<Output = Result<Receipt, ChannelError>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.fault();
        Box::pin(async { Ok(Receipt::none()) })
    }

    fn retry(&self) -> RetryPolicy {
        RetryPolicy::new(3, Duration::from_millis(10), 1.0, 0.0).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_panics_before_its_future_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let (calendar, channel) = (Abrupt(AtomicU32::new(0)), Abrupt(AtomicU32::new(0)));
    let clinic = builder(&folder).availability(calendar).channel(channel).start().await.unwrap();
    let id = book(&clinic).await;
    let record = told(&clinic, id).await;
    assert_eq!((record.booking.attempts, record.booking.status.as_str()), (2, "confirmed"));
    assert_eq!((record.notices[0].tries, record.notices[0].state), (2, NoticeState::Sent));
    clinic.shutdown().await.unwrap();
}

/// Never answers; says when it is asked and when its question is dropped.
struct Silence(watch::Sender<&'static str>);

struct Dropped<'a>(&'a watch::Sender<&'static str>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.send_replace("dropped");
    }
}

#[async_trait]
impl Availability for Silence {
    async fn check(&self, _: &Request) -> Result<Verdict, AvailabilityError> {
        let _dropped = Dropped(&self.0);
        self.0.send_replace("asked");
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clinic_that_is_dropped_asks_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (state, mut seen) = watch::channel("new");
    let clinic = builder(&folder).availability(Silence(state)).channel(Push).start().await.unwrap();
    book(&clinic).await;
    timeout(SOON, seen.wait_for(|state| *state == "asked")).await.unwrap().unwrap();
    drop(clinic);
    // Long before the attempt would time out.
    timeout(Duration::from_secs(5), seen.wait_for(|state| *state == "dropped")).await.expect("the attempt goes on").unwrap();
}

/// A broker that hands nothing on: whoever asks for notices or news waits for ever.
struct Hanging(EmbeddedBroker);

#[async_trait]
impl Broker for Hanging {
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        publications.iter().map(|_| Err(PublishError::Unreachable)).collect()
    }

    async fn consume(&self, _: Queue, _: usize) -> Result<Box<dyn Consumer>, BrokerError> {
        pending().await
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError> {
        pending().await
    }

    fn health(&self) -> Result<(), BrokerError> {
        self.0.health()
    }

    async fn depth(&self, _: Queue) -> Option<u64> {
        pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_keeps_nobody_from_being_told_and_no_clinic_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let broker: Arc<dyn Broker> = Arc::new(Hanging(EmbeddedBroker::default()));
    let clinic = builder(&folder).broker(broker).availability(Yes).channel(Push).start().await.unwrap();
    let id = book(&clinic).await;
    let begun = Instant::now();
    let decided = clinic.wait_until_decided(id, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(decided.booking.status.as_str(), "confirmed");
    assert!(begun.elapsed() < SOON, "who waits is woken by the store alone");
    assert_eq!(timeout(SOON, clinic.handle().depths()).await.expect("given up"), Queue::ALL.map(|queue| (queue, None)));
    assert_eq!(told(&clinic, id).await.notices[0].state, NoticeState::Sent);
    let begun = Instant::now();
    clinic.shutdown().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing was in flight");
}

/// A broker that tells what is asked of it: the name of the queue that somebody wants to consume, or `news`.
struct Overheard<F>(EmbeddedBroker, F);

#[async_trait]
impl<F: Fn(&'static str) + Send + Sync + 'static> Broker for Overheard<F> {
    async fn publish(&self, publications: &[Publication]) -> Vec<Result<(), PublishError>> {
        self.0.publish(publications).await
    }

    async fn consume(&self, queue: Queue, prefetch: usize) -> Result<Box<dyn Consumer>, BrokerError> {
        self.1(queue.spec().name);
        self.0.consume(queue, prefetch).await
    }

    async fn listen(&self) -> Result<Box<dyn Listener>, BrokerError> {
        self.1("news");
        self.0.listen().await
    }

    fn health(&self) -> Result<(), BrokerError> {
        self.0.health()
    }

    async fn depth(&self, queue: Queue) -> Option<u64> {
        self.0.depth(queue).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_panics_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let consumed = AtomicU32::new(0);
    let stumble = move |asked| assert!(asked == "news" || consumed.fetch_add(1, Ordering::Relaxed) >= 2, "the broker stumbles");
    let broker: Arc<dyn Broker> = Arc::new(Overheard(EmbeddedBroker::default(), stumble));
    let clinic = builder(&folder).broker(broker).availability(Yes).channel(Push).start().await.unwrap();
    let id = book(&clinic).await;
    assert_eq!(told(&clinic, id).await.notices[0].state, NoticeState::Sent);
    clinic.shutdown().await.unwrap();
}
