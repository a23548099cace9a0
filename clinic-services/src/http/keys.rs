//! API keys: who may call, known by the hash of their key.

use std::{collections::HashSet, fs::File, io::Read, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The shortest key that is taken: about 96 bits when it is random.
const SHORTEST: usize = 16;

/// The permission of those who are neither owner nor of the group.
const OTHERS_READ: u32 = 0o004;

/// Who may call. Holds hashes only.
#[derive(Clone, Default)]
pub struct Keys(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    caller: Arc<str>,
    hash: [u8; 32],
}

/// Why a text holds no keys.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file cannot be read.
    #[error("the file of API keys cannot be read: see CLINIC_API_KEYS_FILE")]
    Unreadable(#[source] std::io::Error),
    /// A line that is no `name:key`.
    #[error(
        "line {0} of the API keys is no name:key: a name of 1-64 letters, digits, dots, hyphens and underscores, \
         then a key of at least {SHORTEST} visible ASCII characters"
    )]
    Line(usize),
    /// One key, two lines.
    #[error("line {0} of the API keys repeats an earlier key: give each line a key of its own")]
    Repeated(usize),
    /// Nobody could call.
    #[error("the file of API keys holds none: write one name:key a line")]
    Empty,
}

impl Keys {
    /// Reads a file of keys; warns of one that every user of the machine can read.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let mut file = File::open(path).map_err(KeysError::Unreadable)?;
        if file.metadata().is_ok_and(|about| about.permissions().mode() & OTHERS_READ != 0) {
            tracing::warn!("every user of this machine can read the keys in {}: see CLINIC_API_KEYS_FILE", path.display());
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(KeysError::Unreadable)?;
        Self::parse(&text)
    }

    /// Reads one `name:key` a line; empty lines and those that start with `#` are skipped. A name may have several
    /// keys, so that one can be replaced without a pause.
    ///
    /// # Errors
    /// [`KeysError`] names the line; it never shows it.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        for (place, line) in text.lines().enumerate().map(|(place, line)| (place + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (caller, key) = line.split_once(':').ok_or(KeysError::Line(place))?;
            let named = (1..=64).contains(&caller.len()) && caller.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !named || key.len() < SHORTEST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(KeysError::Line(place));
            }
            let hash: [u8; 32] = Sha256::digest(key).into();
            if !seen.insert(hash) {
                return Err(KeysError::Repeated(place));
            }
            keys.push(Key { caller: caller.into(), hash });
        }
        if keys.is_empty() { Err(KeysError::Empty) } else { Ok(Self(keys.into())) }
    }

    /// Whose key it is. Every hash is compared whole, so that the time taken tells nothing.
    #[must_use]
    pub fn caller(&self, key: &[u8]) -> Option<Arc<str>> {
        let hash: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        for key in self.0.iter() {
            let difference = key.hash.iter().zip(&hash).fold(0, |all, (one, other)| all | (one ^ other));
            if std::hint::black_box(difference) == 0 {
                found = Some(&key.caller);
            }
        }
        found.cloned()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef";

    #[test]
    fn a_key_names_its_caller() {
        let keys = Keys::parse(&format!("# front desk\ndesk:{KEY}\n\ndesk:{KEY}-next\nkiosk:{KEY}:more\n")).unwrap();
        assert_eq!(keys.caller(KEY.as_bytes()).as_deref(), Some("desk"));
        assert_eq!(keys.caller(format!("{KEY}-next").as_bytes()).as_deref(), Some("desk"));
        assert_eq!(keys.caller(format!("{KEY}:more").as_bytes()).as_deref(), Some("kiosk"));
        assert_eq!(keys.caller(b"0123456789abcdeg"), None);
    }

    #[test]
    fn bad_lines_are_named_and_not_shown() {
        for (text, place) in [("desk", "1"), ("\ndesk:short", "2"), (":0123456789abcdef", "1"), ("de sk:0123456789abcdef", "1")] {
            let error = Keys::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {place}")) && !error.contains("0123456789abcdef"), "{error}");
        }
        assert!(matches!(Keys::parse(&format!("a:{KEY}\nb:{KEY}")), Err(KeysError::Repeated(2))));
        assert!(matches!(Keys::parse("# none\n"), Err(KeysError::Empty)));
    }
}
