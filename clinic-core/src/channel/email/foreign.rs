//! What somebody else wrote, such as a name, as a letter may show it: whoever books may write what they like to any address.

/// The text on one line, in reading order, and with nothing in it that a mail program would make a link of.
///
/// Whoever reads it sees where something was: the dot of `evil.example` becomes a low line. Dots that end a word or an initial stay.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if is_line_break(c) => shown.push(' '),
            // Between letters of the scripts that need them, and nowhere else.
            '\u{200c}' | '\u{200d}' if shown.chars().next_back().is_some_and(|last| !last.is_ascii()) => shown.push(c),
            _ if c.is_control() || is_format(c) => {}
            _ => shown.push(c),
        }
    }
    unlinked(shown.trim())
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}')
}

/// Invisible characters, those among them that turn the direction of what follows (Unicode, general category Cf).
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

fn unlinked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let links = match c {
            '@' => true,
            ':' => rest.as_str().starts_with("//"),
            // As names of hosts have them (RFC 3490, section 3.1).
            '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' => begins_label(rest.as_str()),
            _ => false,
        };
        shown.push(if links { '_' } else { c });
    }
    shown
}

/// Whether what follows a dot may be the name of a domain, of which none is shorter than two letters, or a number of an address.
fn begins_label(text: &str) -> bool {
    let mut label = text.chars().take_while(|c| c.is_alphanumeric());
    label.next().is_some_and(|first| first.is_numeric() || label.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_as_they_are() {
        for name in [
            "Juan Pérez",
            "Mª Ángeles O’Neill-D'Arcy",
            "Dr. J.R. Núñez Jr.",
            "李小龍",
            "محمد علي",
            "مهدی نیک\u{200c}پور",
            "Zoë (née Ng) & Co: 2/3",
        ] {
            assert_eq!(plain(name), name);
        }
    }

    #[test]
    fn links_are_none_any_more() {
        for (text, shown) in [
            ("http://evil.example Click", "http_//evil_example Click"),
            ("see www.evil.example/a.b", "see www_evil_example/a.b"),
            ("ana@evil.example", "ana_evil_example"),
            ("evil\u{3002}example ev\u{200b}il.\u{200d}example", "evil_example evil_example"),
            ("10.0.0.7", "10_0_0_7"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn what_cannot_be_seen_does_nothing() {
        assert_eq!(plain(" a\u{202e}b\u{2066}c\u{feff}\u{7}d\u{200d} "), "abcd");
        assert_eq!(plain("Ana\r\nBcc: x\u{2028}y"), "Ana  Bcc: x y");
    }
}
