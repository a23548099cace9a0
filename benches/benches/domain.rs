//! What the domain costs on the way of every booking.

use std::{hint::black_box, time::Duration};

use chrono::{DateTime, Utc};
use clinic_core::{
    api::{BookRequest, BookingView},
    booking::{Booking, Language},
    id::{BookingId, JobId},
    job::JobKind,
    message::Message,
    request::{self, Defaults},
    slot::Slot,
};
use criterion::{Criterion, criterion_group, criterion_main};

const BODY: &[u8] =
    br#"{"patient_id":"PAC001","doctor_id":"DOC001","datetime":"2027-03-21T15:30:00Z","contact":{"email":"ana@example.org"}}"#;
const WRONG: &[u8] = br#"{"patient_id":7,"doctor":"DOC001","datetime":"2027-03-21T15:30:00Z"}"#;
const DEFAULTS: Defaults = Defaults::new(chrono_tz::UTC, Language::Spanish);

fn read() -> BookRequest {
    BookRequest::from_json(BODY).expect("the body above is valid")
}

fn bodies(criterion: &mut Criterion) {
    let request = read();
    let appointment = request::parse(&request, DEFAULTS).expect("the body above is valid");
    let booking = Booking::accepted(BookingId::generate(), appointment.clone(), Utc::now(), Duration::from_secs(86_400), None);
    criterion.bench_function("body: read", |bench| bench.iter(|| BookRequest::from_json(black_box(BODY))));
    criterion.bench_function("body: refuse", |bench| bench.iter(|| BookRequest::from_json(black_box(WRONG))));
    criterion.bench_function("body: check", |bench| bench.iter(|| request::parse(black_box(&request), DEFAULTS)));
    criterion.bench_function("body: fingerprint", |bench| bench.iter(|| request::fingerprint(black_box(&appointment))));
    criterion.bench_function("answer: make", |bench| bench.iter(|| BookingView::new(black_box(&booking), &[])));
    let view = BookingView::new(&booking, &[]);
    criterion.bench_function("answer: write", |bench| bench.iter(|| serde_json::to_vec(black_box(&view))));
}

fn messages(criterion: &mut Criterion) {
    let message = Message::new(JobId::generate(), JobKind::Decide, BookingId::generate());
    let bytes = message.to_bytes();
    criterion.bench_function("message: write", |bench| bench.iter(|| black_box(&message).to_bytes()));
    criterion.bench_function("message: read", |bench| bench.iter(|| Message::parse(black_box(&bytes))));
}

fn slots(criterion: &mut Criterion) {
    let start = |minute: i64| DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).expect("the year 2027 is a date");
    let slots: Vec<_> = (0..100).map(|place| Slot::new(start(place * 30), 30).expect("half an hour is a slot")).collect();
    let wanted = Slot::new(start(1515), 30).expect("half an hour is a slot");
    criterion.bench_function("slot: overlap with any of 100", |bench| {
        bench.iter(|| slots.iter().any(|slot| black_box(&wanted).overlaps(black_box(slot))));
    });
}

criterion_group!(domain, bodies, messages, slots);
criterion_main!(domain);
