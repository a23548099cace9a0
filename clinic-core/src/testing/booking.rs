use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{
    api::BookRequest,
    booking::{Appointment, Contact, Language},
    ports::NewBooking,
    request::IdempotencyKey,
    slot::Slot,
};

/// Starts a valid booking: PAC001 with DOC001, half an hour on the 21st of March 2027, 15:30 UTC. Change what matters, then make
/// of it what is needed: an [`Appointment`], a [`BookRequest`] or a [`NewBooking`].
pub fn appointment() -> BookingBuilder {
    BookingBuilder {
        patient_id: Some("PAC001".into()),
        patient_name: None,
        doctor_id: Some("DOC001".into()),
        start: DateTime::from_timestamp(1_805_643_000, 0).expect("a date of this century"),
        minutes: 30,
        contact: Contact::default(),
        language: Language::Spanish,
        key: None,
        decide_within: Duration::from_secs(24 * 3600),
        pending_per_patient: 1000,
        look_after: Duration::from_secs(30),
    }
}

/// A booking in the making; see [`appointment`].
#[derive(Clone, Debug)]
#[must_use]
pub struct BookingBuilder {
    patient_id: Option<String>,
    patient_name: Option<String>,
    doctor_id: Option<String>,
    start: DateTime<Utc>,
    minutes: u16,
    contact: Contact,
    language: Language,
    key: Option<(String, String)>,
    decide_within: Duration,
    pending_per_patient: u32,
    look_after: Duration,
}

impl BookingBuilder {
    /// For this patient's id.
    pub fn patient(mut self, id: &str) -> Self {
        self.patient_id = Some(id.into());
        self
    }

    /// For a patient known by name alone.
    pub fn named(mut self, name: &str) -> Self {
        self.patient_id = None;
        self.patient_name = Some(name.into());
        self
    }

    /// With this doctor.
    pub fn doctor(mut self, id: &str) -> Self {
        self.doctor_id = Some(id.into());
        self
    }

    /// With no doctor in particular: holds no slot.
    pub fn without_doctor(mut self) -> Self {
        self.doctor_id = None;
        self
    }

    /// Starting then.
    pub const fn at(mut self, start: DateTime<Utc>) -> Self {
        self.start = start;
        self
    }

    /// Starting so many minutes later than it would.
    pub fn later_by(mut self, minutes: i64) -> Self {
        self.start += chrono::Duration::minutes(minutes);
        self
    }

    /// Taking this long (5-480).
    pub const fn minutes(mut self, minutes: u16) -> Self {
        self.minutes = minutes;
        self
    }

    /// Reached by e-mail and telephone.
    pub fn contact(mut self, email: &str, phone: &str) -> Self {
        self.contact = Contact { email: Some(email.into()), phone: Some(phone.into()) };
        self
    }

    /// Told in this language.
    pub const fn language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// Under a caller's idempotency key.
    pub fn key(mut self, caller: &str, key: &str) -> Self {
        self.key = Some((caller.into(), key.into()));
        self
    }

    /// To be decided within this time.
    pub const fn decide_within(mut self, limit: Duration) -> Self {
        self.decide_within = limit;
        self
    }

    /// Accepted only while the patient has fewer undecided bookings.
    pub const fn pending_per_patient(mut self, limit: u32) -> Self {
        self.pending_per_patient = limit;
        self
    }

    /// Left to its message for this long before the sweep may find it.
    pub const fn look_after(mut self, grace: Duration) -> Self {
        self.look_after = grace;
        self
    }

    /// As the domain sees it.
    ///
    /// # Panics
    /// When the length is none that a visit can have.
    #[must_use]
    pub fn build(&self) -> Appointment {
        Appointment {
            patient_id: self.patient_id.clone(),
            patient_name: self.patient_name.clone(),
            doctor_id: self.doctor_id.clone(),
            slot: Slot::new(self.start, self.minutes).expect("a visit takes 5 to 480 minutes"),
            contact: self.contact.clone(),
            language: self.language,
            timezone: chrono_tz::Europe::Madrid,
        }
    }

    /// As a client sends it.
    #[must_use]
    pub fn book_request(&self) -> BookRequest {
        let contact = &self.contact;
        BookRequest {
            patient_id: self.patient_id.clone(),
            patient_name: self.patient_name.clone(),
            doctor_id: self.doctor_id.clone(),
            datetime: Some(self.start.to_rfc3339()),
            time_slot: None,
            duration_minutes: Some(self.minutes.into()),
            contact: (*contact != Contact::default())
                .then(|| crate::api::ContactBody { email: contact.email.clone(), phone: contact.phone.clone() }),
            language: Some(self.language.as_str().into()),
        }
    }

    /// As a store is to accept it, under fresh ids.
    ///
    /// # Panics
    /// When the key is none, or the length.
    #[must_use]
    pub fn new_booking(&self) -> NewBooking {
        let appointment = self.build();
        let key = self.key.as_ref().map(|(caller, key)| {
            IdempotencyKey::parse(caller, key, &appointment).expect("an idempotency key is 1 to 255 visible ASCII characters")
        });
        NewBooking::new(appointment, key, self.decide_within, self.pending_per_patient, self.look_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Defaults, parse};

    #[test]
    fn the_request_means_the_appointment() {
        let builder = appointment().named("Ana").contact("ana@example.org", "+34 600 000 000").later_by(45).minutes(20);
        let defaults = Defaults::new(chrono_tz::Europe::Madrid, Language::English);
        assert_eq!(parse(&builder.book_request(), defaults).unwrap(), builder.build());
    }
}
