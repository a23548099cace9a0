//! The OpenAPI document, which every answer is held against.

use std::{collections::BTreeSet, sync::Mutex};

use clinic_services::http::document;
use http::{Method, StatusCode};
use serde_json::Value;

pub(crate) struct Document {
    value: Value,
    seen: Mutex<BTreeSet<(String, String)>>,
}

impl Default for Document {
    fn default() -> Self {
        Self { value: serde_json::to_value(document()).unwrap(), seen: Mutex::default() }
    }
}

impl Document {
    /// Keeps the paths that are served.
    pub(crate) fn retain(&mut self, is_served: impl Fn(&str) -> bool) {
        self.value["paths"].as_object_mut().unwrap().retain(|path, _| is_served(path));
    }

    /// Every answer of a documented route has a documented status and media type.
    pub(crate) fn hold(&self, method: &Method, path: &str, status: StatusCode, media: &str, is_empty: bool) {
        let segments: Vec<_> = path.split('/').collect();
        let pattern = match segments[..] {
            ["", "booking" | "dead-letters" | "webhooks", id, ref rest @ ..] if !id.is_empty() => {
                [&["", segments[1], "{id}"], rest].concat().join("/")
            }
            _ => path.to_owned(),
        };
        let operation = &self.value["paths"][&pattern][method.as_str().to_lowercase()];
        if operation.is_null() {
            return;
        }
        let id = operation["operationId"].as_str().unwrap().to_owned();
        self.seen.lock().unwrap().insert((id, status.as_str().to_owned()));
        let documented = &operation["responses"][status.as_str()];
        assert!(documented.is_object(), "{method} {pattern} answered {status}, which its document does not list");
        if status == StatusCode::NO_CONTENT {
            assert!(is_empty && documented["content"].is_null(), "{method} {pattern} 204");
            return;
        }
        let media = media.split(';').next().unwrap_or_default();
        assert!(documented["content"][media].is_object(), "{method} {pattern} {status} came as {media}");
    }

    /// Counts what was answered with elsewhere as seen.
    pub(crate) fn seen_too(&self, other: &Self) {
        self.seen.lock().unwrap().extend(other.seen.lock().unwrap().iter().cloned());
    }

    /// Operations and statuses that the document lists and that were not answered with.
    pub(crate) fn unseen(&self) -> BTreeSet<(String, String)> {
        let operations = self.value["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let listed = operations.flat_map(|operation| {
            let id = operation["operationId"].as_str().unwrap();
            operation["responses"].as_object().unwrap().keys().map(move |status| (id.to_owned(), status.clone()))
        });
        let seen = self.seen.lock().unwrap();
        listed.filter(|answer| !seen.contains(answer)).collect()
    }
}
