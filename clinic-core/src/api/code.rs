use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer, Visitor, value},
};

/// A code in an answer: one that this release knows, or the text of one that only a newer server does. On the wire it is the bare code.
///
/// ```
/// use clinic_core::{api::Code, booking::Status};
///
/// let code: Code<Status> = serde_json::from_str(r#""confirmed""#)?;
/// assert!(code == Status::Confirmed);
/// let newer: Code<Status> = serde_json::from_str(r#""on_hold""#)?;
/// assert_eq!((newer.known(), newer.to_string().as_str()), (None, "on_hold"));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code<T> {
    /// This release knows it.
    Known(T),
    /// It came with a newer server.
    Other(String),
}

impl<T: Copy> Code<T> {
    /// The value, if this release knows it.
    #[must_use]
    pub const fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Other(_) => None,
        }
    }
}

impl<T> From<T> for Code<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T: PartialEq> PartialEq<T> for Code<T> {
    fn eq(&self, value: &T) -> bool {
        matches!(self, Self::Known(known) if known == value)
    }
}

impl<T: fmt::Display> fmt::Display for Code<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Other(code) => code.fmt(f),
        }
    }
}

impl<T: Serialize> Serialize for Code<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Other(code) => serializer.serialize_str(code),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Code<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Read(PhantomData))
    }
}

struct Read<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
    type Value = Code<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a code")
    }

    fn visit_str<E: de::Error>(self, code: &str) -> Result<Self::Value, E> {
        let known = T::deserialize(IntoDeserializer::<value::Error>::into_deserializer(code));
        Ok(known.map_or_else(|_| Code::Other(code.to_owned()), Code::Known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{booking::Status, timeline::EntryKind};

    fn read(json: &str) -> serde_json::Result<Code<Status>> {
        serde_json::from_str(json)
    }

    #[test]
    fn every_code_is_read_and_written_as_the_value_itself_is() {
        for kind in EntryKind::ALL {
            let json = serde_json::to_string(kind).unwrap();
            let code: Code<EntryKind> = serde_json::from_str(&json).unwrap();
            assert!(code == *kind && code.known() == Some(*kind) && code.to_string() == kind.as_str());
            assert_eq!(serde_json::to_string(&code).unwrap(), json);
        }
    }

    #[test]
    fn a_newer_servers_code_is_kept_as_it_came() {
        for json in [r#""on_hold""#, r#""Pending""#, r#""""#, r#""caf\u00e9\n""#] {
            let code = read(json).unwrap();
            let text: String = serde_json::from_str(json).unwrap();
            assert!(code.known().is_none() && Status::ALL.iter().all(|status| code != *status));
            assert_eq!(code.to_string(), text);
            assert_eq!(read(&serde_json::to_string(&code).unwrap()).unwrap(), code);
        }
    }

    #[test]
    fn what_is_no_text_is_no_code() {
        for json in ["null", "7", "{}", r#"{"pending":null}"#, r#"["pending"]"#, "true"] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
