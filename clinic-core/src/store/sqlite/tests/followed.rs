//! Those who wait for bookings and follow them, over a store in trouble.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    booking::Status,
    waiters::{self, Waiters},
    watchers::Follower,
};

#[tokio::test]
async fn one_booking_that_cannot_be_read_holds_up_nobody_who_follows_another() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let bookings = [booking(0), booking(60), booking(120)];
    for new in &bookings {
        assert!(accepted(&store, new).await);
    }
    let broken = bookings[1].id;
    for new in &bookings {
        store.cancel(new.id).await.unwrap();
    }
    let spoil = "INSERT INTO timeline (booking, seq, at, kind) VALUES (?1, 9, 0, 'unheard_of')";
    store.work(move |tx| tx.connection.execute(spoil, [broken])).await.unwrap();
    store.work(move |tx| tx.connection.execute("UPDATE booking SET language = 'xx' WHERE id = ?1", [broken])).await.unwrap();

    let (waiters, shutdown) = (Arc::new(Waiters::default()), CancellationToken::new());
    let waiting = bookings.each_ref().map(|new| waiters.register(new.id));
    let mut following = bookings.each_ref().map(|new| Follower::listening(Arc::clone(&waiters), Followed::new(new.id, 0)));
    let running = tokio::spawn(waiters::run(Arc::clone(&waiters), store.clone(), None, shutdown.clone()));
    let within = Duration::from_secs(20);
    let [first, _, last] = waiting;
    for decided in [first, last] {
        assert_eq!(tokio::time::timeout(within, decided).await.unwrap().unwrap().booking.status, Status::Cancelled);
    }
    let [first, _, last] = &mut following;
    for follower in [first, last] {
        assert_eq!(tokio::time::timeout(within, follower.next()).await.unwrap().unwrap().len(), 2);
    }
    shutdown.cancel();
    running.await.unwrap();
}

/// The clock stands still, so no read is given up.
#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_read() {
    let place = Place::new();
    let store = Arc::new(place.open());
    // Every reader is busy until these are dropped.
    let (release, busy): (Vec<_>, Vec<_>) = (0..4).map(|_| std::sync::mpsc::channel::<()>()).unzip();
    let reads: Vec<_> = busy
        .into_iter()
        .map(|busy| {
            let store = store.clone();
            tokio::spawn(async move { store.readers.read(move |_| Ok(busy.recv().is_err())).await })
        })
        .collect();
    let (waiters, shutdown) = (Arc::new(Waiters::default()), CancellationToken::new());
    let _waiting = waiters.register(booking(0).id);
    let running = tokio::spawn(waiters::run(Arc::clone(&waiters), store.clone(), None, shutdown.clone()));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished());
    shutdown.cancel();
    let asked = std::time::Instant::now();
    while !running.is_finished() {
        assert!(asked.elapsed() < Duration::from_secs(10), "it waits for the read");
        tokio::task::yield_now().await;
    }
    drop(release);
    for read in reads {
        assert!(read.await.unwrap().unwrap());
    }
}
