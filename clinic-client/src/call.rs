//! One call of the API: sent, tried again where that can help, its answer read.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;

use crate::{client::Client, error::Error, pause};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    timeout: Duration,
    tries: u32,
}

impl<'a> Call<'a> {
    /// A call of the route made of these segments.
    pub(crate) fn new(client: &'a Client, method: Method, route: &[&str]) -> Self {
        let mut url = client.inner.url.clone();
        url.path_segments_mut().expect("the builder takes http and https URLs only, which have a path").pop_if_empty().extend(route);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &client.inner.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Self { client, method, url, headers, body: None, timeout: client.inner.timeout, tries: client.inner.tries }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Adds those query parameters that have a value.
    pub(crate) fn query_given<const N: usize>(self, parameters: [(&str, Option<String>); N]) -> Self {
        parameters.into_iter().fold(self, |call, (name, value)| match value {
            Some(value) => call.query(name, &value),
            None => call,
        })
    }

    /// Sets the body, and the key that makes sending it twice safe.
    pub(crate) fn keyed_body(mut self, body: &impl Serialize, key: HeaderValue) -> Self {
        self.body = Some(serde_json::to_vec(body).expect("bodies of the contract always serialise"));
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.headers.insert(IDEMPOTENCY_KEY, key);
        self
    }

    /// Allows the server this much more than the usual time.
    pub(crate) fn longer(mut self, wait: Duration) -> Self {
        self.timeout = self.timeout.saturating_add(wait);
        self
    }

    /// Tries once only, for callers that try again themselves.
    pub(crate) const fn once(mut self) -> Self {
        self.tries = 1;
        self
    }

    /// Sends it, up to the client's number of tries.
    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<T, Error> {
        let mut failed = 0;
        loop {
            let (error, asked) = match self.attempt().await {
                Ok(body) => return serde_json::from_slice(&body).map_err(|error| Error::Decode(Box::new(error))),
                Err(failure) => failure,
            };
            failed += 1;
            if failed >= self.tries || !error.is_retryable() {
                return Err(error);
            }
            sleep(pause::after(failed, asked, rand::random())).await;
        }
    }

    /// One try: the body of a good answer, or the error and how long the server wants to be left alone.
    async fn attempt(&self) -> Result<Vec<u8>, (Error, Option<Duration>)> {
        let broken = |error| (Error::connection(error), None);
        let mut request = self.client.inner.http.request(self.method.clone(), self.url.clone());
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let answer = request.headers(self.headers.clone()).timeout(self.timeout).send().await.map_err(broken)?;
        let status = answer.status();
        let asked =
            answer.headers().get(RETRY_AFTER).and_then(|header| header.to_str().ok()).and_then(|header| pause::asked(header, Utc::now()));
        let body = answer.bytes().await.map_err(broken)?;
        if status.is_success() { Ok(body.into()) } else { Err((Error::answer(status.as_u16(), &body), asked)) }
    }
}

/// A time as query parameters carry it.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
