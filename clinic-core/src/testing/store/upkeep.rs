use super::{checks, practice::*};

checks! {
    a_working_store_can_be_probed_again_and_again,
    the_oldest_undecided_booking_is_known,
    overdue_jobs_are_counted,
    a_closed_store_fails_every_call,
}

async fn a_working_store_can_be_probed_again_and_again(p: &Practice) {
    for _ in 0..3 {
        p.store.probe().await.expect("a store that works says so");
    }
}

async fn the_oldest_undecided_booking_is_known(p: &Practice) {
    let oldest = async || p.store.stats().await.expect("figures come while the store works").oldest_undecided;
    assert_eq!(oldest().await, None, "where nothing is undecided nothing is old");
    let begun = p.now();
    let first = p.booked(0).await;
    p.advance(SECOND);
    p.booked(1).await;
    assert_eq!(oldest().await, Some(begun), "the first accepted is the oldest");
    let lease = p.won(first).await;
    p.concluded(&lease, CONFIRM).await;
    assert_eq!(oldest().await, Some(p.now()), "once it is decided, the next is");
}

async fn overdue_jobs_are_counted(p: &Practice) {
    let overdue = async || p.store.stats().await.expect("figures come while the store works").overdue;
    p.booked(0).await;
    p.booked(1).await;
    assert_eq!(overdue().await, 0, "within their grace jobs are not overdue");
    p.advance(LONG);
    assert_eq!(overdue().await, 2, "after it they are");
    assert_eq!(p.overdue(10).await.leases.len(), 2, "until somebody claims them");
    assert_eq!(overdue().await, 0, "in somebody's hand nothing is overdue");
}

async fn a_closed_store_fails_every_call(p: &Practice) {
    let ticket = p.booked(0).await;
    p.store.close().await;
    assert!(p.store.accept(&visit(1).new_booking()).await.is_err(), "nothing is accepted after the end");
    assert!(p.store.recall(ticket.booking).await.is_err(), "nothing is recalled");
    assert!(p.store.claim(&worker(), &[ticket.request(false)]).await.is_err(), "nothing is claimed");
    assert!(p.store.cancel(ticket.booking).await.is_err(), "nothing is cancelled");
    assert!(p.store.probe().await.is_err(), "and it says so");
    // Closing again, as the suite will, is harmless.
}
