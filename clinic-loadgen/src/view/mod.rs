//! How a run stands, while it runs: a block of lines that is drawn again and again on a terminal, plain lines elsewhere. All of it goes to
//! standard error, so that standard output has the report alone.

mod frame;
mod past;
mod plain;
mod row;
mod screen;
mod stage;

use std::{
    env, io,
    io::IsTerminal,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use self::{
    frame::Faults,
    row::Look,
    stage::{Manner, Stage},
};
use crate::{
    chaos::{Mark, schedule::Planned},
    series::Progress,
};

/// How often a terminal is drawn.
const EVERY: Duration = Duration::from_millis(250);
/// So many lines may wait for a terminal that does not take them; more are left out.
const WAITING: usize = 64;

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) progress: watch::Receiver<Progress>,
    /// What is to be done to the clinic meanwhile, and what was done; `None` where nothing is.
    pub(crate) faults: Option<(Vec<Planned>, watch::Receiver<Vec<Mark>>)>,
}

/// Shows how a run stands until it is dropped; then a terminal is as it was.
///
/// It has a thread of its own: a terminal that is stopped (Ctrl-S) takes nothing, and may hold up neither the sending nor a runtime.
#[derive(Debug)]
pub(crate) struct View {
    shown: Option<(SyncSender<Told>, JoinHandle<()>)>,
}

/// What the thread is told; without any more it clears up and ends.
#[derive(Debug)]
enum Told {
    /// A line that stays.
    Line(String),
    /// To end without touching what is there.
    Leave,
}

impl View {
    /// One that shows nothing but what it is told to say.
    pub(crate) const fn quiet() -> Self {
        Self { shown: None }
    }

    /// Shows what is watched as standard error can.
    pub(crate) fn start(watched: Watched) -> Self {
        let (tell, told) = sync_channel(WAITING);
        let (manner, began) = (manner(), Instant::now());
        let show = move || show(&mut Stage::new(io::stderr(), manner), &watched, began, &told);
        // Without a thread there is no view, and a run all the same.
        Self { shown: thread::Builder::new().name("view".into()).spawn(show).ok().map(|thread| (tell, thread)) }
    }

    /// Says something to the person at the terminal, in lines that stay.
    pub(crate) fn say(&self, text: &str) {
        match &self.shown {
            Some((tell, _)) => drop(tell.try_send(Told::Line(text.to_owned()))),
            None => eprintln!("{text}"),
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let Some((tell, thread)) = self.shown.take() else { return };
        if thread::panicking() {
            // What the panic said stands below the block by now, where clearing up would take it for a part of it.
            let _ = tell.try_send(Told::Leave);
        }
        drop(tell);
        // It may have panicked, which it said then.
        let _ = thread.join();
    }
}

fn show(stage: &mut Stage<io::Stderr>, watched: &Watched, began: Instant, told: &Receiver<Told>) {
    loop {
        let told = told.recv_timeout(EVERY);
        let progress = watched.progress.borrow().clone();
        let marks = watched.faults.as_ref().map(|(_, marks)| marks.borrow().clone()).unwrap_or_default();
        let faults = watched.faults.as_ref().map(|(planned, _)| Faults { planned, marks: &marks });
        // Standard error that is gone shows nothing, and ends no run.
        let shown = match told {
            Ok(Told::Line(text)) => stage.say(&text),
            Err(RecvTimeoutError::Timeout) => stage.show(&progress, faults, began.elapsed(), look()),
            Ok(Told::Leave) => return,
            Err(RecvTimeoutError::Disconnected) => return drop(stage.end(faults)),
        };
        if shown.is_err() {
            return;
        }
    }
}

/// A terminal that moves its cursor gets a block; whatever else, lines.
fn manner() -> Manner {
    let can_move = env::var_os("TERM").is_some_and(|kind| !kind.is_empty() && kind != "dumb");
    if can_move && io::stderr().is_terminal() { Manner::Block } else { Manner::Lines }
}

fn look() -> Look {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let (width, height) = size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()));
    let is_set = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(is_set).unwrap_or_default().to_ascii_lowercase();
    let is_unicode = locale.contains("utf-8") || locale.contains("utf8");
    // https://no-color.org
    Look { width, height, is_coloured: is_set("NO_COLOR").is_none(), is_unicode }
}
