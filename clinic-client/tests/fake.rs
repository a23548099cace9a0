//! The client against the clinic in memory: streams, waits, and every fault at every point.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use clinic_client::{
    BookRequest, Client, Decision, EntryKind, ErrorKind, ProblemCode, Reason, RetryPolicy, Status,
    testing::{FakeClinic, Fault},
};
use futures_util::TryStreamExt;

const SOON: Duration = Duration::from_secs(20);

/// Half an hour of its own for each number.
fn time(number: i64) -> DateTime<Utc> {
    let tomorrow = (Utc::now() + TimeDelta::days(1)).date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    tomorrow + TimeDelta::minutes(30 * number)
}

fn request(number: i64) -> BookRequest {
    BookRequest::at(time(number)).patient(format!("PAC{number}")).doctor("DOC001")
}

fn impatient(clinic: &FakeClinic) -> Client {
    let policy = RetryPolicy::default().base(Duration::from_millis(1)).longest(Duration::from_millis(5));
    clinic.client_builder().timeout(Duration::from_millis(250)).retry(policy).build().unwrap()
}

/// What can go wrong with one request, at every point of it. Time-outs last: they take the longest.
fn faults() -> Vec<Fault> {
    vec![
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::CutAnswer,
        Fault::Garbled,
        Fault::Unavailable(None),
        Fault::TooManyRequests(None),
        Fault::OutcomeUnknown { done: true },
        Fault::OutcomeUnknown { done: false },
        Fault::Slow(Duration::from_secs(1)),
        Fault::Late(Duration::from_millis(300)),
    ]
}

#[tokio::test]
async fn a_thousand_calls_with_faults_at_every_point_make_a_booking_each() {
    let clinic = FakeClinic::start().await.unwrap();
    let client = impatient(&clinic);
    // Every fault, every pair of faults, and then a good answer; after those, pairs without time-outs again.
    let (all, quick) = (faults(), &faults()[..8]);
    let alone = all.iter().map(|fault| vec![*fault]);
    let pairs = all.iter().flat_map(|one| all.iter().map(|other| vec![*one, *other]));
    let again = quick.iter().flat_map(|one| quick.iter().map(|other| vec![*one, *other])).collect::<Vec<_>>();
    let plans: Vec<_> = alone.chain(pairs).chain(again.into_iter().cycle()).take(1000).collect();
    let mut ids = HashSet::new();
    for (number, plan) in plans.iter().enumerate() {
        let before = clinic.calls().len();
        clinic.plan(plan.iter().copied());
        let booking = client.bookings().request(request(number as i64)).send().await.unwrap_or_else(|error| panic!("{plan:?}: {error:?}"));
        assert!(ids.insert(booking.id), "{plan:?}");
        let calls = &clinic.calls()[before..];
        let keys: HashSet<_> = calls.iter().map(|call| call.idempotency_key.clone().unwrap()).collect();
        assert_eq!((calls.len(), keys.len()), (plan.len() + 1, 1), "{plan:?}");
    }
    let booked: HashSet<_> = clinic.bookings().iter().map(|booking| booking.id).collect();
    assert_eq!((clinic.bookings().len(), booked), (1000, ids));
}

#[tokio::test]
async fn three_faults_are_an_error_that_says_so() {
    let clinic = FakeClinic::start().await.unwrap();
    for fault in faults() {
        clinic.plan([fault; 3]);
        let error = impatient(&clinic).bookings().request(request(1)).send().await.unwrap_err();
        assert_eq!(error.attempts, 3, "{fault:?}");
        let is_right = match fault {
            Fault::DropBefore | Fault::DropAfter | Fault::CutAnswer => matches!(error.kind, ErrorKind::Transport(_)),
            Fault::Garbled => matches!(error.kind, ErrorKind::Decode(_)),
            Fault::Slow(_) | Fault::Late(_) => matches!(error.kind, ErrorKind::Timeout),
            Fault::Unavailable(_) => error.code() == Some(ProblemCode::Unavailable),
            Fault::TooManyRequests(_) => error.problem().unwrap().code == "http_429",
            _ => error.code() == Some(ProblemCode::OutcomeUnknown),
        };
        assert!(is_right, "{fault:?}: {error:?}");
        let last = clinic.calls().pop().unwrap();
        assert_eq!((last.request_id, last.fault), (error.request_id, fault));
        for booking in clinic.bookings() {
            clinic.client().bookings().cancel(booking.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_rejection_is_an_answer_and_a_refusal_an_error() {
    let clinic = FakeClinic::builder().decide_with(|_| Some(Decision::Rejected(Reason::Unavailable))).start().await.unwrap();
    let bookings = clinic.client().bookings();
    let booking = bookings.request(request(1)).send().await.unwrap();
    let decided = bookings.wait_until_decided(booking.id).await.unwrap();
    assert_eq!((decided.status, decided.reason), (Status::Rejected.into(), Some(Reason::Unavailable.into())));
    assert_eq!(bookings.cancel(booking.id).await.unwrap_err().code(), Some(ProblemCode::NotCancellable));
    let error = bookings.request(BookRequest::at(time(1))).send().await.unwrap_err();
    assert_eq!(error.fields()[0].field, "patient_id");
}

#[tokio::test]
async fn lists_are_streams_over_their_pages_and_go_on_after_an_error() {
    let clinic = FakeClinic::start().await.unwrap();
    let bookings = clinic.client().bookings();
    for number in 0..7 {
        bookings.request(request(number)).send().await.unwrap();
    }
    let all: Vec<_> = bookings.list().doctor("DOC001").limit(3).stream().try_collect().await.unwrap();
    assert_eq!(all.iter().map(|booking| booking.datetime).collect::<Vec<_>>(), (0..7).map(time).collect::<Vec<_>>());
    assert!(bookings.list().status(Status::Rejected).stream().try_next().await.unwrap().is_none());

    let policy = RetryPolicy::never();
    let mut list = clinic.client_builder().retry(policy).build().unwrap().bookings().list().limit(3).stream();
    for _ in 0..3 {
        assert!(list.try_next().await.unwrap().is_some());
    }
    clinic.plan([Fault::DropBefore]);
    assert!(matches!(list.try_next().await.unwrap_err().kind, ErrorKind::Transport(_)));
    let mut left = 0;
    while list.try_next().await.unwrap().is_some() {
        left += 1;
    }
    assert_eq!(left, 4);
}

#[tokio::test]
async fn what_a_clinic_was_asked_is_shown_without_naming_patients() {
    let clinic = FakeClinic::start().await.unwrap();
    clinic.client().bookings().list().patient("PAC4711").limit(3).send().await.unwrap();
    clinic.client().health().await.unwrap();
    assert!(clinic.calls()[0].path.contains("PAC4711"));
    let shown = format!("{:?}", clinic.calls());
    assert!(!shown.contains("PAC4711") && shown.contains(r#"path: "/bookings", query: ["patient_id", "limit"]"#), "{shown}");
    assert!(shown.contains(r#"path: "/health", query: []"#), "{shown}");
}

#[tokio::test]
async fn events_come_once_and_in_order_over_broken_connections() {
    for fault in faults() {
        let clinic = FakeClinic::builder().undecided().start().await.unwrap();
        let client = impatient(&clinic);
        let booking = client.bookings().request(request(1)).send().await.unwrap();
        clinic.plan([fault, fault, fault, fault]);
        // Moves to another task, as a stream of a service would.
        let events = client.bookings().events(booking.id);
        let following = tokio::spawn(events.map_ok(|event| (event.seq, event.kind.known().unwrap())).try_collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(clinic.decide(booking.id, Decision::Confirmed));
        let seen = tokio::time::timeout(SOON, following).await.unwrap().unwrap().unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert_eq!(seen, [(1, EntryKind::Accepted), (2, EntryKind::Attempt), (3, EntryKind::Confirmed)], "{fault:?}");
    }
}

#[tokio::test]
async fn events_go_on_from_where_they_are_told_and_end_with_what_cannot_be_mended() {
    let clinic = FakeClinic::start().await.unwrap();
    let bookings = clinic.client().bookings();
    let booking = bookings.request(request(1)).send().await.unwrap();
    let mut events = bookings.events(booking.id).after(2);
    assert_eq!(events.try_next().await.unwrap().unwrap().kind, EntryKind::Confirmed);
    assert!(events.try_next().await.unwrap().is_none());
    assert!(events.try_next().await.unwrap().is_none());
    assert!(bookings.events(booking.id).after(3).try_next().await.unwrap().is_none());

    let mut unknown = bookings.events(uuid::Uuid::nil());
    assert_eq!(unknown.try_next().await.unwrap_err().code(), Some(ProblemCode::NotFound));
    assert!(unknown.try_next().await.unwrap().is_none());

    let client = impatient(&clinic);
    drop(clinic);
    let mut away = client.bookings().events(booking.id).max_outage(Duration::from_millis(50));
    assert!(matches!(away.try_next().await.unwrap_err().kind, ErrorKind::Transport(_)));
}

#[tokio::test]
async fn a_wait_ends_with_the_decision_whatever_breaks() {
    let clinic = FakeClinic::builder().undecided().start().await.unwrap();
    let client = impatient(&clinic);
    let booking = client.bookings().request(request(1)).send().await.unwrap();
    clinic.plan(faults());
    let waiting = tokio::spawn(client.bookings().wait_until_decided(booking.id).max_wait(Duration::MAX).into_future());
    tokio::time::sleep(Duration::from_millis(50)).await;
    clinic.decide(booking.id, Decision::Rejected(Reason::DeadlinePassed));
    let decided = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(decided.reason, Some(Reason::DeadlinePassed.into()));
    let unknown = client.bookings().wait_until_decided(uuid::Uuid::nil()).await.unwrap_err();
    assert_eq!(unknown.code(), Some(ProblemCode::NotFound));
}

#[tokio::test]
async fn dead_letters_are_listed_tried_and_replayed_once() {
    let clinic = FakeClinic::builder().undecided().start().await.unwrap();
    let client = clinic.client();
    let booking = client.bookings().request(request(1)).send().await.unwrap();
    clinic.decide(booking.id, Decision::Rejected(Reason::AvailabilityUnreachable));
    let desk = client.dead_letters();
    let letters: Vec<_> = desk.list().code("availability_unreachable").replayed(false).stream().try_collect().await.unwrap();
    assert_eq!((letters.len(), letters[0].booking), (1, booking.id));
    assert!(desk.replay(letters[0].id).dry_run(true).send().await.unwrap().dry_run);
    let replayed = desk.replay(letters[0].id).send().await.unwrap();
    assert_eq!(replayed.dead_letter.replayed_as, Some(clinic.bookings()[1].id));
    assert!(clinic.calls().last().unwrap().idempotency_key.is_some());
    assert_eq!(desk.replay(letters[0].id).send().await.unwrap_err().code(), Some(ProblemCode::AlreadyReplayed));
    assert_eq!(desk.get(letters[0].id).await.unwrap().replayed_as, replayed.dead_letter.replayed_as);
}

#[tokio::test]
async fn a_token_opens_it() {
    let clinic = FakeClinic::builder().token("0123456789abcdef").start().await.unwrap();
    assert!(clinic.client().bookings().list().send().await.is_ok());
    let stranger = Client::builder(&clinic.url()).build().unwrap();
    assert_eq!(stranger.bookings().list().send().await.unwrap_err().code(), Some(ProblemCode::Unauthorized));
    assert!(stranger.health().await.is_ok());
}

#[tokio::test]
async fn webhooks_are_registered_shown_and_removed() {
    let clinic = FakeClinic::start().await.unwrap();
    let webhooks = clinic.client().webhooks();
    let made = webhooks.register("https://hooks.example.org/clinic").send().await.unwrap();
    let again = webhooks.register("https://hooks.example.org/clinic").send().await.unwrap_err();
    assert_eq!(again.code(), Some(ProblemCode::WebhookExists));
    assert_eq!(webhooks.register("ftp://hooks.example.org").send().await.unwrap_err().fields()[0].field, "url");
    let id = made.webhook.id;
    let renewed = webhooks.renew_secret(id).await.unwrap();
    assert!(renewed.secret != made.secret && renewed.webhook.former_until.is_some());
    assert!(webhooks.test(id).await.unwrap().delivered);
    assert_eq!(webhooks.enable(id).await.unwrap(), webhooks.get(id).await.unwrap());
    assert_eq!(webhooks.list().await.unwrap().items.len(), 1);
    // The answer to the removal is lost, and the next try finds nothing.
    clinic.plan([Fault::DropAfter]);
    webhooks.remove(id).await.unwrap();
    assert!(webhooks.list().await.unwrap().items.is_empty());
    assert_eq!(webhooks.get(id).await.unwrap_err().code(), Some(ProblemCode::NotFound));
}
