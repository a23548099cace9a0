//! Who asks for what: drawn from a seed, so that a run can be made again.

mod calendar;
mod mix;
mod prefix;
mod share;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use clinic_client::{BookRequest, BookingView, ContactBody};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use self::calendar::Calendar;
pub use self::{
    mix::{Mix, MixError, Operation},
    prefix::{Prefix, PrefixError},
    share::{Share, ShareError},
};
use crate::chance::stream;

/// Minutes of a drawn visit, and of the grid it starts on.
const MINUTES: u32 = 30;
/// So many slots are hot, or all, if there are fewer.
const HOT: u32 = 10;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Visit {
    /// The doctor.
    pub doctor: String,
    /// When it starts.
    pub start: DateTime<Utc>,
    /// When it ends.
    pub end: DateTime<Utc>,
}

impl Visit {
    /// A visit.
    #[must_use]
    pub const fn new(doctor: String, start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        Self { doctor, start, end }
    }

    /// The visit that a booking is of.
    pub(crate) fn of(booking: &BookingView) -> Self {
        Self { doctor: booking.doctor_id.clone().unwrap_or_default(), start: booking.datetime, end: booking.end }
    }
}

/// What an arrival is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Arrival {
    /// What it does.
    pub operation: Operation,
    /// Who asks.
    pub patient: String,
    /// What is asked for; a list is of its doctor.
    pub visit: Visit,
    /// Whether the patient gives a name and an e-mail address.
    pub with_contact: bool,
    /// Uniform in `[0, 1)`: which of the bookings made so far is read.
    pub(crate) which: f64,
}

impl Arrival {
    /// Its request for a booking.
    #[must_use]
    pub fn request(&self) -> BookRequest {
        let mut request = BookRequest::at(self.visit.start).patient(&*self.patient).doctor(&*self.visit.doctor);
        if self.with_contact {
            request.patient_name = Some(format!("Paciente {}", self.patient));
            request.contact = Some(ContactBody { email: Some(self.email()), ..ContactBody::default() });
        }
        request
    }

    /// The patient's e-mail address, which is nobody's: of a domain for tests (RFC 2606).
    #[must_use]
    pub fn email(&self) -> String {
        format!("{}@patients.test", self.patient)
    }
}

/// Draws requests. Number `n` of a seed is the same in every run of a day, whoever sends it and when; which booking is read or
/// cancelled depends on what was accepted by then.
#[derive(Clone, Debug)]
pub struct Draw {
    seed: u64,
    prefix: Prefix,
    patients: Option<u64>,
    with_contacts: bool,
    calendar: Calendar,
    hot: Share,
    mix: Mix,
    first: DateTime<Utc>,
}

impl Draw {
    /// Requests for `doctors` doctors with `slots` slots each, from the day after `now` on (UTC). No two ask for the same slot before
    /// each slot was asked for once.
    #[must_use]
    pub fn new(seed: u64, doctors: u32, slots: u32, now: DateTime<Utc>) -> Self {
        let first = (now.date_naive() + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
        Self {
            seed,
            prefix: Prefix::default(),
            patients: None,
            with_contacts: false,
            calendar: Calendar::new(seed, doctors, slots),
            hot: Share::default(),
            mix: Mix::default(),
            first,
        }
    }

    /// With this before the names of all doctors and patients: draws with other prefixes never meet, whatever their seeds.
    #[must_use]
    pub fn prefix(mut self, prefix: Prefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// With a name and an e-mail address ([`Arrival::email`]) of each patient.
    #[must_use]
    pub const fn contacts(mut self, with_contacts: bool) -> Self {
        self.with_contacts = with_contacts;
        self
    }

    /// By so many patients; unless set, each request is another one's, so that no patient's limit is met.
    #[must_use]
    pub const fn patients(mut self, patients: Option<u64>) -> Self {
        self.patients = patients;
        self
    }

    /// With this share of the requests asking for one of ten slots, the first ones of the first doctor: about as large a share is in
    /// conflict, whatever else is drawn.
    #[must_use]
    pub const fn hot(mut self, share: Share) -> Self {
        self.hot = share;
        self
    }

    /// With these operations.
    #[must_use]
    pub const fn mix(mut self, mix: Mix) -> Self {
        self.mix = mix;
        self
    }

    /// What arrival number `index` is.
    #[must_use]
    pub fn arrival(&self, index: u64) -> Arrival {
        let mut chance = stream(self.seed, index);
        let hot = (0, chance.random_range(0..HOT.min(self.calendar.slots())));
        let (doctor, slot) = if chance.random::<f64>() < self.hot.0 { hot } else { self.calendar.slot(index) };
        let operation = self.mix.at(chance.random());
        let patient = self.patients.map_or(index, |patients| chance.random_range(0..patients.max(1)));
        let start = self.start(slot);
        Arrival {
            operation,
            patient: format!("{}load-{:x}-{patient}", self.prefix, self.seed),
            with_contact: self.with_contacts,
            visit: Visit { doctor: format!("{}D{doctor:05}", self.prefix), start, end: start + TimeDelta::minutes(MINUTES.into()) },
            which: chance.random(),
        }
    }

    /// The span in which all drawn visits start: `[from, to)`.
    #[must_use]
    pub fn span(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.first, self.start(self.calendar.slots()))
    }

    fn start(&self, slot: u32) -> DateTime<Utc> {
        self.first + TimeDelta::minutes(i64::from(slot) * i64::from(MINUTES))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const DRAWN: u64 = 20_000;

    fn draw(seed: u64, doctors: u32, slots: u32) -> Draw {
        Draw::new(seed, doctors, slots, DateTime::from_timestamp(1_800_000_000, 0).unwrap())
    }

    #[test]
    fn a_seed_draws_the_same_again_and_another_draws_other() {
        let mixed = |seed| draw(seed, 1000, 1000).mix("book=1,get=1".parse().unwrap()).hot("10%".parse().unwrap());
        assert!((0..100).all(|index| mixed(1).arrival(index) == mixed(1).arrival(index)));
        assert!(mixed(1).arrival(7) != mixed(2).arrival(7) && mixed(1).arrival(7) != mixed(1).arrival(8));
    }

    #[test]
    fn every_visit_starts_within_the_span() {
        let draw = draw(3, 2, 10);
        let (from, to) = draw.span();
        for index in 0..200 {
            let arrival = draw.arrival(index);
            let asked: DateTime<Utc> = arrival.request().datetime.unwrap().parse().unwrap();
            assert_eq!(asked, arrival.visit.start);
            assert!((from..to).contains(&asked));
        }
    }

    #[test]
    fn with_no_hot_share_no_two_requests_meet_until_every_slot_was_asked_for() {
        for (doctors, slots) in [(1000, 20), (7, 13), (1, 1)] {
            let (draw, all) = (draw(5, doctors, slots), u64::from(doctors * slots));
            let asked = |from| (from..from + all).map(|index| draw.arrival(index).visit).map(|visit| (visit.doctor, visit.start));
            assert_eq!(asked(0).collect::<HashSet<_>>().len() as u64, all);
            assert_eq!(asked(0).collect::<HashSet<_>>(), asked(all).collect(), "and then each once more");
        }
    }

    #[test]
    fn draws_with_other_prefixes_never_meet() {
        let of = |prefix: &str| {
            let draw = draw(1, 3, 3).prefix(prefix.parse().unwrap());
            (0..9).flat_map(|index| [draw.arrival(index).visit.doctor, draw.arrival(index).patient]).collect::<HashSet<_>>()
        };
        assert!(of("a-").is_disjoint(&of("b-")) && of("").contains("D00001"));
        assert!(of("a-").contains("a-D00001") && of("a-").contains("a-load-1-8"), "{:?}", of("a-"));
    }

    #[test]
    fn a_patient_has_a_name_and_an_address_where_that_is_wanted() {
        let request = |contacts| draw(1, 3, 3).contacts(contacts).arrival(7).request();
        assert!(request(false).patient_name.is_none() && request(false).contact.is_none());
        assert_eq!(request(true).contact.unwrap().email.as_deref(), Some("load-1-7@patients.test"));
        assert_eq!(request(true).patient_name.as_deref(), Some("Paciente load-1-7"));
    }

    #[test]
    fn the_hot_share_of_requests_meets_on_ten_slots_and_the_rest_hardly_at_all() {
        for (share, of_all) in [("5%", 0.05), ("50%", 0.5)] {
            let draw = draw(1, 1000, 15_000).hot(share.parse().unwrap());
            let mut asked = HashMap::<_, u64>::new();
            (0..DRAWN).for_each(|index| {
                let visit = draw.arrival(index).visit;
                *asked.entry((visit.doctor, visit.start)).or_default() += 1;
            });
            let hot: u64 = asked.values().filter(|times| **times > 5).sum();
            assert!((hot as f64 / DRAWN as f64 - of_all).abs() < 0.01, "{share}: {hot}");
            let conflicts = DRAWN - asked.len() as u64;
            assert!((conflicts as f64 / DRAWN as f64 - of_all).abs() < 0.01, "{share}: {conflicts}");
            assert!(asked.values().filter(|times| **times > 5).count() <= HOT as usize);
        }
    }

    #[test]
    fn fewer_slots_than_hot_ones_are_all_hot() {
        let draw = draw(1, 5, 3).hot("100%".parse().unwrap());
        let asked: HashSet<_> = (0..100).map(|index| draw.arrival(index).visit.start).collect();
        assert_eq!(asked.len(), 3);
    }

    #[test]
    fn operations_are_drawn_by_their_weights() {
        let draw = draw(1, 1000, 1000).mix("book=80,get=10,cancel=5,list=5".parse().unwrap());
        let mut counts = HashMap::<_, f64>::new();
        (0..DRAWN).for_each(|index| *counts.entry(draw.arrival(index).operation).or_default() += 100.0 / DRAWN as f64);
        for (operation, percent) in [(Operation::Book, 80.0), (Operation::Get, 10.0), (Operation::Cancel, 5.0), (Operation::List, 5.0)] {
            assert!((counts[&operation] - percent).abs() < 1.0, "{operation}: {}", counts[&operation]);
        }
    }

    #[test]
    fn each_request_is_another_patients_unless_their_number_is_set() {
        let of = |draw: Draw| (0..1000).map(|index| draw.arrival(index).patient).collect::<HashSet<_>>().len();
        assert_eq!(of(draw(1, 10, 10)), 1000);
        assert_eq!(of(draw(1, 10, 10).patients(Some(7))), 7);
    }
}
