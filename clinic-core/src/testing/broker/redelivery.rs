use super::{
    checks,
    desk::{Desk, message, next, nothing},
};
use crate::ports::Delivery;

checks! {
    what_a_lost_consumer_held_comes_back_first_and_in_order,
    what_no_consumer_took_is_not_lost_with_it,
    a_cancelled_consumer_gets_no_more_and_may_still_acknowledge,
    what_a_cancelled_consumer_holds_comes_back_when_it_goes,
    a_late_acknowledgement_is_harmless,
}

async fn what_a_lost_consumer_held_comes_back_first_and_in_order(desk: &Desk) {
    let sent = desk.work(6).await;
    let mut lost = desk.worker(4).await;
    for n in 0..4 {
        let delivery = next(&mut lost).await;
        if n == 1 {
            delivery.ack();
        }
    }
    drop(lost);
    let mut heir = desk.worker(10).await;
    for (at, redelivered) in [(0, true), (2, true), (3, true)] {
        let delivery = next(&mut heir).await;
        assert_eq!(message(&delivery), sent[at], "unacknowledged messages come back before younger ones, in order");
        assert_eq!(delivery.redelivered, redelivered, "and are marked as redelivered");
        delivery.ack();
    }
    // Whether the lost consumer's buffer had the next one already is the broker's own affair.
    for at in [4, 5] {
        let delivery = next(&mut heir).await;
        assert_eq!(message(&delivery), sent[at], "then comes what nobody had");
        delivery.ack();
    }
    nothing(&mut heir, "everything was acknowledged").await;
}

async fn what_no_consumer_took_is_not_lost_with_it(desk: &Desk) {
    let sent = desk.work(5).await;
    drop(desk.worker(10).await);
    let mut heir = desk.worker(10).await;
    for expected in sent {
        assert_eq!(message(&next(&mut heir).await), expected, "a consumer that took nothing takes nothing with it");
    }
}

async fn a_cancelled_consumer_gets_no_more_and_may_still_acknowledge(desk: &Desk) {
    let sent = desk.work(5).await;
    let mut cancelled = desk.worker(3).await;
    let hand = [next(&mut cancelled).await, next(&mut cancelled).await];
    cancelled.cancel().await;
    // What was on its way when it was cancelled may still be handed out; then it ends.
    let mut late = Vec::new();
    while let Some(delivery) =
        tokio::time::timeout(std::time::Duration::from_secs(10), cancelled.next()).await.expect("a cancelled consumer ends")
    {
        late.push(delivery);
    }
    assert!(late.len() <= 1, "a cancelled consumer gets at most what its prefetch allowed");
    let taken = 2 + late.len();
    hand.into_iter().chain(late).for_each(Delivery::ack);
    let mut heir = desk.worker(10).await;
    for expected in &sent[taken..] {
        let delivery = next(&mut heir).await;
        assert_eq!(message(&delivery), *expected, "others get the rest while it still lives");
        delivery.ack();
    }
    drop(cancelled);
    nothing(&mut heir, "what it acknowledged after its cancellation is acknowledged").await;
}

async fn what_a_cancelled_consumer_holds_comes_back_when_it_goes(desk: &Desk) {
    let sent = desk.work(1).await;
    let mut cancelled = desk.worker(1).await;
    let _in_hand = next(&mut cancelled).await;
    cancelled.cancel().await;
    let mut heir = desk.worker(10).await;
    nothing(&mut heir, "it is still in the cancelled consumer's hand").await;
    drop(cancelled);
    let delivery = next(&mut heir).await;
    assert_eq!((message(&delivery), delivery.redelivered), (sent[0], true), "when it goes without a word, the message comes back");
    delivery.ack();
}

async fn a_late_acknowledgement_is_harmless(desk: &Desk) {
    let sent = desk.work(2).await;
    let mut lost = desk.worker(2).await;
    let late = [next(&mut lost).await, next(&mut lost).await];
    drop(lost);
    let mut heir = desk.worker(2).await;
    let held = next(&mut heir).await;
    let [first, second] = late;
    first.ack();
    second.reject();
    assert_eq!(message(&held), sent[0], "the messages came back");
    drop((held, heir));
    let mut last = desk.worker(2).await;
    for expected in sent {
        let delivery = next(&mut last).await;
        assert_eq!((message(&delivery), delivery.redelivered), (expected, true), "a lost consumer's word on them counts no more");
        delivery.ack();
    }
}
