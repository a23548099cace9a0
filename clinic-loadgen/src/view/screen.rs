//! A block of lines that is drawn in place.

use std::io::{self, Write};

/// The cursor is not seen while it moves, and a line that is wider than it should be ends at the edge instead of on the next row.
const BEGIN: &str = "\x1b[?25l\x1b[?7l";
const END: &str = "\x1b[?7h\x1b[?25h";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Where the block is drawn. Each change of it is one write that leaves the terminal as a shell expects it: whatever ends the process,
/// there is nothing to put back.
#[derive(Debug)]
pub(super) struct Screen<W> {
    out: W,
    /// Lines of the block, above the cursor.
    drawn: usize,
}

impl<W: Write> Screen<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, drawn: 0 }
    }

    /// Draws the block in place of the former one.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        // Cleared before it is written: behind a line that fills its row the cursor stands on the last character.
        let block: String = lines.iter().map(|line| format!("{CLEAR_LINE}{line}\r\n")).collect();
        let frame = format!("{BEGIN}{}{block}{CLEAR_BELOW}{END}", self.up());
        self.drawn = lines.len();
        self.write(&frame)
    }

    /// Takes the block away and writes text in its place, which stays.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        self.write(&format!("{text}\n"))
    }

    /// Takes the block away.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let frame = format!("{}{CLEAR_BELOW}", self.up());
        // Where nothing was drawn nothing is cleared: it may be no terminal.
        if std::mem::take(&mut self.drawn) == 0 { Ok(()) } else { self.write(&frame) }
    }

    /// To the block's beginning, wherever in its row the cursor is: a key that was pressed shows there.
    fn up(&self) -> String {
        if self.drawn == 0 { "\r".into() } else { format!("\r\x1b[{}A", self.drawn) }
    }

    fn write(&mut self, frame: &str) -> io::Result<()> {
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cleared_behind_a_line_that_may_fill_its_row() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out);
        screen.draw(&["full".into(), "fuller".into()]).unwrap();
        screen.draw(&["full".into()]).unwrap();
        screen.clear().unwrap();
        let out = String::from_utf8(out).unwrap();
        let block = format!("{BEGIN}\r{CLEAR_LINE}full\r\n{CLEAR_LINE}fuller\r\n{CLEAR_BELOW}{END}");
        let less = format!("{BEGIN}\r\x1b[2A{CLEAR_LINE}full\r\n{CLEAR_BELOW}{END}");
        assert_eq!(out, format!("{block}{less}\r\x1b[1A{CLEAR_BELOW}"));
    }
}
