//! Each breach, planted in a booking that is sound otherwise.

use chrono::{DateTime, TimeDelta, Utc};
use clinic_client::{BookingView, TimelineView};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Breach, Kind, Overlaps, Told, is_settled, judge};

/// A booking and its timeline, as JSON to plant in.
struct Plot {
    booking: Value,
    events: Vec<Value>,
}

impl Plot {
    fn new(status: &str) -> Self {
        let booking = json!({
            "id": Uuid::now_v7(), "status": status, "reason": null, "message": "", "patient_id": "P", "patient_name": null, "doctor_id": "D",
            "datetime": "2027-03-21T15:30:00Z", "end": "2027-03-21T16:00:00Z", "duration_minutes": 30, "timezone": "UTC", "language": "es",
            "attempts": 1, "created_at": "2027-03-20T00:00:00Z", "decide_by": "2027-03-20T12:00:00Z", "decided_at": null,
            "replay_of": null, "replayed_as": null, "notices": []
        });
        Self { booking, events: Vec::new() }.event(json!({"kind": "accepted"}))
    }

    /// Confirmed at the first attempt and told by log and mail.
    fn confirmed() -> Self {
        Self::new("confirmed").attempt(1).event(json!({"kind": "confirmed"})).sent("confirmed", "log").sent("confirmed", "email")
    }

    fn event(mut self, mut event: Value) -> Self {
        event["seq"] = json!(self.events.len() + 1);
        event["at"] = json!("2027-03-20T00:00:00Z");
        self.events.push(event);
        self
    }

    fn attempt(self, number: u32) -> Self {
        self.event(json!({"kind": "attempt", "attempt": number, "worker": "w", "code": "transient"}))
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        self.booking[field] = value;
        self
    }

    /// A notice in the ledger, not in the timeline.
    fn notice(mut self, event: &str, channel: &str, state: &str, code: Option<&str>) -> Self {
        let notice = json!({"id": Uuid::now_v7(), "event": event, "channel": channel, "state": state, "tries": 1, "code": code,
            "receipt": null, "settled_at": null});
        self.booking["notices"].as_array_mut().unwrap().push(notice);
        self
    }

    fn sent(self, event: &str, channel: &str) -> Self {
        let plot = self.notice(event, channel, "sent", None);
        let id = plot.booking["notices"].as_array().unwrap().last().unwrap()["id"].clone();
        plot.event(json!({"kind": "notice_sent", "attempt": 1, "channel": channel, "notice": id}))
    }

    fn views(&self) -> (BookingView, TimelineView) {
        let booking = serde_json::from_value(self.booking.clone()).unwrap();
        (booking, serde_json::from_value(json!({"events": self.events})).unwrap())
    }

    fn judged_at(&self, now: &str) -> Vec<Kind> {
        let (booking, timeline) = self.views();
        kinds(&judge(&booking, &timeline, 4, now.parse().unwrap()))
    }

    fn judged(&self) -> Vec<Kind> {
        self.judged_at("2027-03-20T00:01:00Z")
    }

    fn is_settled(&self) -> bool {
        let (booking, timeline) = self.views();
        is_settled(&booking, &timeline)
    }
}

fn kinds(breaches: &[Breach]) -> Vec<Kind> {
    breaches.iter().map(|breach| breach.kind).collect()
}

#[test]
fn a_sound_booking_has_no_breach() {
    let attempts = Plot::new("rejected").attempt(1).attempt(2).event(json!({"kind": "attempt_lost", "attempt": 3})).attempt(3).attempt(4);
    let rejected = attempts.event(json!({"kind": "rejected"})).sent("rejected", "log");
    let failed = rejected.notice("rejected", "email", "failed", Some("smtp_refused"));
    let cancelled = Plot::confirmed().with("status", json!("cancelled")).sent("reminder", "log").event(json!({"kind": "cancelled"}));
    let cancelled = cancelled.sent("cancelled", "log").notice("cancelled", "email", "skipped", Some("no_address"));
    for plot in [Plot::confirmed(), failed, cancelled] {
        assert_eq!(plot.judged(), []);
        assert!(plot.is_settled());
    }
}

#[test]
fn a_second_decision_is_a_flip() {
    assert_eq!(Plot::confirmed().with("status", json!("rejected")).event(json!({"kind": "rejected"})).judged(), [Kind::Flipped]);
    assert_eq!(Plot::confirmed().event(json!({"kind": "confirmed"})).judged(), [Kind::Flipped]);
    assert_eq!(Plot::new("confirmed").event(json!({"kind": "cancelled"})).event(json!({"kind": "confirmed"})).judged(), [Kind::Flipped]);
}

#[test]
fn a_status_that_the_timeline_does_not_say_is_a_flip() {
    assert_eq!(Plot::confirmed().with("status", json!("cancelled")).judged(), [Kind::Flipped]);
    assert_eq!(Plot::new("confirmed").judged(), [Kind::Flipped]);
}

#[test]
fn a_fifth_attempt_is_one_too_many() {
    let plot = (1..=5).fold(Plot::new("pending"), |plot, _| plot.attempt(1));
    assert_eq!(plot.judged(), [Kind::Overtried]);
    assert_eq!(Plot::new("pending").attempt(5).judged(), [Kind::Overtried]);
    assert_eq!(Plot::new("pending").with("attempts", json!(5)).judged(), [Kind::Overtried]);
}

#[test]
fn a_notice_that_is_not_settled_is_untold() {
    let waiting = Plot::confirmed().notice("confirmed", "webhook", "pending", Some("timeout"));
    assert_eq!(waiting.judged(), [Kind::Untold]);
    assert!(!waiting.is_settled());
    assert_eq!(Plot::confirmed().notice("confirmed", "webhook", "skipped", None).judged(), [Kind::Untold]);
}

#[test]
fn a_decision_missing_on_a_channel_that_others_were_told_on_is_untold() {
    let mut told = Told::default();
    let (sound, timeline) = Plot::confirmed().views();
    told.note(&sound, &timeline);
    assert_eq!(told.breaches(), []);
    let (poor, timeline) = Plot::new("confirmed").event(json!({"kind": "confirmed"})).sent("confirmed", "log").views();
    told.note(&poor, &timeline);
    assert_eq!(told.breaches(), [Breach::new(Kind::Untold, [poor.id], "confirmed: no notice on email")]);
}

#[test]
fn a_decision_that_nobody_was_told_of_is_untold() {
    let plot = Plot::new("confirmed").event(json!({"kind": "confirmed"}));
    assert!(!plot.is_settled());
    let (booking, timeline) = plot.views();
    let mut told = Told::default();
    told.note(&booking, &timeline);
    assert_eq!(kinds(&told.breaches()), [Kind::Untold]);
}

#[test]
fn a_confirmation_sent_after_the_cancellation_is_out_of_order_on_its_channel_alone() {
    let decided = || Plot::new("cancelled").event(json!({"kind": "confirmed"})).event(json!({"kind": "cancelled"}));
    assert_eq!(decided().sent("cancelled", "log").sent("confirmed", "log").judged(), [Kind::OutOfOrder]);
    assert_eq!(decided().sent("confirmed", "log").sent("cancelled", "log").sent("confirmed", "email").judged(), []);
}

#[test]
fn pending_past_its_deadline_is_undecided() {
    let plot = Plot::new("pending");
    assert_eq!(plot.judged_at("2027-03-20T12:00:01Z"), []);
    assert_eq!(plot.judged_at("2027-03-20T12:01:00Z"), [Kind::Undecided]);
    assert!(!plot.is_settled());
}

/// A booking of a doctor from one minute after an hour to another.
fn slot(doctor: &str, status: &str, from: i64, to: i64) -> BookingView {
    let hour: DateTime<Utc> = "2027-03-21T15:00:00Z".parse().unwrap();
    let mut booking = Plot::new(status).views().0;
    booking.doctor_id = Some(doctor.into());
    (booking.datetime, booking.end) = (hour + TimeDelta::minutes(from), hour + TimeDelta::minutes(to));
    booking
}

#[test]
fn two_active_bookings_of_one_doctor_that_overlap_are_found() {
    let mut overlaps = Overlaps::default();
    let long = slot("D", "confirmed", 0, 60);
    assert_eq!(overlaps.next(&long), None);
    assert_eq!(overlaps.next(&slot("D", "pending", 0, 10)), Some(long.id));
    assert_eq!(overlaps.next(&slot("D", "pending", 50, 55)), Some(long.id), "the longest is remembered");
    assert_eq!(overlaps.next(&slot("D", "pending", 60, 70)), None, "back to back fits");
}

#[test]
fn other_doctors_no_doctor_and_ended_bookings_overlap_nothing() {
    let mut overlaps = Overlaps::default();
    overlaps.next(&slot("D", "confirmed", 0, 60));
    let mut general = slot("D", "confirmed", 0, 60);
    general.doctor_id = None;
    for other in [slot("E", "confirmed", 0, 60), slot("D", "rejected", 0, 60), slot("D", "cancelled", 0, 60), general] {
        assert_eq!(overlaps.next(&other), None);
    }
}
