use std::{fmt, process::ExitCode};

use clinic_client::{Client, Error, ProblemCode, ReplayView};

use super::{DeskError, Rate, Selection, show::say};

/// Replays at a pace, one line each and a summary.
pub(super) struct Replays {
    client: Client,
    dry_run: bool,
    rate: Rate,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    dry_run: bool,
    replayed: u64,
    already: u64,
    refused: u64,
    failed: u64,
}

impl Replays {
    pub(super) const fn new(client: Client, dry_run: bool, rate: Rate) -> Self {
        Self { client, dry_run, rate }
    }

    /// Replays these letters.
    pub(super) async fn named(&self, ids: &[i64]) -> Result<ExitCode, DeskError> {
        let mut tally = Tally { dry_run: self.dry_run, ..Tally::default() };
        let mut ticks = self.rate.ticks();
        for id in ids {
            ticks.tick().await;
            self.one(*id, &mut tally).await?;
        }
        Ok(tally.end())
    }

    /// Replays what a selection chooses of the letters that were not replayed yet. Walking on behind the last one seen, it meets no
    /// letter twice, whatever it does to them.
    pub(super) async fn selected(&self, selection: &Selection) -> Result<ExitCode, DeskError> {
        let mut tally = Tally { dry_run: self.dry_run, ..Tally::default() };
        let mut ticks = self.rate.ticks();
        let mut letters = selection.narrow(self.client.dead_letters().list()).replayed(false).stream();
        let mut left = selection.most();
        while left > 0
            && let Some(letter) = letters.try_next().await?
        {
            left -= 1;
            ticks.tick().await;
            self.one(letter.id, &mut tally).await?;
        }
        Ok(tally.end())
    }

    async fn one(&self, id: i64, tally: &mut Tally) -> Result<(), DeskError> {
        let line = match self.client.dead_letters().replay(id).dry_run(self.dry_run).send().await {
            Ok(view) => {
                tally.replayed += 1;
                done(&view)
            }
            Err(error) => match error.code() {
                // Not tried, or perhaps done: whoever runs it again finds out and does nothing twice.
                None
                | Some(ProblemCode::Unavailable | ProblemCode::OutcomeUnknown | ProblemCode::Unauthorized | ProblemCode::Forbidden) => {
                    say(&tally.to_string());
                    return Err(error.into());
                }
                Some(code) => {
                    match code {
                        ProblemCode::AlreadyReplayed => tally.already += 1,
                        // A fault that lies in this letter: what is behind it has its turn.
                        ProblemCode::Internal => tally.failed += 1,
                        _ => tally.refused += 1,
                    }
                    format!("{code}: {}", detail(&error))
                }
            },
        };
        say(&format!("{id} {line}"));
        Ok(())
    }
}

fn done(view: &ReplayView) -> String {
    match (view.dry_run, view.dead_letter.replayed_as) {
        (true, _) => format!("could be replayed: {}", view.dead_letter.kind),
        (false, Some(booking)) => format!("replayed as booking {booking}"),
        (false, None) => format!("replayed: {}", view.dead_letter.kind),
    }
}

fn detail(error: &Error) -> String {
    error.problem().map_or_else(|| error.to_string(), |problem| problem.detail.clone().unwrap_or_else(|| problem.title.clone()))
}

impl Tally {
    /// Says the summary; what was replayed before is no failure.
    fn end(self) -> ExitCode {
        say(&self.to_string());
        if self.refused == 0 && self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run { "could be replayed" } else { "replayed" };
        let Self { replayed, already, refused, failed, .. } = self;
        write!(f, "{replayed} {verb}, {already} already replayed, {refused} refused, {failed} failed")
    }
}
