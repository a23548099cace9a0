//! Requests rendered in place: one buffer, a few bytes changed from one request to the next.

use chrono::{DateTime, Days, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// Doctors, each with as many existing bookings as [`EXISTING`].
pub const DOCTORS: u32 = 1000;
/// Existing bookings of each doctor.
pub const EXISTING: u32 = 100;
/// Half-hour slots of each doctor, from tomorrow on; they end well within a year.
const SLOTS: u32 = 17_000;
/// Every so many slots one is taken by an existing booking.
const EVERY: u32 = SLOTS / EXISTING;
/// Slots that are free at first.
const FREE: u32 = SLOTS - EXISTING;
/// Coprime to [`FREE`], so that multiples of it visit every free slot once, in no order.
const STRIDE: u32 = 7919;
/// So many requests have a slot of their own.
pub const DISTINCT: u64 = DOCTORS as u64 * FREE as u64;

/// Which doctor, when and whom request number `index` is for: no two of the first [`DISTINCT`] overlap, nor any with an
/// existing booking.
#[derive(Clone, Debug)]
pub struct Calendar {
    first: DateTime<Utc>,
}

impl Calendar {
    /// The calendar from the day after `now`.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { first: (now.date_naive() + Days::new(1)).and_time(NaiveTime::MIN).and_utc() }
    }

    /// The start of existing booking number `place` (below [`EXISTING`]) of any doctor.
    #[must_use]
    pub fn existing(&self, place: u32) -> DateTime<Utc> {
        self.slot(place * EVERY)
    }

    /// The doctor's number and the start of request `index`.
    #[must_use]
    pub fn free(&self, index: u64) -> (u32, DateTime<Utc>) {
        let index = index % DISTINCT;
        let (round, doctor) = (index / u64::from(DOCTORS), (index % u64::from(DOCTORS)) as u32);
        let free = (round * u64::from(STRIDE) % u64::from(FREE)) as u32;
        // Steps over the existing ones, which begin each group of EVERY.
        (doctor, self.slot(free + free / (EVERY - 1) + 1))
    }

    fn slot(&self, slot: u32) -> DateTime<Utc> {
        self.first + TimeDelta::minutes(i64::from(slot) * 30)
    }
}

/// A whole `POST /book`, as bytes of fixed length.
#[derive(Clone, Debug)]
pub struct Template {
    calendar: Calendar,
    bytes: Vec<u8>,
    patient: usize,
    doctor: usize,
    time: usize,
}

impl Template {
    /// A template; `host` goes into the header.
    #[must_use]
    pub fn new(calendar: Calendar, host: &str) -> Self {
        let body = br#"{"patient_id":"P000000000","doctor_id":"D0000","datetime":"2000-01-01T00:00:00Z"}"#;
        let head =
            format!("POST /book HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        let bytes = [head.as_bytes(), body].concat();
        let place =
            |mark: &[u8]| head.len() + body.windows(mark.len()).position(|part| part == mark).expect("the mark is in the body above");
        let (patient, doctor, time) = (place(b"P0") + 1, place(b"D0") + 1, place(b"2000-"));
        Self { calendar, bytes, patient, doctor, time }
    }

    /// Request number `index`.
    pub fn render(&mut self, index: u64) -> &[u8] {
        let (doctor, start) = self.calendar.free(index);
        digits(&mut self.bytes[self.patient..self.patient + 9], index);
        digits(&mut self.bytes[self.doctor..self.doctor + 4], doctor.into());
        let time = start.to_rfc3339_opts(SecondsFormat::Secs, true);
        self.bytes[self.time..self.time + time.len()].copy_from_slice(time.as_bytes());
        &self.bytes
    }
}

fn digits(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clinic_core::api::BookRequest;

    use super::*;

    fn calendar() -> Calendar {
        Calendar::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())
    }

    #[test]
    fn no_two_requests_share_a_slot_with_each_other_or_an_existing_booking() {
        let calendar = calendar();
        let mut seen: HashSet<_> = (0..EXISTING).map(|place| (0, calendar.existing(place))).collect();
        for round in 0..u64::from(FREE) {
            let (doctor, start) = calendar.free(round * u64::from(DOCTORS));
            assert!(seen.insert((doctor, start)));
        }
        assert_eq!(seen.len(), SLOTS as usize);
    }

    #[test]
    fn a_rendered_request_is_the_contracts() {
        let mut template = Template::new(calendar(), "localhost");
        let text = String::from_utf8(template.render(1_234_567).to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        let request = BookRequest::from_json(body.as_bytes()).unwrap();
        assert_eq!((request.patient_id.as_deref(), request.doctor_id.as_deref()), (Some("P001234567"), Some("D0567")));
        let start: DateTime<Utc> = request.datetime.unwrap().parse().unwrap();
        assert_eq!(start, calendar().free(1_234_567).1);
    }
}
