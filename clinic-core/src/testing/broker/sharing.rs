use std::collections::HashSet;

use futures_util::future::join_all;

use super::{
    checks,
    desk::{Desk, message, next, nothing},
};

checks! {
    consumers_of_one_queue_share_its_messages,
    a_busy_consumer_leaves_messages_to_the_free_one,
    a_waiting_consumer_gets_what_another_gives_back,
}

async fn consumers_of_one_queue_share_its_messages(desk: &Desk) {
    let mut consumers = Vec::new();
    for _ in 0..4 {
        consumers.push(desk.worker(10).await);
    }
    let sent: HashSet<_> = desk.work(40).await.into_iter().collect();
    let hands = join_all(consumers.iter_mut().map(async |consumer| {
        let mut hand = HashSet::new();
        for _ in 0..10 {
            hand.insert(message(&next(consumer).await));
        }
        hand
    }))
    .await;
    assert_eq!(
        hands.into_iter().flatten().collect::<HashSet<_>>(),
        sent,
        "four consumers with room for ten get ten of forty each, none twice"
    );
}

async fn a_busy_consumer_leaves_messages_to_the_free_one(desk: &Desk) {
    let (mut busy, mut free) = (desk.worker(1).await, desk.worker(5).await);
    let sent: HashSet<_> = desk.work(20).await.into_iter().collect();
    let kept = next(&mut busy).await;
    let mut got = HashSet::from([message(&kept)]);
    for _ in 0..19 {
        let delivery = next(&mut free).await;
        got.insert(message(&delivery));
        delivery.ack();
    }
    assert_eq!(got, sent, "a consumer without room holds nothing up");
    nothing(&mut busy, "its one place is taken").await;
}

async fn a_waiting_consumer_gets_what_another_gives_back(desk: &Desk) {
    let mut first = desk.worker(1).await;
    let sent = desk.work(1).await;
    next(&mut first).await;
    let mut second = desk.worker(1).await;
    nothing(&mut second, "the only message is in another's hand").await;
    // Waiting before the message comes back, and woken by it.
    let (delivery, ()) = futures_util::future::join(next(&mut second), async { drop(first) }).await;
    assert_eq!((message(&delivery), delivery.redelivered), (sent[0], true), "a consumer that waits is woken");
    delivery.ack();
}
