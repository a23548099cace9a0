use clinic_core::api::BookRequest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::JournalError;

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Record {
    Begun { key: Uuid, request: Box<BookRequest> },
    Finished { key: Uuid },
}

impl Record {
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("records are strings and numbers, which always serialise");
        line.push(b'\n');
        line
    }
}

/// What is begun and not finished in a file's bytes, in order.
///
/// Each record is synced before the next is written, so only the last one can be torn: it was never acted upon. One that is whole and
/// that this release does not know is not torn.
pub(super) fn unfinished(bytes: &[u8]) -> Result<Vec<(Uuid, BookRequest)>, JournalError> {
    let mut open: Vec<(Uuid, BookRequest)> = Vec::new();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for (place, line) in lines.iter().enumerate() {
        let is_last = place + 1 == lines.len();
        // All lines before the last end.
        if !line.ends_with(b"\n") {
            break;
        }
        match serde_json::from_slice(line) {
            Ok(Record::Begun { key, request }) => open.push((key, *request)),
            Ok(Record::Finished { key }) => open.retain(|(begun, _)| *begun != key),
            Err(error) if is_last && !error.is_data() => {}
            Err(_) => return Err(JournalError::Corrupt(place + 1)),
        }
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(key: u128) -> Vec<u8> {
        let request = BookRequest { patient_name: Some("Zo\u{eb}\n".into()), ..BookRequest::default() };
        Record::Begun { key: Uuid::from_u128(key), request: Box::new(request) }.line()
    }

    fn finished(key: u128) -> Vec<u8> {
        Record::Finished { key: Uuid::from_u128(key) }.line()
    }

    fn open(bytes: &[u8]) -> Vec<u128> {
        unfinished(bytes).unwrap().into_iter().map(|(key, _)| key.as_u128()).collect()
    }

    #[test]
    fn wherever_a_write_is_cut_off_what_was_synced_before_it_is_there() {
        let synced = [begun(1), begun(2), finished(1)].concat();
        for next in [begun(3), finished(2)] {
            for cut in 0..next.len() {
                assert_eq!(open(&[&synced, &next[..cut]].concat()), [2], "cut at {cut}");
            }
        }
        assert_eq!(open(&[synced.clone(), begun(3)].concat()), [2, 3]);
        assert_eq!(open(&[synced.clone(), finished(2)].concat()), Vec::<u128>::new());
        // A disk that kept a record's length and not its bytes.
        assert_eq!(open(&[synced, vec![0; 100]].concat()), [2]);
    }

    #[test]
    fn damage_anywhere_else_is_named_and_nothing_guessed() {
        for damage in ["\n", "nonsense\n", "{\"record\":\"begun\"}\n", "{\"record\":\"of_a_newer_release\"}\n"] {
            let bytes = [begun(1), damage.as_bytes().to_vec(), begun(2)].concat();
            assert!(matches!(unfinished(&bytes), Err(JournalError::Corrupt(2))), "{damage:?}");
        }
    }

    #[test]
    fn a_whole_record_that_cannot_be_read_is_no_torn_one_also_in_last_place() {
        let newer = String::from_utf8(begun(2)).unwrap().replacen("\"request\":{", "\"request\":{\"of_a_newer_release\":1,", 1);
        for record in [newer.as_str(), "{\"record\":\"begun\"}\n", "{\"record\":\"of_a_newer_release\"}\n", "{}\n"] {
            let bytes = [begun(1), record.as_bytes().to_vec()].concat();
            assert!(matches!(unfinished(&bytes), Err(JournalError::Corrupt(2))), "{record:?}");
        }
        for torn in ["\n", "nonsense\n", "\0\0\n", "{\"record\":\n", "{\"record\":\"of_a_newer_release\"}"] {
            assert_eq!(open(&[begun(1), torn.as_bytes().to_vec()].concat()), [1], "{torn:?}");
        }
    }
}
