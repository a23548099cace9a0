//! Webhooks: what is posted to a clinic's own systems, and how it is signed, as the Standard Webhooks specification says.

mod endpoint;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

pub use self::endpoint::{
    Disabled, ENDPOINT_DISABLED, ENDPOINT_GONE, ENDPOINT_REMOVED, Endpoint, FORMER_SIGNS_FOR, MAX_ENDPOINTS, NO_ENDPOINT,
};
use crate::{
    decision::Reason,
    id::{BookingId, EndpointId, NoticeId},
    notification::Event,
};

/// The channel's name in settings, answers and metrics.
pub const CHANNEL: &str = "webhook";

/// The channel and, where a ledger row belongs to one endpoint, that endpoint: `webhook:UUID` is how the ledger writes it.
#[must_use]
pub fn split(key: &str) -> (&str, Option<EndpointId>) {
    let endpoint = key.strip_prefix(CHANNEL).and_then(|rest| rest.strip_prefix(':')).and_then(|id| id.parse().ok());
    (if endpoint.is_some() { CHANNEL } else { key }, endpoint)
}

/// How the ledger writes the channel of one endpoint; the inverse of [`split`].
#[must_use]
pub fn channel_of(endpoint: EndpointId) -> String {
    format!("{CHANNEL}:{endpoint}")
}

/// What an endpoint's deliveries are signed with. Its `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret of 32 random bytes.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The bytes, as stores keep them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As receivers are given it: `whsec_` and base64. To be shown once.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    /// One signature of a delivery, `v1,` and base64.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        sign(&self.0, id, timestamp, body)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// A secret that was replaced, which signs too for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormerSecret {
    /// The secret.
    pub secret: Secret,
    /// Until when it signs.
    pub until: DateTime<Utc>,
}

impl FormerSecret {
    /// A secret that signs until then.
    #[must_use]
    pub const fn new(secret: Secret, until: DateTime<Utc>) -> Self {
        Self { secret, until }
    }
}

/// The `webhook-signature` of a delivery: one signature by each secret that is valid now, the current one first.
#[must_use]
pub fn signatures(current: &Secret, former: &[FormerSecret], id: &str, now: DateTime<Utc>, body: &[u8]) -> String {
    let valid = former.iter().filter(|former| former.until > now).map(|former| &former.secret);
    std::iter::once(current).chain(valid).map(|secret| secret.sign(id, now.timestamp(), body)).collect::<Vec<_>>().join(" ")
}

fn sign(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length (RFC 2104, section 2)");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// What every delivery is: the type of what happened, when, and ids.
#[derive(Serialize)]
struct Payload<T> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: T,
}

impl<T: Serialize> Payload<T> {
    fn bytes(kind: String, at: DateTime<Utc>, data: T) -> Vec<u8> {
        let payload = Self { kind, timestamp: at.to_rfc3339_opts(SecondsFormat::Millis, true), data };
        serde_json::to_vec(&payload).expect("a payload is strings and numbers, which always serialise")
    }
}

/// The body of a delivery: ids alone, equal bytes for an equal notice.
#[must_use]
pub fn payload(notice: NoticeId, booking: BookingId, event: &Event) -> Vec<u8> {
    #[derive(Serialize)]
    struct Told {
        booking: BookingId,
        notice: NoticeId,
        seq: u32,
        reason: Option<Reason>,
    }
    let told = Told { booking, notice, seq: event.seq, reason: event.reason };
    Payload::bytes(format!("booking.{}", event.kind.as_str()), event.at, told)
}

/// The body of a delivery that only tries an endpoint out.
#[must_use]
pub fn test_payload(endpoint: EndpointId, at: DateTime<Utc>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Tried {
        endpoint: EndpointId,
    }
    Payload::bytes("webhook.test".into(), at, Tried { endpoint })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notification::EventKind;

    #[test]
    fn a_signature_is_that_of_the_specifications_example() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn former_secrets_sign_too_until_their_time_is_over() {
        let (now, current) = (DateTime::from_timestamp(1_800_000_000, 0).unwrap(), Secret::new([1; 32]));
        let former = |n, until| FormerSecret::new(Secret::new([n; 32]), until);
        let still = [former(2, now + Duration::from_secs(1)), former(3, now + Duration::from_millis(1)), former(4, now)];
        let expected = [[1; 32], [2; 32], [3; 32]].map(|secret| Secret::new(secret).sign("id", 1_800_000_000, b"{}"));
        assert_eq!(signatures(&current, &still, "id", now, b"{}"), expected.join(" "));
        assert_eq!(signatures(&current, &still[2..], "id", now, b"{}"), expected[0]);
    }

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        let secret = Secret::new([7; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(hidden)");
        assert_eq!(STANDARD.decode(secret.reveal().strip_prefix("whsec_").unwrap()).unwrap(), [7; 32]);
    }

    #[test]
    fn a_ledgers_channel_is_split_and_put_together() {
        let endpoint = EndpointId::generate();
        assert_eq!(split(&channel_of(endpoint)), (CHANNEL, Some(endpoint)));
        for whole in ["webhook", "log", "webhook:", "webhook:none", "mywebhook:x"] {
            assert_eq!(split(whole), (whole, None));
        }
    }

    #[test]
    fn a_payload_holds_ids_alone() {
        let (notice, booking) = (NoticeId::generate(), BookingId::generate());
        let at = DateTime::from_timestamp_millis(1_800_000_000_123).unwrap();
        let body = payload(notice, booking, &Event::new(3, EventKind::Rejected, Some(Reason::Unavailable), at));
        let expected = format!(
            r#"{{"type":"booking.rejected","timestamp":"2027-01-15T08:00:00.123Z","data":{{"booking":"{booking}","notice":"{notice}","seq":3,"reason":"unavailable"}}}}"#
        );
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
