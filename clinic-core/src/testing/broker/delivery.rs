use std::{collections::HashSet, task::Context};

use futures_util::{future::join_all, task::noop_waker};

use super::{
    checks,
    desk::{Desk, message, news, next, nothing, work},
};
use crate::{notification::EventKind, ports::Delivery, topology::Queue};

checks! {
    a_message_is_delivered_as_it_was_published,
    messages_are_delivered_in_order,
    each_route_ends_in_its_queue,
    no_more_than_the_prefetch_is_in_hand,
    what_is_acknowledged_is_forgotten,
    what_is_rejected_does_not_come_back,
    an_abandoned_wait_loses_nothing,
    publishing_nothing_answers_nothing,
    waiting_messages_are_counted_if_at_all,
    a_healthy_broker_says_so,
    many_messages_from_many_publishers_all_arrive_once,
}

async fn a_message_is_delivered_as_it_was_published(desk: &Desk) {
    let mut waiting = desk.worker(5).await;
    let sent = desk.work(1).await;
    let delivery = next(&mut waiting).await;
    assert_eq!(message(&delivery), sent[0], "what comes out is what went in");
    assert!(!delivery.redelivered, "a first delivery is not marked as redelivered");
    delivery.ack();
}

async fn messages_are_delivered_in_order(desk: &Desk) {
    let sent = desk.work(300).await;
    let mut consumer = desk.worker(50).await;
    for expected in sent {
        let delivery = next(&mut consumer).await;
        assert_eq!(message(&delivery), expected, "one consumer gets messages in the order they were published in");
        delivery.ack();
    }
}

async fn each_route_ends_in_its_queue(desk: &Desk) {
    let mut sent = vec![work()];
    sent.extend(EventKind::ALL.iter().map(|kind| news(*kind)));
    desk.published(&sent).await;
    let (mut worker, mut notifier) = (desk.worker(10).await, desk.consumer(Queue::Notifications, 10).await);
    for publication in &sent {
        let consumer = if publication.route.queue() == Queue::Bookings { &mut worker } else { &mut notifier };
        let delivery = next(consumer).await;
        assert_eq!(message(&delivery), publication.message, "{:?} goes to its queue", publication.route);
        delivery.ack();
    }
    nothing(&mut worker, "news are no work").await;
    nothing(&mut notifier, "work is no news").await;
}

async fn no_more_than_the_prefetch_is_in_hand(desk: &Desk) {
    desk.work(10).await;
    let mut consumer = desk.worker(3).await;
    let mut hand = Vec::new();
    for _ in 0..3 {
        hand.push(next(&mut consumer).await);
    }
    nothing(&mut consumer, "three of three are unacknowledged").await;
    hand.pop().expect("three are in hand").ack();
    hand.push(next(&mut consumer).await);
    nothing(&mut consumer, "one acknowledgement makes room for one").await;
    // In any order, and all at once.
    hand.into_iter().for_each(Delivery::ack);
    for _ in 0..3 {
        next(&mut consumer).await;
    }
    nothing(&mut consumer, "deliveries dropped without a word stay unacknowledged").await;
}

async fn what_is_acknowledged_is_forgotten(desk: &Desk) {
    desk.work(3).await;
    let mut consumer = desk.worker(10).await;
    for _ in 0..3 {
        next(&mut consumer).await.ack();
    }
    nothing(&mut consumer, "everything was acknowledged").await;
    drop(consumer);
    let mut again = desk.worker(10).await;
    nothing(&mut again, "what was acknowledged does not come back").await;
}

async fn what_is_rejected_does_not_come_back(desk: &Desk) {
    let sent = desk.work(2).await;
    let mut consumer = desk.worker(1).await;
    next(&mut consumer).await.reject();
    let second = next(&mut consumer).await;
    assert_eq!(message(&second), sent[1], "poison makes room for the next message");
    second.ack();
    nothing(&mut consumer, "poison is not delivered again").await;
    drop(consumer);
    let mut again = desk.worker(10).await;
    nothing(&mut again, "nor to anybody else").await;
}

async fn an_abandoned_wait_loses_nothing(desk: &Desk) {
    let mut consumer = desk.worker(100).await;
    let mut seen = Vec::new();
    for sent in join_all((0..5).map(|_| desk.work(10))).await {
        for _ in 0..sent.len() {
            // Begun and given up, as `select!` does.
            if let std::task::Poll::Ready(got) = consumer.next().as_mut().poll(&mut Context::from_waker(&noop_waker())) {
                seen.push(message(&got.expect("the session goes on")));
            }
        }
    }
    while seen.len() < 50 {
        seen.push(message(&next(&mut consumer).await));
    }
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 50, "each message came once");
    nothing(&mut consumer, "fifty were sent").await;
}

async fn publishing_nothing_answers_nothing(desk: &Desk) {
    desk.published(&[]).await;
}

async fn waiting_messages_are_counted_if_at_all(desk: &Desk) {
    desk.work(7).await;
    for (queue, expected) in [(Queue::Bookings, 7), (Queue::Notifications, 0)] {
        if let Some(depth) = desk.broker.depth(queue).await {
            assert_eq!(depth, expected, "the depth of {queue:?} is the number of its waiting messages");
        }
    }
}

async fn a_healthy_broker_says_so(desk: &Desk) {
    if let Err(error) = desk.broker.health() {
        panic!("a broker that works says otherwise: {error}");
    }
}

async fn many_messages_from_many_publishers_all_arrive_once(desk: &Desk) {
    const EACH: usize = 500;
    let publishing = join_all((0..4).map(|_| desk.work(EACH)));
    let mut consumer = desk.worker(64).await;
    let consuming = async {
        let mut got = Vec::new();
        while got.len() < 4 * EACH {
            let delivery = next(&mut consumer).await;
            assert!(!delivery.redelivered, "nothing went wrong, so nothing is redelivered");
            got.push(message(&delivery));
            delivery.ack();
        }
        got
    };
    let (sent, got) = futures_util::future::join(publishing, consuming).await;
    let sent: HashSet<_> = sent.into_iter().flatten().collect();
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), sent, "every message arrives");
    nothing(&mut consumer, "and arrives once").await;
}
