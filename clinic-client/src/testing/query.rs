use chrono::{DateTime, Utc};
use clinic_core::{api::FieldError, slot};

use super::answer::Answer;

/// A request's query, read strictly: what is unknown, repeated or malformed is named.
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Query {
    pub(super) fn new(query: Option<&str>, known: &[&str]) -> Self {
        let mut url = reqwest::Url::parse("http://clinic").expect("it is a URL");
        url.set_query(query.filter(|query| !query.is_empty()));
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut errors = Vec::new();
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                errors.push(FieldError::new(name, "is no query parameter here"));
            } else if pairs[..place].iter().any(|(other, _)| other == name) {
                errors.push(FieldError::new(name, "is given twice"));
            }
        }
        Self { pairs, errors }
    }

    /// Demands that there is none.
    pub(super) fn none(query: Option<&str>) -> Result<(), Answer> {
        Self::new(query, &[]).finish(())
    }

    pub(super) fn get<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Option<T>, must: &str) -> Option<T> {
        let (_, value) = self.pairs.iter().find(|(other, _)| other == name)?;
        let read = read(value);
        if read.is_none() {
            self.errors.push(FieldError::new(name, must));
        }
        read
    }

    /// A time; an unescaped + of an offset arrives as a space.
    pub(super) fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let read =
            |text: &str| slot::parse_time(text, super::ZONE).or_else(|_| slot::parse_time(&text.replace(' ', "+"), super::ZONE)).ok();
        self.get(name, read, "must be a date and time")
    }

    pub(super) fn number(&mut self, name: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let must = format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
        self.get(name, |text| text.parse().ok().filter(|number| bounds.contains(number)), &must)
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.get(name, |text| text.parse().ok(), "must be true or false")
    }

    pub(super) fn refuse(&mut self, name: &str, message: &str) {
        self.errors.push(FieldError::new(name, message));
    }

    pub(super) fn finish<T>(self, read: T) -> Result<T, Answer> {
        if self.errors.is_empty() { Ok(read) } else { Err(Answer::invalid(self.errors)) }
    }
}
