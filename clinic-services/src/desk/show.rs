use std::{io::Write, process::ExitCode};

use clinic_client::{Client, DeadLetterView, Error, PoisonView};

use super::{DeskError, Selection, explain};

pub(super) async fn list(client: &Client, selection: &Selection, replayed: Option<bool>) -> Result<ExitCode, DeskError> {
    let mut list = selection.narrow(client.dead_letters().list());
    if let Some(replayed) = replayed {
        list = list.replayed(replayed);
    }
    if selection.most() == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    // The first page has what there is of poison; the letters behind it come as a stream.
    let page = list.clone().send().await?;
    let (mut letters, mut rest) = (page.items.into_iter(), page.next_cursor.map(|cursor| list.cursor(cursor).stream()));
    let mut left = selection.most();
    while left > 0 {
        let letter = match (letters.next(), &mut rest) {
            (None, Some(rest)) => rest.try_next().await?,
            (letter, _) => letter,
        };
        let Some(letter) = letter else { break };
        left -= 1;
        if !say(&line(&letter)) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    match page.poison {
        Some(all) => {
            for poison in all {
                say(&poison_line(&poison));
            }
        }
        None => eprintln!("whether there is poison is not known: the broker cannot be asked now"),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(client: &Client, id: i64) -> Result<ExitCode, DeskError> {
    let letter = client.dead_letters().get(id).await?;
    say(&serde_json::to_string_pretty(&letter).expect("a letter is strings and numbers, which always serialise"));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn explain(client: &Client, id: i64) -> Result<ExitCode, DeskError> {
    let letter = client.dead_letters().get(id).await?;
    let refused = match client.dead_letters().replay(id).dry_run(true).send().await {
        Ok(_) => None,
        Err(error) if cannot_be_replayed(&error) => Some(error),
        Err(error) => return Err(error.into()),
    };
    say(&explain::explain(&letter, refused.as_ref()));
    Ok(ExitCode::SUCCESS)
}

/// Whether the clinic said that this letter cannot be replayed, rather than that it cannot tell.
fn cannot_be_replayed(error: &Error) -> bool {
    error.code().is_some_and(|code| code.status_and_title().0 == 409)
}

/// A line to standard output, whose reader may have seen enough: false then.
pub(super) fn say(line: &str) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}

/// A letter in one line: no word of the patient.
fn line(letter: &DeadLetterView) -> String {
    let at = letter.at.format("%Y-%m-%dT%H:%M:%SZ");
    let channel = letter.channel.as_deref().map(|channel| format!(" on {channel}")).unwrap_or_default();
    let replayed = match (letter.replayed_at, letter.replayed_as) {
        (_, Some(booking)) => format!(", replayed as {booking}"),
        (Some(_), None) => ", replayed".to_owned(),
        (None, None) => String::new(),
    };
    format!("{} {at} {}{channel} {} booking {}{replayed}", letter.id, letter.kind, letter.code, letter.booking)
}

/// Poison in one line, which no letter's line begins like.
fn poison_line(PoisonView { queue, message_id, bytes, .. }: &PoisonView) -> String {
    let message = message_id.map_or_else(|| "without an id of ours".to_owned(), |id| id.to_string());
    format!("poison in {queue}: message {message}, {bytes} bytes")
}
