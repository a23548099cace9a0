//! Poison is seen by staff, and by nobody taken.

use tokio::time::{Instant, sleep};

use super::{
    checks,
    desk::{Desk, NEVER, next},
};
use crate::{dead_letter::Poison, topology::Queue};

checks! {
    an_untouched_broker_shows_no_poison,
    what_is_shown_of_poison_is_shown_again_however_often,
}

/// How often it is looked: more often than any delivery limit allows.
const LOOKS: usize = 30;

async fn shown(d: &Desk) -> Vec<Poison> {
    d.broker.poison().await.expect("a healthy broker can be asked for poison")
}

async fn an_untouched_broker_shows_no_poison(d: &Desk) {
    d.work(1).await;
    assert_eq!(shown(d).await, [], "what waits for a worker is no poison");
}

async fn what_is_shown_of_poison_is_shown_again_however_often(d: &Desk) {
    let mut worker = d.worker(3).await;
    let rejected = d.work(3).await;
    for _ in &rejected {
        next(&mut worker).await.reject();
    }
    // It may keep none; what it keeps is there soon.
    let begun = Instant::now();
    let mut first = shown(d).await;
    while first.len() < rejected.len() && begun.elapsed() < NEVER {
        sleep(NEVER / 30).await;
        first = shown(d).await;
    }
    let ids: Vec<_> = rejected.iter().map(|message| Some(message.job.uuid())).collect();
    assert!(first.iter().all(|poison| poison.queue == Queue::Bookings && ids.contains(&poison.message)), "nothing but what was rejected");
    for _ in 0..LOOKS {
        let again = shown(d).await;
        assert!(first.iter().all(|poison| again.contains(poison)), "{first:?} was shown, then {again:?}");
    }
}
