//! Mails and webhooks to servers that refuse by a seed, while notifiers are killed: each is told once, in order, and signed.

use std::time::Duration;

use clinic_tests::{
    checker::{Expected, Facts},
    cluster::{Cluster, Part},
    eventually::eventually,
    load::Load,
    mailbox::{Mailbox, Pattern},
    rabbit::Rabbit,
    receiver::{Manner, Receiver},
    size::{figure, sized},
};

use super::{cancel_every, settled_as};
use crate::{
    called::{Endpoint, calling},
    told::mailing,
};

const SEED: u64 = 4;
/// Thousands of notices, refused again and again.
const TOLD_WITHIN: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_hears_of_everything_though_they_refuse_and_notifiers_are_killed() {
    let (bookings, kills) = sized((200, 2), (2_000, 5));
    let rabbit = Rabbit::shared().await;
    let mailbox = Mailbox::start(Pattern::Refusing(SEED));
    let receiver = Receiver::start(Manner::Refusing(SEED)).await;
    let plan = Cluster::over(&rabbit).set_all(mailing(&mailbox)).set_all(calling()).set("CLINIC_SIM_APPROVE", "0.8");
    // Mails wait for each other at the usual concurrency, and each is refused up to five times.
    let mut cluster = plan.set("CLINIC_CHANNELS", "log,email,webhook").set("CLINIC_MAIL_CONCURRENCY", "64").start().await;
    let endpoint = Endpoint::register(&cluster.http(), &receiver).await;
    let (http, load) = (cluster.http(), Load::steady("told", 50.0, bookings).insisting());
    let driving = tokio::spawn(async move { load.run(&http).await });
    // A signature is verified soon after it came: the specification lets none grow old.
    let mut verified = 0;
    for kill in 0..kills {
        let heard = bookings * (kill + 1) / (kills + 1);
        eventually("more mails", Duration::from_secs(300), || async { (mailbox.mails().len() >= heard).then_some(()) }).await;
        cluster.kill9(Part::Notifier(0));
        cluster.start(Part::Notifier(0));
        verified += receiver.verify_new(&endpoint.secret);
    }
    let cancelled = cancel_every(&cluster, 10, bookings).await;
    let answers = driving.await.unwrap();
    verified += receiver.verify_new(&endpoint.secret);
    cluster.at_rest(TOLD_WITHIN).await;
    verified += receiver.verify_new(&endpoint.secret);
    // Nobody gave up: all that was not overtaken was told.
    let facts = Facts::read(cluster.setup().store()).unwrap();
    let told = facts.notices.values().flatten().filter(|row| row.state == "sent").count();
    let given_up = facts.notices.values().flatten().filter(|row| row.state != "sent" && row.code.as_deref() != Some("superseded")).count();
    assert_eq!(given_up, 0);
    let (attempts, taken) = (receiver.attempts_so_far(), receiver.taken().len());
    assert!(attempts > taken, "the receiver refused nothing");
    assert_eq!(verified, attempts);
    figure(&format!("told for real: {taken} of {attempts} webhooks taken, all signatures verified"));
    let (mails, refusals) = (mailbox.mails().len(), mailbox.refusals());
    assert!(refusals > 0 && mails > told / 2 && cancelled > 0, "nobody refused or repeated anything: {mails} mails, {refusals} refusals");
    figure(&format!(
        "told for real: {kills} kills of notifiers, {told} notices, {mails} mails taken, {refusals} refused, {cancelled} cancelled"
    ));
    cluster.observed().told(mailbox.told());
    cluster.observed().told(receiver.told(endpoint.id));
    let expected = Expected::finished().kills_only().watching("email").watching(&endpoint.channel());
    settled_as(expected, cluster, "told for real", answers, bookings).await;
}
