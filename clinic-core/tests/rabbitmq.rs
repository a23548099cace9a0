//! The RabbitMQ adapter against peers that are no RabbitMQ: it never waits for them, never gives up, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    net::TcpListener as StdListener,
    time::{Duration, Instant},
};

use clinic_core::{
    broker::{RabbitBroker, RabbitOptions},
    id::{BookingId, JobId},
    job::JobKind,
    message::Message,
    ports::{Broker, BrokerError, PublishError},
    topology::{Publication, Queue, Route},
};
use futures_util::FutureExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    time::{sleep, timeout},
};

/// Threads are counted, so one test at a time may have some.
static ALONE: Mutex<()> = Mutex::const_new(());
/// What is to come comes by then, on a busy machine as well.
const PATIENCE: Duration = Duration::from_secs(30);

fn broker(address: &str) -> RabbitBroker {
    RabbitBroker::new(RabbitOptions::new(format!("amqp://clinic:secret@{address}"))).unwrap()
}

fn work() -> Publication {
    Publication::new(Message::new(JobId::generate(), JobKind::Decide, BookingId::generate()), Route::Work)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A broker that cannot be had says so at every door, and at once: without a session there is nothing to wait for.
fn is_unreachable(broker: &RabbitBroker) {
    const AT_ONCE: &str = "no session means no wait";
    assert!(matches!(broker.health(), Err(BrokerError::Unreachable(_))));
    assert!(matches!(
        broker.publish(&[work(), work()]).now_or_never().expect(AT_ONCE)[..],
        [Err(PublishError::Unreachable), Err(PublishError::Unreachable)]
    ));
    assert!(matches!(broker.consume(Queue::Bookings, 1).now_or_never().expect(AT_ONCE), Err(BrokerError::Unreachable(_))));
    assert!(matches!(broker.listen().now_or_never().expect(AT_ONCE), Err(BrokerError::Unreachable(_))));
    assert_eq!(broker.depth(Queue::Bookings).now_or_never().expect(AT_ONCE), None);
    assert_eq!(broker.poison().now_or_never().expect(AT_ONCE), None);
}

#[tokio::test]
async fn where_nobody_listens_it_says_so_and_tries_on() {
    let _alone = ALONE.lock().await;
    let free = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broker = broker(&free.to_string());
    is_unreachable(&broker);
    let listener = TcpListener::bind(free).await.unwrap();
    for _ in 0..4 {
        timeout(PATIENCE, listener.accept()).await.expect("it is still trying").unwrap();
    }
    is_unreachable(&broker);
}

#[tokio::test]
async fn brokers_of_a_list_are_tried_in_turn() {
    let _alone = ALONE.lock().await;
    let (one, two) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let list = format!("amqp://{},amqp://{}", one.local_addr().unwrap(), two.local_addr().unwrap());
    let _broker = RabbitBroker::new(RabbitOptions::new(list)).unwrap();
    for _ in 0..4 {
        for listener in [&one, &two] {
            drop(timeout(PATIENCE, listener.accept()).await.expect("each is tried").unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_swallows_everything_holds_nothing_up_and_leaves_nothing_behind() {
    let _alone = ALONE.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = broker(&listener.local_addr().unwrap().to_string());
    let mut held: Vec<TcpStream> = Vec::new();
    // Two connections, three tries each.
    while held.len() < 6 {
        let accepting = timeout(PATIENCE, listener.accept());
        held.push(accepting.await.expect("a silent peer is given up, and tried again").unwrap().0);
        is_unreachable(&broker);
    }
    assert!(io_threads() <= 2, "{} threads still wait for a peer that was given up", io_threads());
    drop(broker);
    for mut peer in held {
        let mut swallowed = Vec::new();
        let read = timeout(PATIENCE, peer.read_to_end(&mut swallowed)).await;
        read.expect("a broker that is dropped closes its connections").unwrap();
        assert!(b"AMQP\0\0\x09\x01".starts_with(&swallowed), "nothing but the greeting was said, not {swallowed:?}");
    }
    until("its threads end", || io_threads() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_speaks_another_language_is_tried_again() {
    let _alone = ALONE.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = broker(&listener.local_addr().unwrap().to_string());
    for n in 0..6 {
        let (mut peer, _) = timeout(PATIENCE, listener.accept()).await.expect("it is tried again").unwrap();
        let answer: &[u8] = [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), b"AMQP\0\0\x08\0", &[1; 4096]][n % 3];
        // It may have gone already.
        let _ = peer.write_all(answer).await;
    }
    is_unreachable(&broker);
}

#[tokio::test]
async fn what_is_wrong_is_told_without_secrets() {
    let _alone = ALONE.lock().await;
    let free = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let broker = broker(&free.to_string());
    let error = broker.health().unwrap_err();
    assert!(!format!("{error} {error:?} {broker:?}").contains("secret"));
}

/// Threads of lapin's in this process.
fn io_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "lapin-io-loop").count()
}
