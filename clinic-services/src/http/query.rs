//! Query strings, read strictly: an unknown, repeated or malformed parameter is named.

use std::borrow::Cow;

use clinic_core::api::FieldError;

use super::refusal::Refusal;

/// The parameters of one request.
pub(super) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    errors: Vec<FieldError>,
}

impl<'a> Query<'a> {
    /// Reads a query that may hold `known` parameters, each once.
    pub(super) fn new(uri: &'a http::Uri, known: &[&str]) -> Self {
        let pairs: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
        let mut errors = Vec::new();
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_ref()) {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                let message = if known.is_empty() {
                    "is no query parameter here: there are none".to_owned()
                } else {
                    format!("is no query parameter here: there are {}", known.join(", "))
                };
                errors.push(FieldError::new(&shown, &message));
            } else if pairs[..place].iter().any(|(other, _)| other == name) {
                errors.push(FieldError::new(name, "is given twice"));
            }
        }
        Self { pairs, errors }
    }

    /// A query without parameters.
    pub(super) fn none(uri: &http::Uri) -> Result<(), Refusal> {
        match uri.query() {
            None | Some("") => Ok(()),
            Some(_) => Query::new(uri, &[]).finish(()),
        }
    }

    /// A parameter's value, read by `read`, whose error says what is wrong with it.
    pub(super) fn get<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (_, value) = self.pairs.iter().find(|(other, _)| other == name)?;
        read(value).map_err(|message| self.errors.push(FieldError::new(name, &message))).ok()
    }

    /// Adds an error of a parameter.
    pub(super) fn refuse(&mut self, name: &str, message: &str) {
        self.errors.push(FieldError::new(name, message));
    }

    /// What was read, unless something was wrong.
    pub(super) fn finish<T>(self, read: T) -> Result<T, Refusal> {
        if self.errors.is_empty() { Ok(read) } else { Err(Refusal::invalid(self.errors)) }
    }
}
