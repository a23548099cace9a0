//! A clinic that does as scripted.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use clinic_client::{BookRequest, Client, RetryPolicy};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, path_regex},
};

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn client(server: &MockServer) -> Client {
    Client::builder(&server.uri()).retry(RetryPolicy::never()).build().unwrap()
}

/// A clinic that confirms at once, takes each slot once and can forget what it accepted.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    kept: Arc<Mutex<Vec<Kept>>>,
    /// How long after its making each is decided, and told.
    pace: Arc<Mutex<(TimeDelta, TimeDelta)>>,
}

#[derive(Clone)]
struct Kept {
    id: Uuid,
    doctor: String,
    start: String,
    /// Pending, and by then to be decided; confirmed without it.
    decide_by: Option<DateTime<Utc>>,
}

impl Scripted {
    pub(crate) async fn start(&self, answer_after: Duration) -> MockServer {
        let server = MockServer::start().await;
        let book = self.clone();
        let respond = move |request: &Request| book.book(request).set_delay(answer_after);
        Mock::given(method("POST")).and(path("/book")).respond_with(respond).mount(&server).await;
        let health = json!({"status": "ok", "store": "ok", "broker": "ok"});
        Mock::given(path("/health")).respond_with(ResponseTemplate::new(200).set_body_json(health)).mount(&server).await;
        let list = self.clone();
        Mock::given(method("GET")).and(path("/bookings")).respond_with(move |_: &Request| list.list()).mount(&server).await;
        let get = self.clone();
        let respond = move |request: &Request| get.get(request);
        Mock::given(method("GET")).and(path_regex("^/booking/")).respond_with(respond).mount(&server).await;
        server
    }

    pub(crate) fn keep(&self, id: Uuid, doctor: &str, start: &str) {
        self.kept.lock().unwrap().push(Kept { id, doctor: doctor.into(), start: start.into(), decide_by: None });
    }

    /// Books the slot of a kept booking once more.
    pub(crate) fn double(&self, id: Uuid) -> Uuid {
        let kept = self.kept.lock().unwrap().iter().find(|kept| kept.id == id).unwrap().clone();
        let double = Uuid::now_v7();
        self.keep(double, &kept.doctor, &kept.start);
        double
    }

    /// Leaves a kept booking pending, to be decided by then.
    pub(crate) fn hold(&self, id: Uuid, decide_by: DateTime<Utc>) {
        self.kept.lock().unwrap().iter_mut().filter(|kept| kept.id == id).for_each(|kept| kept.decide_by = Some(decide_by));
    }

    /// Says of each booking that it was decided, and told, so long after it was made.
    pub(crate) fn decided_after(&self, decided: TimeDelta, told: TimeDelta) {
        *self.pace.lock().unwrap() = (decided, told);
    }

    pub(crate) fn forget(&self, id: Uuid) {
        self.kept.lock().unwrap().retain(|kept| kept.id != id);
    }

    fn pace(&self) -> (TimeDelta, TimeDelta) {
        *self.pace.lock().unwrap()
    }

    fn book(&self, request: &Request) -> ResponseTemplate {
        let body: BookRequest = serde_json::from_slice(&request.body).unwrap();
        let kept = Kept { id: Uuid::now_v7(), doctor: body.doctor_id.unwrap(), start: body.datetime.unwrap(), decide_by: None };
        let mut all = self.kept.lock().unwrap();
        if all.iter().any(|other| (&other.doctor, &other.start) == (&kept.doctor, &kept.start)) {
            return problem(409, "slot_taken");
        }
        let answer = ResponseTemplate::new(202).set_body_json(kept.view("pending", self.pace()));
        all.push(kept);
        answer
    }

    fn list(&self) -> ResponseTemplate {
        let mut kept = self.kept.lock().unwrap().clone();
        kept.sort_by(|one, other| (&one.start, one.id).cmp(&(&other.start, other.id)));
        let items: Vec<_> = kept.iter().map(|kept| kept.view(kept.status(), self.pace())).collect();
        ResponseTemplate::new(200).set_body_json(json!({"items": items, "next_cursor": null}))
    }

    fn get(&self, request: &Request) -> ResponseTemplate {
        let mut segments = request.url.path_segments().unwrap().skip(1);
        let id: Uuid = segments.next().unwrap().parse().unwrap();
        let kept = self.kept.lock().unwrap();
        match (kept.iter().find(|kept| kept.id == id), segments.next()) {
            (Some(kept), None) => ResponseTemplate::new(200).set_body_json(kept.view(kept.status(), self.pace())),
            (Some(kept), Some(_)) => ResponseTemplate::new(200).set_body_json(kept.timeline()),
            (None, _) => problem(404, "not_found"),
        }
    }
}

impl Kept {
    fn status(&self) -> &'static str {
        if self.decide_by.is_some() { "pending" } else { "confirmed" }
    }

    fn view(&self, status: &str, (decided, told): (TimeDelta, TimeDelta)) -> Value {
        let made: DateTime<Utc> = "2027-03-20T00:00:00Z".parse().unwrap();
        let decided_at = (status != "pending").then(|| made + decided);
        let notice = json!({"id": self.id, "event": status, "channel": "log", "state": "sent", "tries": 1, "code": null, "receipt": null,
            "settled_at": made + told});
        let end = self.start.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(30);
        json!({
            "id": self.id, "status": status, "reason": null, "message": "", "patient_id": "P", "patient_name": null,
            "doctor_id": self.doctor, "datetime": self.start, "end": end, "duration_minutes": 30, "timezone": "UTC", "language": "es",
            "attempts": 1, "created_at": made, "decide_by": self.decide_by.unwrap_or_default(), "decided_at": decided_at,
            "replay_of": null, "replayed_as": null, "notices": if status == "pending" { json!([]) } else { json!([notice]) }
        })
    }

    fn timeline(&self) -> Value {
        let at = "2027-03-20T00:00:00Z";
        if self.decide_by.is_some() {
            return json!({"events": [{"seq": 1, "at": at, "kind": "accepted"}]});
        }
        json!({"events": [
            {"seq": 1, "at": at, "kind": "accepted"},
            {"seq": 2, "at": at, "kind": "attempt", "attempt": 1, "worker": "w", "code": "available"},
            {"seq": 3, "at": at, "kind": "confirmed"},
            {"seq": 4, "at": at, "kind": "notice_sent", "attempt": 1, "channel": "log", "notice": self.id},
        ]})
    }
}

fn problem(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"type": "about:blank", "title": "T", "status": status, "code": code}))
}
