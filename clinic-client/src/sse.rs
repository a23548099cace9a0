//! Server-sent events, read as they come.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>

use std::time::Duration;

use crate::error::Unreadable;

/// The longest line and the most data of one event, in bytes.
const MOST: usize = 1024 * 1024;

/// An event with data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where to go on from behind it.
    pub(crate) id: Option<String>,
    /// What was sent, its lines joined by line feeds.
    pub(crate) data: String,
}

/// Reads one stream, in pieces cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// What came and is no whole line yet.
    rest: Vec<u8>,
    /// Whether a carriage return ended the last line: a line feed that follows belongs to it.
    after_return: bool,
    /// Whether anything was read: a byte order mark may come first.
    begun: bool,
    data: String,
    has_data: bool,
    /// The id that the event under way has, or one before it had.
    id: String,
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

impl Parser {
    /// The id of the last whole event: where to go on from.
    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// How long the server wants to be left alone before the client comes again.
    pub(crate) const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes a piece, and adds the events that it completes: those before an error, too.
    pub(crate) fn push(&mut self, piece: &[u8], events: &mut Vec<Event>) -> Result<(), Unreadable> {
        for byte in piece {
            let ends = match byte {
                b'\n' => !self.after_return,
                b'\r' => true,
                byte => {
                    self.rest.push(*byte);
                    false
                }
            };
            self.after_return = *byte == b'\r';
            if ends {
                let line = std::mem::take(&mut self.rest);
                let line = std::str::from_utf8(&line).map_err(|_| Unreadable::Text)?;
                let line = if self.begun { line } else { line.strip_prefix('\u{feff}').unwrap_or(line) };
                self.begun = true;
                events.extend(self.line(line));
            }
            if self.rest.len() > MOST || self.data.len() > MOST {
                return Err(Unreadable::Endless);
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            if !self.id.is_empty() {
                self.last_event_id = Some(self.id.clone());
            }
            let has_data = std::mem::take(&mut self.has_data);
            return has_data.then(|| Event { id: self.last_event_id.clone(), data: std::mem::take(&mut self.data) });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            // A comment, whose field is empty; the event's name, which its data has, too; what a later standard brings.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&str]) -> (Vec<String>, Parser) {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser.push(piece.as_bytes(), &mut events).unwrap();
        }
        (events.into_iter().map(|event| event.data).collect(), parser)
    }

    const STREAM: &str = "\u{feff}retry: 1500\r\n: hello\r\n\r\nid: 1\r\nevent: accepted\r\ndata: {\"a\":\r\ndata:1}\r\n\r\nid\ndata: b\n\ndata\rid: 7\r\rdata: lost";

    #[test]
    fn fields_comments_and_every_kind_of_line_end_are_read() {
        let (seen, parser) = events(&[STREAM]);
        assert_eq!(seen, ["{\"a\":\n1}", "b", ""]);
        assert_eq!((parser.last_event_id(), parser.retry()), (Some("7"), Some(Duration::from_millis(1500))));
    }

    #[test]
    fn it_does_not_matter_where_the_pieces_are_cut() {
        let whole = events(&[STREAM]).0;
        for cut in (0..=STREAM.len()).filter(|cut| STREAM.is_char_boundary(*cut)) {
            let (one, other) = STREAM.split_at(cut);
            assert_eq!(events(&[one, other]).0, whole, "cut at {cut}");
        }
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for byte in STREAM.bytes() {
            parser.push(&[byte], &mut events).unwrap();
        }
        assert_eq!(events.into_iter().map(|event| event.data).collect::<Vec<_>>(), whole);
    }

    #[test]
    fn an_event_without_data_is_none_and_its_id_counts() {
        let (seen, parser) = events(&["id: 3\nevent: x\n\n"]);
        assert_eq!((seen.len(), parser.last_event_id()), (0, Some("3")));
    }

    #[test]
    fn an_event_that_is_cut_off_does_not_count() {
        let (seen, parser) = events(&["id: 3\ndata: a\n\nid: 4\ndata: b\n"]);
        assert_eq!((seen.len(), parser.last_event_id()), (1, Some("3")));
    }

    #[test]
    fn what_is_no_id_or_no_time_is_passed_over() {
        let (_, parser) = events(&["id: 3\nid: a\0b\nretry: 7\nretry: 1s\nretry: -1\nretry:\nretry: 99999999999999999999\n\n"]);
        assert_eq!((parser.last_event_id(), parser.retry()), (Some("3"), Some(Duration::from_millis(7))));
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let push = |parser: &mut Parser, piece: &[u8]| parser.push(piece, &mut Vec::new());
        let endless = vec![b'x'; MOST + 1];
        assert_eq!(push(&mut Parser::default(), &endless), Err(Unreadable::Endless));
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &vec![b'x'; MOST / 2], b"\n"].concat();
        assert_eq!(push(&mut parser, &line), Ok(()));
        assert_eq!(push(&mut parser, &line).and_then(|()| push(&mut parser, &line)), Err(Unreadable::Endless));
        assert_eq!(push(&mut Parser::default(), b"data: \xff\n"), Err(Unreadable::Text));
    }

    #[test]
    fn what_comes_before_an_error_is_given_with_where_to_go_on_from() {
        let mut events = Vec::new();
        assert_eq!(Parser::default().push(b"data: a\n\nid: 7\ndata: b\n\ndata: \xff\n", &mut events), Err(Unreadable::Text));
        let event = |id: Option<&str>, data: &str| Event { id: id.map(str::to_owned), data: data.into() };
        assert_eq!(events, [event(None, "a"), event(Some("7"), "b")]);
    }
}
