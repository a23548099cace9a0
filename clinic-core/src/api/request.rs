//! The body of a booking request.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use super::FieldError;

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
    fn debug_shows_no_patient() {
        let request = BookRequest { patient_name: Some("Juan".into()), ..BookRequest::default() };
        assert!(!format!("{request:?}").contains("Juan"));
    }
}
