use std::collections::HashSet;

use futures_util::future::{join, join_all};

use super::{
    checks,
    desk::{Desk, message, next, nothing},
};

checks! {
    consumers_of_one_queue_share_its_messages,
    no_consumer_is_passed_over,
    a_consumer_that_waits_is_woken_by_a_message,
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

async fn no_consumer_is_passed_over(desk: &Desk) {
    let (mut one, mut two) = (desk.worker(40).await, desk.worker(40).await);
    desk.work(40).await;
    // Each could take all forty; both are asked until forty have come.
    let (mut first, mut second) = (0, 0);
    while first + second < 40 {
        tokio::select! {
            _ = next(&mut one) => first += 1,
            _ = next(&mut two) => second += 1,
        }
    }
    assert!(first >= 10 && second >= 10, "of forty messages one consumer got {first} and the other {second}");
}

async fn a_consumer_that_waits_is_woken_by_a_message(desk: &Desk) {
    let mut consumer = desk.worker(1).await;
    let (delivery, sent) = join(next(&mut consumer), desk.work(2)).await;
    assert_eq!(message(&delivery), sent[0], "a waiting consumer is woken by a message");
    // The second finds room only once the first is acknowledged.
    let (delivery, ()) = join(next(&mut consumer), async { delivery.ack() }).await;
    assert_eq!(message(&delivery), sent[1], "and by the room it makes itself");
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
    let (delivery, ()) = join(next(&mut second), async { drop(first) }).await;
    assert_eq!((message(&delivery), delivery.redelivered), (sent[0], true), "a consumer that waits is woken");
    delivery.ack();
}
