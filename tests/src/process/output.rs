//! What a child process writes: whole lines, read on threads of their own.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

/// Lines of standard error that are kept of each process.
const DIAGNOSTICS: usize = 5_000;

/// The last lines of standard error.
#[derive(Clone, Debug, Default)]
pub(super) struct Diagnostics(Arc<Mutex<VecDeque<String>>>);

impl Diagnostics {
    pub(super) fn keep(&self, line: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == DIAGNOSTICS {
            kept.pop_front();
        }
        kept.push_back(line.to_owned());
    }

    pub(super) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Whoever reads the notices, and whether they have stopped.
#[derive(Debug, Default)]
pub(super) struct Reader {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Reader {
    pub(super) fn set(&self, stopped: bool) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
        self.changed.notify_all();
    }

    pub(super) fn wait(&self) {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(stopped, |stopped| *stopped));
    }
}

/// Hands on whole lines; one cut short by a kill was never written out by the channel.
pub(super) fn whole_lines(from: impl Read, mut take: impl FnMut(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if line.pop() == Some(b'\n') {
            take(&String::from_utf8_lossy(&line));
        }
        line.clear();
    }
}

/// `http://ADDRESS` in a line.
pub(super) fn address_in(line: &str) -> Option<String> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '[' | ']'))).unwrap_or(rest.len());
    let address = rest[..end].trim_end_matches([':', '.']);
    address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port != 0)?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_start_up_line() {
        for line in ["serving on http://127.0.0.1:4711/", "see http://127.0.0.1:4711.", "http://127.0.0.1:4711/docs and more"] {
            assert_eq!(address_in(line).as_deref(), Some("127.0.0.1:4711"));
        }
        assert_eq!(address_in("\u{1b}[2mlisten=http://[::1]:80\u{1b}[0m").as_deref(), Some("[::1]:80"));
        assert_eq!(address_in("http://127.0.0.1:0"), None);
        assert_eq!(address_in("no address"), None);
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        let mut lines = Vec::new();
        whole_lines(&b"one\n\ntwo\nthr"[..], |line| lines.push(line.to_owned()));
        assert_eq!(lines, ["one", "", "two"]);
    }
}
