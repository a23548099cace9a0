use std::time::Duration;

use tokio::time::timeout;

use super::{
    checks,
    desk::{Desk, news, next, work},
};
use crate::{id::BookingId, notification::EventKind, ports::Listener, topology::Queue};

checks! {
    every_listener_hears_of_every_decision,
    a_listener_hears_nothing_of_work,
    listening_takes_nothing_from_the_notifiers,
    a_listener_that_is_gone_disturbs_nobody,
}

async fn heard(listener: &mut Box<dyn Listener>) -> BookingId {
    let heard = timeout(Duration::from_secs(10), listener.next()).await.expect("news of a decision is heard");
    heard.expect("the listener's session goes on")
}

async fn every_listener_hears_of_every_decision(desk: &Desk) {
    let (mut one, mut two) = (desk.listener().await, desk.listener().await);
    for kind in EventKind::ALL {
        let told = news(*kind);
        desk.published(&[told]).await;
        assert_eq!(heard(&mut one).await, told.message.booking, "a listener hears of a booking that is {kind}");
        assert_eq!(heard(&mut two).await, told.message.booking, "and so does every other");
    }
}

async fn a_listener_hears_nothing_of_work(desk: &Desk) {
    let mut listener = desk.listener().await;
    let told = news(EventKind::Confirmed);
    desk.published(&[work(), work(), told]).await;
    assert_eq!(heard(&mut listener).await, told.message.booking, "only decisions are news");
}

async fn listening_takes_nothing_from_the_notifiers(desk: &Desk) {
    let mut listener = desk.listener().await;
    desk.published(&[news(EventKind::Rejected)]).await;
    heard(&mut listener).await;
    let mut notifier = desk.consumer(Queue::Notifications, 5).await;
    next(&mut notifier).await.ack();
}

async fn a_listener_that_is_gone_disturbs_nobody(desk: &Desk) {
    let mut stays = desk.listener().await;
    drop(desk.listener().await);
    let told = news(EventKind::Cancelled);
    desk.published(&[told]).await;
    assert_eq!(heard(&mut stays).await, told.message.booking, "those who stay still hear");
}
