use std::{fmt, str::FromStr};

use thiserror::Error;

/// So many characters leave room for what follows: an id has 64 at most.
const LONGEST: usize = 20;

/// What comes before the names of a run's doctors and patients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(String);

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be at most {LONGEST} ASCII letters, digits, hyphens and underscores, such as second-")]
pub struct PrefixError;

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if is_plain && text.len() <= LONGEST { Ok(Self(text.to_owned())) } else { Err(PrefixError) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_short_and_plain() {
        for text in ["", "second-", "Run_2", "12345678901234567890"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        for wrong in ["a b", "ñ", "a@b", "a.", "123456789012345678901"] {
            assert_eq!(wrong.parse::<Prefix>(), Err(PrefixError), "{wrong}");
        }
    }
}
