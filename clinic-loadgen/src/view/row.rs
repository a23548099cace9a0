//! One line of the block.

/// A label and the space behind it.
const LABEL: usize = 11;

/// How a terminal is written to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Its columns.
    pub(super) width: usize,
    /// Its rows.
    pub(super) height: usize,
    pub(super) is_coloured: bool,
    /// Whether it shows more than ASCII.
    pub(super) is_unicode: bool,
}

/// How a part of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Dim,
    Strong,
    Good,
    Warning,
    Bad,
}

impl Paint {
    /// The parameters of "select graphic rendition" (ECMA-48).
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Dim => Some("2"),
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Warning => Some("1;33"),
            Self::Bad => Some("1;31"),
        }
    }
}

/// A line: a label, and parts that follow one another.
#[derive(Clone, Debug)]
pub(super) struct Row(Vec<(Paint, String)>);

impl Row {
    pub(super) fn new(label: &str) -> Self {
        Self::painted(Paint::Dim, label)
    }

    pub(super) fn painted(paint: Paint, label: &str) -> Self {
        Self(vec![(paint, format!("{label:<LABEL$}"))])
    }

    pub(super) fn and(mut self, paint: Paint, text: impl Into<String>) -> Self {
        self.0.push((paint, text.into()));
        self
    }

    /// How many columns are left.
    pub(super) fn room(&self, look: Look) -> usize {
        look.width.saturating_sub(self.length())
    }

    fn length(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The line as it is written, cut where the terminal ends. Nothing in it moves the cursor: targets and codes are others' words.
    pub(super) fn shown(&self, look: Look) -> String {
        let is_cut = self.length() > look.width;
        let (mut left, mut line) = (if is_cut { look.width.saturating_sub(1) } else { look.width }, String::new());
        for (paint, text) in &self.0 {
            let text: String = text.chars().take(left).map(|c| if c.is_control() { '?' } else { c }).collect();
            left -= text.chars().count();
            match paint.code().filter(|_| look.is_coloured && !text.is_empty()) {
                Some(code) => line += &format!("\x1b[{code}m{text}\x1b[0m"),
                None => line += &text,
            }
        }
        if is_cut && look.width > 0 {
            line.push(if look.is_unicode { '…' } else { '>' });
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look { width: 20, height: 24, is_coloured: false, is_unicode: true };

    #[test]
    fn a_line_that_is_too_long_is_cut_and_shows_that() {
        let row = Row::new("sent").and(Paint::Plain, "123456789");
        assert_eq!(row.shown(LOOK), "sent       123456789");
        assert_eq!(row.clone().and(Paint::Bad, "0").shown(LOOK), "sent       12345678…");
        assert_eq!(row.and(Paint::Bad, "0").shown(Look { is_unicode: false, ..LOOK }), "sent       12345678>");
        assert_eq!(Row::new("sent").shown(Look { width: 0, ..LOOK }), "");
    }

    #[test]
    fn colours_take_no_room_and_can_be_left_out() {
        let row = Row::new("sent").and(Paint::Bad, "123456789");
        let shown = row.shown(Look { is_coloured: true, ..LOOK });
        assert_eq!(shown, "\x1b[2msent       \x1b[0m\x1b[1;31m123456789\x1b[0m");
        assert!(!row.shown(LOOK).contains('\x1b'));
    }

    #[test]
    fn what_others_named_does_not_move_the_cursor() {
        assert_eq!(Row::new("f").and(Paint::Plain, "a\x1b[2J\nb").shown(LOOK), "f          a?[2J?b");
    }
}
