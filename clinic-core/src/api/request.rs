//! The body of a booking request.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeZone};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::FieldError;
use crate::booking::Language;

/// Body of `POST /book`. `datetime` and `time_slot` are two names of one field.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BookRequest {
    /// The clinic's id of the patient, 1-64 characters. This or `patient_name` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// The patient's name, 1-200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    /// The doctor, 1-64 characters. Without one the clinic's general list decides and no slot is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doctor_id: Option<String>,
    /// When the visit starts: RFC 3339, or without offset in the clinic's own time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datetime: Option<String>,
    /// Another name of `datetime`; exactly one of the two is present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_slot: Option<String>,
    /// How long the visit takes, 5-480 minutes; 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<i64>,
    /// How to reach the patient.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "object")]
    pub contact: Option<ContactBody>,
    /// `es` or `en`; the clinic's language when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl std::fmt::Debug for BookRequest {
    /// Shows no patient data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BookRequest").finish_non_exhaustive()
    }
}

/// How to reach the patient.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ContactBody {
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Why a body is no request.
#[derive(Debug)]
#[non_exhaustive]
pub enum BadBody {
    /// Not JSON at all; the text says where.
    Syntax(String),
    /// JSON, with these fields wrong.
    Fields(Vec<FieldError>),
}

impl BookRequest {
    /// A visit that starts then. Its patient is to be added: [`patient`](Self::patient) or [`named`](Self::named).
    #[must_use]
    pub fn at<Z: TimeZone>(start: DateTime<Z>) -> Self {
        Self { datetime: Some(start.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)), ..Self::default() }
    }

    /// A visit that starts then in the clinic's own time zone.
    #[must_use]
    pub fn at_local(start: NaiveDateTime) -> Self {
        Self { datetime: Some(start.format("%Y-%m-%dT%H:%M:%S%.f").to_string()), ..Self::default() }
    }

    /// Of the patient with this id.
    #[must_use]
    pub fn patient(mut self, id: impl Into<String>) -> Self {
        self.patient_id = Some(id.into());
        self
    }

    /// Of the patient of this name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.patient_name = Some(name.into());
        self
    }

    /// With this doctor.
    #[must_use]
    pub fn doctor(mut self, id: impl Into<String>) -> Self {
        self.doctor_id = Some(id.into());
        self
    }

    /// Taking so many minutes.
    #[must_use]
    pub fn minutes(mut self, minutes: u16) -> Self {
        self.duration_minutes = Some(minutes.into());
        self
    }

    /// Told by e-mail to this address.
    #[must_use]
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.contact.get_or_insert_default().email = Some(address.into());
        self
    }

    /// Told at this telephone number.
    #[must_use]
    pub fn phone(mut self, number: impl Into<String>) -> Self {
        self.contact.get_or_insert_default().phone = Some(number.into());
        self
    }

    /// Told in this language.
    #[must_use]
    pub fn language(mut self, language: Language) -> Self {
        self.language = Some(language.as_str().into());
        self
    }

    /// Reads a body, naming every unknown field and every field of a wrong type.
    ///
    /// # Errors
    /// [`BadBody`].
    pub fn from_json(body: &[u8]) -> Result<Self, BadBody> {
        // The usual request is read in one pass; only a refused one is looked at field by field. Serde would take a list of
        // values in the order of the fields, too; the contract does not.
        if body.trim_ascii_start().starts_with(b"{")
            && let Ok(request) = serde_json::from_slice(body)
        {
            return Ok(request);
        }
        let fields = fields(body)?;
        let mut errors = Vec::new();
        for (name, value) in &fields {
            match name.as_str() {
                "patient_id" | "patient_name" | "doctor_id" | "datetime" | "time_slot" | "language" => {
                    expect(&mut errors, name, value, Value::is_string, "must be a string");
                }
                "duration_minutes" => expect(&mut errors, name, value, Value::is_i64, "must be a whole number of minutes"),
                "contact" => match value {
                    Value::Object(contact) => {
                        for (part, value) in contact {
                            let name = format!("contact.{part}");
                            match part.as_str() {
                                "email" | "phone" => expect(&mut errors, &name, value, Value::is_string, "must be a string"),
                                _ => errors.push(FieldError::new(&name, "is not a field of contact: use email and phone")),
                            }
                        }
                    }
                    value => expect(&mut errors, name, value, Value::is_object, "must be an object of email and phone"),
                },
                _ => errors.push(FieldError::new(name, "is not a field of a booking request: leave it out")),
            }
        }
        if errors.is_empty() {
            // A field given twice is what remains.
            errors.push(FieldError::new("body", "must name each field once"));
        }
        Err(BadBody::Fields(errors))
    }
}

/// The fields of a body that is an object.
pub(super) fn fields(body: &[u8]) -> Result<Map<String, Value>, BadBody> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(BadBody::Fields(vec![FieldError::new("body", "must be a JSON object")])),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            Err(BadBody::Syntax(format!("the body is not JSON: see line {line}, column {column}")))
        }
    }
}

/// Reads an object, and no list of values in the order of its fields.
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContactBody>, D::Error> {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = Option<ContactBody>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of email and phone")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            ContactBody::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    deserializer.deserialize_any(Object)
}

fn expect(errors: &mut Vec<FieldError>, name: &str, value: &Value, is: fn(&Value) -> bool, message: &str) {
    if !value.is_null() && !is(value) {
        errors.push(FieldError::new(name, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> Vec<String> {
        match BookRequest::from_json(body.as_bytes()) {
            Err(BadBody::Fields(errors)) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_named() {
        assert_eq!(refused(r#"{"doctor":"D","patient_id":7,"contact":{"fax":"1"}}"#), ["contact.fax", "doctor", "patient_id"]);
        assert_eq!(refused(r#"{"duration_minutes":30.5}"#), ["duration_minutes"]);
        assert_eq!(refused(r#"[1]"#), ["body"]);
        assert_eq!(refused(r#" ["PAC001",null,null,"2027-03-21T15:30:00Z"]"#), ["body"]);
        assert_eq!(refused(r#"{"contact":["ana@example.org",null]}"#), ["contact"]);
        assert_eq!(refused(r#"{"patient_id":"a","patient_id":"b"}"#), ["body"]);
    }

    #[test]
    fn broken_json_is_told_from_bad_fields() {
        assert!(matches!(BookRequest::from_json(b"{\"patient_id\":"), Err(BadBody::Syntax(_))));
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let request = BookRequest::from_json(br#"{"contact":null,"doctor_id":null}"#).unwrap();
        assert!(request == BookRequest::default());
    }

    #[test]
    fn a_request_is_put_together_part_by_part() {
        let zone = chrono::FixedOffset::east_opt(7200).unwrap();
        let start = zone.with_ymd_and_hms(2027, 3, 21, 17, 30, 0).unwrap();
        let request =
            BookRequest::at(start).patient("PAC001").doctor("DOC001").minutes(45).email("ana@example.org").language(Language::English);
        let body = r#"{"patient_id":"PAC001","doctor_id":"DOC001","datetime":"2027-03-21T15:30:00Z","duration_minutes":45,
            "contact":{"email":"ana@example.org"},"language":"en"}"#;
        assert!(request == BookRequest::from_json(body.as_bytes()).unwrap());
        let local = BookRequest::at_local(start.naive_local()).named("Ana").phone("+34 600 000 000");
        let body = r#"{"patient_name":"Ana","datetime":"2027-03-21T17:30:00","contact":{"phone":"+34 600 000 000"}}"#;
        assert!(local == BookRequest::from_json(body.as_bytes()).unwrap());
    }

    #[test]
    fn debug_shows_no_patient() {
        let request = BookRequest { patient_name: Some("Juan".into()), ..BookRequest::default() };
        assert!(!format!("{request:?}").contains("Juan"));
    }
}
