use reqwest::header::HeaderValue;
use uuid::Uuid;

use crate::error::Error;

/// An idempotency key: under it a request is made once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(HeaderValue);

impl Key {
    /// A new UUIDv7.
    pub(crate) fn generate() -> Self {
        Self(HeaderValue::try_from(Self::fresh()).expect("a UUID is hexadecimal digits and hyphens"))
    }

    /// The text of a new one.
    pub(crate) fn fresh() -> String {
        Uuid::now_v7().to_string()
    }

    /// A key of the caller's, 1-255 visible ASCII characters.
    pub(crate) fn parse(key: &str) -> Result<Self, Error> {
        let is_key = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(key).ok().filter(|_| is_key);
        header.map(Self).ok_or_else(|| Error::invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}
