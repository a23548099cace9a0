//! `clinic dead-letters`: the desk at the command line, over HTTP.

mod command;
mod error;
mod explain;
mod pace;
mod replay;
mod show;

use std::process::ExitCode;

use clinic_client::Client;
use clinic_core::dead_letter::DeadLetterKind;

pub use self::{
    command::{Desk, DeskCommand, Selection},
    error::DeskError,
    pace::Rate,
};
use crate::config::Calling;

/// Does what the desk was asked for: 0 when all went well, 1 when some of it was refused or failed. (What is written wrongly ends
/// with 2, as everywhere.)
///
/// # Errors
/// [`DeskError`].
pub fn run(desk: &Desk) -> Result<ExitCode, DeskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DeskError::Runtime)?;
    runtime.block_on(async {
        match &desk.command {
            DeskCommand::List { selection, replayed, calling } => show::list(&client(calling)?, selection, *replayed).await,
            DeskCommand::Show { id, calling } => show::show(&client(calling)?, *id).await,
            DeskCommand::Explain { id, calling } => show::explain(&client(calling)?, *id).await,
            DeskCommand::Replay { ids, selection, all, rate, dry_run, calling } => {
                if ids.is_empty() && !*all && selection.is_empty() {
                    return Err(DeskError::Unbounded);
                }
                let replays = replay::Replays::new(client(calling)?, *dry_run, *rate);
                if ids.is_empty() { replays.selected(selection).await } else { replays.named(ids).await }
            }
        }
    })
}

fn client(calling: &Calling) -> Result<Client, DeskError> {
    let mut builder = Client::builder(&calling.url);
    if let Some(token) = &calling.token {
        builder = builder.token(token);
    }
    Ok(builder.build()?)
}

fn kind(text: &str) -> Result<DeadLetterKind, String> {
    let all: Vec<_> = DeadLetterKind::ALL.iter().map(|kind| kind.as_str()).collect();
    DeadLetterKind::parse(text).ok_or_else(|| format!("must be one of {}", all.join(", ")))
}
