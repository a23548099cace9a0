//! A clinic with ports of its developers' own: what they fail at is stored, told and kept as it should be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use clinic_core::{
    api::BookRequest,
    id::BookingId,
    notification::Notice,
    ports::{Availability, AvailabilityError, Channel, ChannelError, Receipt, Request, Verdict},
    retry::RetryPolicy,
};
use clinic_tests::{
    checker::{Expected, Facts},
    eventually::eventually,
    in_process::ClinicInProcess,
};
use tokio::sync::Notify;

use crate::day;

fn request(number: u64) -> BookRequest {
    BookRequest {
        patient_id: Some(format!("PAC{number}")),
        doctor_id: Some("DOC001".into()),
        datetime: Some(day(10 + number).to_rfc3339()),
        ..BookRequest::default()
    }
}

/// Says yes, or whatever the test tells it to do before.
#[derive(Default)]
struct Calendar {
    refuses: bool,
    panics: bool,
    gate: Option<Arc<Notify>>,
    asked: AtomicU32,
    released: AtomicU32,
    releases_fail: AtomicBool,
}

/// The test keeps a share of it.
struct Shared(Arc<Calendar>);

#[async_trait]
impl Availability for Shared {
    async fn check(&self, _: &Request) -> Result<Verdict, AvailabilityError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.0.gate {
            gate.notified().await;
        }
        assert!(!self.0.panics, "a calendar that panics");
        if self.0.refuses { Err(AvailabilityError::permanent("no such doctor here: PAC0")) } else { Ok(Verdict::Available) }
    }

    async fn release(&self, _: BookingId) -> Result<(), AvailabilityError> {
        if self.0.releases_fail.swap(false, Ordering::SeqCst) {
            return Err(AvailabilityError::transient("busy"));
        }
        self.0.released.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Fails as often as it is told to.
struct Push {
    failures: AtomicU32,
    permanent: bool,
}

#[async_trait]
impl Channel for Push {
    fn name(&self) -> &str {
        "push"
    }

    async fn send(&self, _: &Notice) -> Result<Receipt, ChannelError> {
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            let source = "the provider's own words".into();
            return Err(match self.permanent {
                true => ChannelError::Permanent { code: "no_such_device", source },
                false => ChannelError::Transient { code: "provider_busy", retry_after: None, source },
            });
        }
        Ok(Receipt::with_reference("receipt-1"))
    }

    fn retry(&self) -> RetryPolicy {
        RetryPolicy::new(2, Duration::from_millis(20), 1.0, 0.0).unwrap()
    }
}

fn with_push() -> Expected {
    Expected { channels: vec!["log".into(), "push".into()], ..Expected::finished() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_that_refuses_is_asked_once_and_its_words_stay_outside() {
    let calendar = Arc::new(Calendar { refuses: true, ..Calendar::default() });
    let clinic = ClinicInProcess::start(|builder| builder.availability(Shared(Arc::clone(&calendar)))).await;
    let id = clinic.book(&request(0)).await.id;
    clinic.at_rest(Duration::from_secs(20)).await;
    let facts = Facts::read(clinic.store()).unwrap();
    assert_eq!(facts.bookings[&id.uuid()].reason.as_deref(), Some("availability_refused"));
    assert_eq!(calendar.asked.load(Ordering::SeqCst), 1);
    let held = std::fs::read(clinic.store()).unwrap();
    assert!(!String::from_utf8_lossy(&held).contains("no such doctor"), "a foreign text was stored");
    clinic.finish(&Expected::finished()).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_that_panics_costs_attempts_and_not_the_clinic() {
    let calendar = Arc::new(Calendar { panics: true, ..Calendar::default() });
    let policy = RetryPolicy::new(3, Duration::from_millis(20), 1.0, 0.0).unwrap();
    let clinic = ClinicInProcess::start(|builder| builder.availability(Shared(Arc::clone(&calendar))).retry(policy)).await;
    clinic.book(&request(0)).await;
    clinic.at_rest(Duration::from_secs(20)).await;
    assert_eq!(calendar.asked.load(Ordering::SeqCst), 4);
    clinic.finish(&Expected::finished()).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_check_reserved_is_given_back_after_every_end_but_a_confirmation() {
    let gate = Arc::new(Notify::new());
    let calendar = Arc::new(Calendar { gate: Some(Arc::clone(&gate)), releases_fail: AtomicBool::new(true), ..Calendar::default() });
    // A release waits for the end of the lease under which the calendar may still be asked.
    let mut settings = clinic_tests::in_process::settings();
    (settings.attempt_timeout, settings.lease) = (Duration::from_secs(2), Duration::from_secs(3));
    let clinic = ClinicInProcess::start(|builder| builder.availability(Shared(Arc::clone(&calendar))).settings(settings)).await;
    // Cancelled while the calendar is being asked: its late answer decides nothing and is given back.
    let late = clinic.book(&request(0)).await.id;
    eventually("the question", Duration::from_secs(10), || async { (calendar.asked.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    clinic.cancel(late).await;
    gate.notify_one();
    eventually("a release", Duration::from_secs(60), || async { (calendar.released.load(Ordering::SeqCst) >= 1).then_some(()) }).await;
    assert_eq!(Facts::read(clinic.store()).unwrap().bookings[&late.uuid()].status, "cancelled");
    // Confirmed: kept. Then cancelled: given back.
    let kept = clinic.book(&request(1)).await.id;
    let before = calendar.released.load(Ordering::SeqCst);
    gate.notify_one();
    let record = clinic.clinic().wait_until_decided(kept, Duration::from_secs(20)).await.unwrap().unwrap();
    assert_eq!(record.booking.status.as_str(), "confirmed");
    clinic.cancel(kept).await;
    eventually("another release", Duration::from_secs(60), || async { (calendar.released.load(Ordering::SeqCst) > before).then_some(()) })
        .await;
    clinic.at_rest(Duration::from_secs(60)).await;
    clinic.finish(&Expected::finished()).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_fails_for_a_while_is_tried_again_and_delays_no_other() {
    let push = Push { failures: AtomicU32::new(2), permanent: false };
    let clinic = ClinicInProcess::start(|builder| builder.availability(Shared(Arc::default())).channel(push)).await;
    let id = clinic.book(&request(0)).await.id;
    clinic.at_rest(Duration::from_secs(20)).await;
    let facts = Facts::read(clinic.store()).unwrap();
    assert!(facts.notices[&id.uuid()].iter().all(|notice| notice.state == "sent"), "{:?}", facts.notices);
    let retries = facts.timeline[&id.uuid()].iter().filter(|entry| entry.kind == "notice_retry").count();
    assert_eq!(retries, 2);
    clinic.finish(&with_push()).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_fails_for_good_is_kept_as_a_dead_letter() {
    for permanent in [true, false] {
        let push = Push { failures: AtomicU32::new(3), permanent };
        let clinic = ClinicInProcess::start(|builder| builder.availability(Shared(Arc::default())).channel(push)).await;
        let id = clinic.book(&request(0)).await.id;
        clinic.at_rest(Duration::from_secs(20)).await;
        let facts = Facts::read(clinic.store()).unwrap();
        let letters = &facts.dead_letters[&id.uuid()];
        let code = if permanent { "no_such_device" } else { "provider_busy" };
        assert_eq!((letters.len(), letters[0].kind.as_str(), letters[0].code.as_str()), (1, "notice", code));
        assert_eq!(letters[0].attempts, if permanent { 1 } else { 3 });
        clinic.finish(&with_push()).await.assert_clean();
    }
}

/// A cancellation overtakes the confirmation that its channel has not taken yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_notice_is_skipped_and_says_so() {
    let push = Push { failures: AtomicU32::new(1), permanent: false };
    let clinic = ClinicInProcess::start(|builder| {
        let mut settings = clinic_tests::in_process::settings();
        settings.sweep = Duration::from_secs(3);
        builder.availability(Shared(Arc::default())).channel(Slow(push)).settings(settings)
    })
    .await;
    let id = clinic.book(&request(0)).await.id;
    eventually("a failed try", Duration::from_secs(20), || async {
        let facts = Facts::read(clinic.store()).unwrap();
        facts.timeline.get(&id.uuid())?.iter().any(|entry| entry.kind == "notice_retry").then_some(())
    })
    .await;
    clinic.cancel(id).await;
    clinic.at_rest(Duration::from_secs(30)).await;
    let facts = Facts::read(clinic.store()).unwrap();
    let push: Vec<_> = facts.notices[&id.uuid()].iter().filter(|notice| notice.channel == "push").collect();
    assert_eq!((push[0].state.as_str(), push[0].code.as_deref()), ("skipped", Some("superseded")));
    assert_eq!(push[1].state, "sent");
    clinic.finish(&with_push()).await.assert_clean();
}

/// The same channel, whose next try is far away.
struct Slow(Push);

#[async_trait]
impl Channel for Slow {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn send(&self, notice: &Notice) -> Result<Receipt, ChannelError> {
        self.0.send(notice).await
    }

    fn retry(&self) -> RetryPolicy {
        RetryPolicy::new(2, Duration::from_secs(600), 1.0, 0.0).unwrap()
    }
}
