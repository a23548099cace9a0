//! Mails to patients whose server refuses by a seed, while notifiers are killed: each is told once, in order.

use std::time::Duration;

use clinic_tests::{
    checker::{Expected, Facts},
    cluster::{Cluster, Part},
    eventually::eventually,
    load::Load,
    mailbox::{Mailbox, Pattern},
    rabbit::Rabbit,
    size::{figure, sized},
};

use super::{SETTLES_WITHIN, cancel_every, settled_as};
use crate::told::mailing;

const SEED: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_hears_of_everything_though_they_refuse_and_notifiers_are_killed() {
    let (bookings, kills) = sized((200, 2), (2_000, 5));
    let rabbit = Rabbit::shared().await;
    let mailbox = Mailbox::start(Pattern::Refusing(SEED));
    let mut cluster = Cluster::over(&rabbit).set_all(mailing(&mailbox)).set("CLINIC_SIM_APPROVE", "0.8").start().await;
    let (http, load) = (cluster.http(), Load::new("told", 16, bookings).by_mail().insisting().at_most_per_second(50.0));
    let driving = tokio::spawn(async move { load.run(&http).await });
    for kill in 0..kills {
        let heard = bookings * (kill + 1) / (kills + 1);
        eventually("more mails", Duration::from_secs(300), || async { (mailbox.mails().len() >= heard).then_some(()) }).await;
        cluster.kill9(Part::Notifier(0));
        cluster.start(Part::Notifier(0));
    }
    let cancelled = cancel_every(&cluster, 10, bookings).await;
    let tally = driving.await.unwrap();
    cluster.at_rest(SETTLES_WITHIN).await;
    // Nobody gave up: all that was not overtaken was told.
    let facts = Facts::read(cluster.setup().store()).unwrap();
    let told = facts.notices.values().flatten().filter(|row| row.state == "sent").count();
    let given_up = facts.notices.values().flatten().filter(|row| row.state != "sent" && row.code.as_deref() != Some("superseded")).count();
    assert_eq!(given_up, 0);
    let (mails, refusals) = (mailbox.mails().len(), mailbox.refusals());
    assert!(refusals > 0 && mails > told / 2 && cancelled > 0, "nobody refused or repeated anything: {mails} mails, {refusals} refusals");
    figure(&format!(
        "told for real: {kills} kills of notifiers, {told} notices, {mails} mails taken, {refusals} refused, {cancelled} cancelled"
    ));
    cluster.observed().told(mailbox.told());
    let expected = Expected::finished().kills_only().watching("email");
    settled_as(expected, cluster, "told for real", tally, bookings).await;
}
