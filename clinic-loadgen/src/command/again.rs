//! The command line that makes a run again, as a report may show it.

const MASK: &str = "***";

/// With the run's seed, and without API keys and passwords: not those of the clinic, nor those in the command lines of its processes.
pub(super) fn again(arguments: impl Iterator<Item = String>, seed: u64) -> String {
    let (mut line, mut arguments, mut is_seeded) = ("loadgen".to_owned(), arguments, false);
    while let Some(argument) = arguments.next() {
        if argument == "--token" {
            arguments.next();
            continue;
        }
        if argument.starts_with("--token=") {
            continue;
        }
        is_seeded |= argument == "--seed" || argument.starts_with("--seed=");
        let argument = masked(&argument);
        let is_plain = !argument.is_empty() && argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_=:/.,%@".contains(c));
        line += &if is_plain { format!(" {argument}") } else { format!(" '{}'", argument.replace('\'', r"'\''")) };
    }
    if is_seeded { line } else { format!("{line} --seed {seed}") }
}

/// A text without what its URLs and names say is secret. Where that is not sure, more is masked, not less.
fn masked(text: &str) -> String {
    without_named(&without_passwords(text))
}

/// Masks what is between `:` and `@` of each URL's user.
fn without_passwords(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(begin) = rest.find("://") {
        let (before, after) = rest.split_at(begin + 3);
        shown += before;
        rest = after;
        let end = rest.find(|c: char| c.is_whitespace() || "'\"".contains(c)).unwrap_or(rest.len());
        let end = rest.find("://").map_or(end, |next| next.min(end));
        let Some(colon) = rest[..end].find(':') else { continue };
        let is_port = rest[colon + 1..].starts_with(|c: char| c.is_ascii_digit());
        // A password may itself hold what ends a word: then the next `@` ends it.
        let at = rest[..end].rfind('@').or_else(|| if is_port { None } else { rest[end..].find('@').map(|at| end + at) });
        if let Some(at) = at.filter(|at| *at > colon) {
            shown += &format!("{}:{MASK}", &rest[..colon]);
            rest = &rest[at..];
        }
    }
    shown + rest
}

/// Masks the value of each option and variable whose name says that it is secret.
fn without_named(text: &str) -> String {
    let (mut shown, mut hidden) = (String::new(), Hidden::None);
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let space = &piece[word.len()..];
        let value = match hidden {
            Hidden::None => secret_of(word),
            Hidden::Next => Some(0),
            Hidden::Until(quote) => {
                if word.contains(quote) {
                    hidden = Hidden::None;
                }
                continue;
            }
        };
        if word.is_empty() {
            shown += space;
            continue;
        }
        hidden = Hidden::None;
        let Some(value) = value else {
            shown += piece;
            if word.starts_with('-') && is_secret(word) {
                hidden = Hidden::Next;
            }
            continue;
        };
        shown += &format!("{}{MASK}{space}", &word[..value]);
        let opened = word[value..].chars().next().filter(|first| "'\"".contains(*first));
        if let Some(quote) = opened.filter(|quote| word[value + 1..].find(*quote).is_none()) {
            hidden = Hidden::Until(quote);
        }
    }
    shown
}

/// What of the words to come is masked.
enum Hidden {
    None,
    /// The next one.
    Next,
    /// All, until one ends with this.
    Until(char),
}

/// Where the value of `NAME=VALUE` begins, if it is secret.
fn secret_of(word: &str) -> Option<usize> {
    let ends = word.match_indices('=').map(|(end, _)| end);
    ends.scan(0, |begin, end| Some((std::mem::replace(begin, end + 1), end)))
        .find(|(begin, end)| is_secret(&word[*begin..*end]))
        .map(|(_, end)| end + 1)
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "password", "passwd", "secret", "key", "keys"].iter().any(|secret| name.ends_with(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[&str]) -> String {
        again(line.iter().map(|word| (*word).to_owned()), 7)
    }

    #[test]
    fn a_run_can_be_made_again_by_what_is_shown_of_it_and_its_key_is_not_shown() {
        assert_eq!(shown(&["run", "--token", "secret", "--rate", "5", "--token=secret"]), "loadgen run --rate 5 --seed 7");
        assert_eq!(shown(&["run", "--fail-if", "p99>50ms", "--seed", "9"]), "loadgen run --fail-if 'p99>50ms' --seed 9");
        let chaos = ["chaos", "--url", "http://127.0.0.1:8090", "--process", "c=clinic --store=sqlite:a@b.db", "--seed=9"];
        assert_eq!(shown(&chaos), "loadgen chaos --url http://127.0.0.1:8090 --process 'c=clinic --store=sqlite:a@b.db' --seed=9");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (url, expected) in [
            ("http://user:secret@host", "http://user:***@host"),
            ("http://user:secret@host:8080/a", "http://user:***@host:8080/a"),
            ("http://user@host:8080", "http://user@host:8080"),
            ("http://:secret@host", "http://:***@host"),
            ("amqp://u:sec@ret@host/%2f", "amqp://u:***@host/%2f"),
            ("amqp://u:1/secret@host", "amqp://u:***@host"),
            ("amqp://u:secret@a,amqp://u:secret@b", "amqp://u:***@a,amqp://u:***@b"),
            ("http://u:sec'r et@host", "http://u:***@host"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
        ] {
            assert_eq!(masked(url), expected);
        }
    }

    #[test]
    fn a_key_or_password_in_a_process_s_command_line_is_not_shown() {
        let process =
            "api=env CLINIC_TOKEN=secret clinic-api --store 'postgres://u:secret@db/c' --broker=amqp://u:secret@mq --token secret";
        assert_eq!(
            masked(process),
            "api=env CLINIC_TOKEN=*** clinic-api --store 'postgres://u:***@db/c' --broker=amqp://u:***@mq --token ***"
        );
        for (line, expected) in [
            ("api=TOKEN='a secret' run", "api=TOKEN=*** run"),
            ("api=run --token  \"a secret b\" --x", "api=run --token  *** --x"),
            ("api=run --api-key=secret;PGPASSWORD=secret x", "api=run --api-key=*** x"),
            ("api=PASSWORD=secret", "api=PASSWORD=***"),
            ("api=run --api-keys-file keys.txt", "api=run --api-keys-file keys.txt"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }
}
