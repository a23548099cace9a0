//! From a request body to an [`Appointment`]: every rule on its fields, each error naming the field and the fix.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use crate::{
    api::{BookRequest, FieldError},
    booking::{Appointment, Contact, Language},
    slot::{self, Slot},
};

/// What a clinic adds to a request that leaves it out.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Defaults {
    /// The zone of times without offset.
    pub timezone: Tz,
    /// The language of requests that name none.
    pub language: Language,
}

impl Defaults {
    /// A clinic's zone and language.
    #[must_use]
    pub const fn new(timezone: Tz, language: Language) -> Self {
        Self { timezone, language }
    }
}

/// Checks everything but the time's relation to now (see [`check_time`]).
///
/// # Errors
/// All that is wrong with the request, one [`FieldError`] each.
pub fn parse(request: &BookRequest, defaults: Defaults) -> Result<Appointment, Vec<FieldError>> {
    let mut errors = Vec::new();
    let patient_id = text(&mut errors, "patient_id", request.patient_id.as_deref(), 64);
    let patient_name = text(&mut errors, "patient_name", request.patient_name.as_deref(), 200);
    if request.patient_id.is_none() && request.patient_name.is_none() {
        errors.push(FieldError::new("patient_id", "give patient_id or patient_name, so that the clinic knows whom to expect"));
    }
    let doctor_id = text(&mut errors, "doctor_id", request.doctor_id.as_deref(), 64);
    let contact = request.contact.as_ref().map_or_else(Contact::default, |contact| Contact {
        email: email(&mut errors, contact.email.as_deref()),
        phone: phone(&mut errors, contact.phone.as_deref()),
    });
    let language = match request.language.as_deref() {
        None => defaults.language,
        Some(code) => Language::parse(code).unwrap_or_else(|| {
            errors.push(FieldError::new("language", "must be \"es\" or \"en\""));
            defaults.language
        }),
    };
    let slot = slot(&mut errors, request, defaults.timezone);
    match slot {
        Some(slot) if errors.is_empty() => {
            Ok(Appointment { patient_id, patient_name, doctor_id, slot, contact, language, timezone: defaults.timezone })
        }
        _ => Err(errors),
    }
}

/// Checks that a slot starts after `now` and no later than `horizon` from it.
///
/// # Errors
/// A [`FieldError`] on `datetime` that says the server's now.
pub fn check_time(slot: &Slot, now: DateTime<Utc>, horizon: Duration) -> Result<(), FieldError> {
    let said = now.format("%Y-%m-%dT%H:%M:%SZ");
    if slot.start() <= now {
        return Err(FieldError::new("datetime", &format!("lies in the past: it is {said} here; choose a later time")));
    }
    let latest = chrono::Duration::from_std(horizon).ok().and_then(|horizon| now.checked_add_signed(horizon));
    if latest.is_some_and(|latest| slot.start() > latest) {
        let days = horizon.as_secs() / 86_400;
        return Err(FieldError::new("datetime", &format!("lies more than {days} days ahead: it is {said} here; choose an earlier time")));
    }
    Ok(())
}

/// Checks an id as a filter names it, by the rules of `doctor_id` and `patient_id`, and brings it to NFC.
///
/// # Errors
/// What is wrong with it.
pub fn id(value: &str) -> Result<String, &'static str> {
    let value: String = value.nfc().collect();
    if value.trim().is_empty() || value.chars().count() > 64 || value.chars().any(char::is_control) {
        return Err("must be 1 to 64 characters, none of them a control character");
    }
    Ok(value)
}

/// What tells two requests apart under one idempotency key: a SHA-256 over the parsed fields, so that spelling does not matter.
#[must_use]
pub fn fingerprint(appointment: &Appointment) -> [u8; 32] {
    let mut hash = Sha256::new();
    let start = appointment.slot.start().timestamp_millis().to_be_bytes();
    let minutes = appointment.slot.minutes().to_be_bytes();
    for field in [
        appointment.patient_id.as_deref(),
        appointment.patient_name.as_deref(),
        appointment.doctor_id.as_deref(),
        appointment.contact.email.as_deref(),
        appointment.contact.phone.as_deref(),
        Some(appointment.language.as_str()),
    ] {
        // A length before each field and a mark for an absent one: no two requests share their bytes.
        let bytes = field.map_or(&[][..], str::as_bytes);
        hash.update([u8::from(field.is_some())]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.update(start);
    hash.update(minutes);
    hash.finalize().into()
}

/// An idempotency key as it is kept: hashed, scoped to its caller, with the fingerprint of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdempotencyKey {
    /// SHA-256 of the caller's name and the key.
    pub key: [u8; 32],
    /// [`fingerprint`] of the request.
    pub request: [u8; 32],
}

impl IdempotencyKey {
    /// Hashes a key (1-255 visible ASCII characters).
    ///
    /// # Errors
    /// A [`FieldError`] on `Idempotency-Key`.
    pub fn parse(caller: &str, key: &str, appointment: &Appointment) -> Result<Self, FieldError> {
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FieldError::new("Idempotency-Key", "must be 1 to 255 visible ASCII characters"));
        }
        let mut hash = Sha256::new();
        hash.update((caller.len() as u64).to_be_bytes());
        hash.update(caller.as_bytes());
        hash.update(key.as_bytes());
        Ok(Self { key: hash.finalize().into(), request: fingerprint(appointment) })
    }
}

fn slot(errors: &mut Vec<FieldError>, request: &BookRequest, zone: Tz) -> Option<Slot> {
    let (field, text) = match (request.datetime.as_deref(), request.time_slot.as_deref()) {
        (Some(text), None) => ("datetime", text),
        (None, Some(text)) => ("time_slot", text),
        (None, None) => {
            errors.push(FieldError::new("datetime", "is required (time_slot is another name for it)"));
            return None;
        }
        (Some(_), Some(_)) => {
            errors.push(FieldError::new("time_slot", "is another name for datetime: give one of the two"));
            return None;
        }
    };
    let start = slot::parse_time(text, zone).map_err(|error| errors.push(FieldError::new(field, &error.to_string()))).ok();
    let minutes = request.duration_minutes.unwrap_or(slot::DEFAULT_MINUTES.into());
    let minutes = u16::try_from(minutes).unwrap_or(0);
    // The length is judged even when the start is no time, so that one answer names everything.
    match Slot::new(start.unwrap_or_default(), minutes) {
        Ok(slot) => start.map(|_| slot),
        Err(error) => {
            let field = if error == slot::SlotError::Length { "duration_minutes" } else { field };
            errors.push(FieldError::new(field, &error.to_string()));
            None
        }
    }
}

fn text(errors: &mut Vec<FieldError>, field: &str, value: Option<&str>, most: usize) -> Option<String> {
    let value: String = value?.nfc().collect();
    if value.trim().is_empty() {
        errors.push(FieldError::new(field, "must not be empty"));
    } else if value.chars().count() > most {
        errors.push(FieldError::new(field, &format!("must be at most {most} characters")));
    } else if value.chars().any(char::is_control) {
        errors.push(FieldError::new(field, "must not contain control characters"));
    }
    Some(value)
}

fn email(errors: &mut Vec<FieldError>, value: Option<&str>) -> Option<String> {
    let value = value?;
    let valid = value.len() <= 254
        && value.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.') && !domain.contains('@'))
        && !value.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '"'));
    if !valid {
        errors.push(FieldError::new("contact.email", "must be one e-mail address such as ana@example.org"));
    }
    Some(value.to_owned())
}

fn phone(errors: &mut Vec<FieldError>, value: Option<&str>) -> Option<String> {
    let value = value?;
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let valid = (5..=15).contains(&digits)
        && value.len() <= 32
        && value.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.'));
    if !valid {
        errors.push(FieldError::new("contact.phone", "must be a telephone number such as +34 600 000 000"));
    }
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Defaults = Defaults::new(chrono_tz::UTC, Language::Spanish);

    fn body() -> BookRequest {
        BookRequest { patient_id: Some("PAC001".into()), datetime: Some("2027-03-21T15:30:00Z".into()), ..BookRequest::default() }
    }

    fn fields(request: &BookRequest) -> Vec<String> {
        parse(request, DEFAULTS).unwrap_err().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn both_bodies_that_clinics_send_today_are_taken() {
        let other = BookRequest {
            patient_name: Some("Juan Pérez".into()),
            time_slot: Some("2027-05-13T15:00:00".into()),
            ..BookRequest::default()
        };
        assert!(parse(&body(), DEFAULTS).is_ok());
        assert_eq!(parse(&other, DEFAULTS).unwrap().slot.start().to_rfc3339(), "2027-05-13T15:00:00+00:00");
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let request = BookRequest {
            patient_id: Some(" ".into()),
            doctor_id: Some("a\u{7}".into()),
            datetime: Some("tomorrow".into()),
            duration_minutes: Some(-5),
            language: Some("fr".into()),
            ..BookRequest::default()
        };
        assert_eq!(fields(&request), ["patient_id", "doctor_id", "language", "datetime", "duration_minutes"]);
    }

    #[test]
    fn one_name_of_the_time_is_needed_and_one_only() {
        assert_eq!(fields(&BookRequest { datetime: None, ..body() }), ["datetime"]);
        assert_eq!(fields(&BookRequest { time_slot: Some("2027-05-13T15:00:00".into()), ..body() }), ["time_slot"]);
    }

    #[test]
    fn a_fingerprint_ignores_spelling_and_sees_every_field() {
        let one = parse(&body(), DEFAULTS).unwrap();
        let same = BookRequest { datetime: None, time_slot: Some("2027-03-21T16:30:00+01:00".into()), ..body() };
        assert_eq!(fingerprint(&one), fingerprint(&parse(&same, DEFAULTS).unwrap()));
        let longer = BookRequest { duration_minutes: Some(45), ..body() };
        let named = BookRequest { patient_id: None, patient_name: Some("PAC001".into()), ..body() };
        for other in [longer, named] {
            assert_ne!(fingerprint(&one), fingerprint(&parse(&other, DEFAULTS).unwrap()));
        }
    }

    #[test]
    fn past_and_far_times_say_the_servers_now() {
        let slot = parse(&body(), DEFAULTS).unwrap().slot;
        let day = Duration::from_secs(86_400);
        assert!(check_time(&slot, slot.start(), day).unwrap_err().message.contains("2027-03-21T15:30:00Z"));
        assert!(check_time(&slot, slot.start() - chrono::Duration::days(2), day).is_err());
        assert!(check_time(&slot, slot.start() - chrono::Duration::hours(2), day).is_ok());
    }

    #[test]
    fn doctors_are_compared_in_nfc() {
        let composed = BookRequest { doctor_id: Some("Dr. Pe\u{301}rez".into()), ..body() };
        assert_eq!(parse(&composed, DEFAULTS).unwrap().doctor_id.as_deref(), Some("Dr. P\u{e9}rez"));
    }
}
