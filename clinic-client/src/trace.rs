//! What ties a call's log here to those of proxies and of the clinic: W3C Trace Context, and an id for each try.
//!
//! <https://www.w3.org/TR/trace-context/>

use std::{fmt::Write, sync::Arc};

use reqwest::header::HeaderValue;

/// Gives the `traceparent` of the span that a call is made in, if there is one.
pub(crate) type TraceContext = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// The ids of one call.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    call: u64,
    pub(crate) parent: String,
}

impl Trace {
    /// A call within the caller's trace, or, where there is none, in one of its own that asks nobody to record it.
    pub(crate) fn new(context: Option<&TraceContext>) -> Self {
        // An id of zeros only names nothing.
        let call = rand::random::<u64>() | 1;
        let given = context.and_then(|context| context()).filter(|parent| is_traceparent(parent));
        let parent = given.unwrap_or_else(|| format!("00-{:032x}-{call:016x}-00", rand::random::<u128>() | 1));
        Self { call, parent }
    }

    /// The `traceparent` header.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.parent).expect("a traceparent is hexadecimal digits and hyphens")
    }

    /// What try number `attempt` is called: short and plain, so that a clinic keeps it.
    pub(crate) fn request_id(&self, attempt: u32) -> String {
        let mut id = String::with_capacity(20);
        let _ = write!(id, "{:016x}-{attempt}", self.call);
        id
    }
}

/// Version 00: a trace, a parent, flags, none of the two ids zero.
fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_some = |part: &str| part.bytes().any(|byte| byte != b'0');
    let parts: Vec<_> = text.split('-').collect();
    matches!(parts[..], ["00", trace, parent, flags]
        if is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2) && is_some(trace) && is_some(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn within(parent: &'static str) -> Trace {
        let context: TraceContext = Arc::new(move || Some(parent.to_owned()));
        Trace::new(Some(&context))
    }

    #[test]
    fn the_callers_trace_is_kept_and_a_broken_one_replaced() {
        assert_eq!(within(GIVEN).header(), GIVEN);
        for broken in
            ["", "00", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &GIVEN.to_uppercase(), &GIVEN.replace("4bf9", "\n\n\n\n")]
        {
            assert!(!is_traceparent(broken), "{broken:?}");
        }
        assert!(!is_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
        assert!(is_traceparent(within("nonsense").header().to_str().unwrap()));
    }

    #[test]
    fn each_call_has_a_trace_and_each_try_an_id() {
        let (one, other) = (Trace::new(None), Trace::new(None));
        assert!(is_traceparent(&one.parent) && one.parent != other.parent);
        assert_ne!(one.request_id(1), one.request_id(2));
        assert_ne!(one.request_id(1), other.request_id(1));
    }
}
