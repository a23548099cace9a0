//! Bodies of requests: JSON, whole, and no larger than allowed.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use clinic_core::api::ProblemCode;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refusal::Refusal;

/// The largest body that is read.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read, in bytes and in time, so that its sender hears why it is refused.
const PASSED_OVER: usize = 1024 * 1024;
const PASSED_OVER_WITHIN: Duration = Duration::from_secs(1);

/// `application/json` or `application/...+json`, with any parameters, and no content coding.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map_or("", |value| {
        let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
        essence.trim()
    });
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || essence.get(..12).is_some_and(|start| start.eq_ignore_ascii_case("application/"))
            && essence.len() > 17
            && essence.get(essence.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json"));
    if !is_json {
        return Err(Refusal::new(ProblemCode::UnsupportedMediaType, "send the body with Content-Type: application/json"));
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::new(ProblemCode::UnsupportedMediaType, "send the body as it is, without Content-Encoding"));
    }
    Ok(())
}

/// Reads a body whole.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(ProblemCode::BodyTooLarge, "the body is larger than 64 KiB");
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        pass_over(body).await;
        return Err(too_large());
    }
    // A body that is already there costs no timer: the time-out registers one only once it has to wait.
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(ProblemCode::BadRequest, "the body ended before it was whole")),
        Err(_) => Err(Refusal::new(ProblemCode::BadRequest, "the body did not arrive within 10 seconds")),
    }
}

/// Reads what a client insists on sending, up to a bound: a connection closed on unread bytes is reset, and the reset may
/// overtake the answer.
async fn pass_over(mut body: Body) {
    let mut left = PASSED_OVER;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PASSED_OVER_WITHIN, reading).await;
}
