//! A terminal of the test's own, and what it shows.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use vt100::Parser;

use crate::scripted::LONG;

const ROWS: u16 = 40;

/// `loadgen` on a terminal.
pub(crate) struct Terminal {
    child: Child,
    output: Receiver<Vec<u8>>,
    parser: Parser,
    /// What it showed after each piece that was written.
    pub(crate) screens: Vec<String>,
    pub(crate) written: Vec<u8>,
}

impl Terminal {
    pub(crate) fn start(columns: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        tcsetwinsize(&near, Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let far = ptsname(&near, Vec::new()).unwrap().into_string().unwrap();
        let far = || Stdio::from(OpenOptions::new().read(true).write(true).open(&far).unwrap());
        let mut loadgen = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        loadgen.args(arguments).env_remove("CLINIC_TOKEN").env_remove("NO_COLOR").env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        loadgen.envs(environment.iter().copied()).stdin(far()).stdout(far()).stderr(far());
        let child = loadgen.spawn().unwrap();
        let (tell, output) = channel();
        thread::spawn(move || {
            let (mut near, mut piece) = (File::from(near), [0; 4096]);
            // An error says that nobody has the other side any more.
            while let Ok(length @ 1..) = near.read(&mut piece) {
                let _ = tell.send(piece[..length].to_vec());
            }
        });
        drop(loadgen);
        Self { child, output, parser: Parser::new(ROWS, columns, 0), screens: Vec::new(), written: Vec::new() }
    }

    /// Takes the next piece; `false` when there is none any more.
    fn next(&mut self, deadline: Instant) -> bool {
        let Ok(piece) = self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            assert!(Instant::now() < deadline, "{}", self.screen());
            return false;
        };
        self.parser.process(&piece);
        self.written.extend(piece);
        self.screens.push(self.screen());
        true
    }

    pub(crate) fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    pub(crate) fn is_cursor_seen(&self) -> bool {
        !self.parser.screen().hide_cursor()
    }

    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LONG;
        while !self.screen().contains(text) {
            assert!(self.next(deadline), "it ended without {text:?}: {}", self.screen());
        }
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, once it has ended and all that it wrote is shown.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LONG;
        while self.next(deadline) {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
