//! A look at the `.dead` queues: all that is got goes back.

use std::time::Duration;

use lapin::{
    Channel,
    options::{BasicGetOptions, BasicNackOptions},
    types::ShortString,
};
use tokio::time::timeout;

use super::{error::LinkError, names::Names, session::Session};
use crate::{dead_letter::Poison, topology::Queue};

/// For all of it.
const LOOK: Duration = Duration::from_secs(2);
/// Bodies come along: after so many bytes of a queue, no more of it is looked at.
const ENOUGH: u64 = 16 * 1024 * 1024;

/// What lies in the queues now, on a channel of its own.
pub(super) async fn look(session: &Session, names: &Names) -> Result<Vec<Poison>, LinkError> {
    let channel = session.channel().await?;
    let found = tokio::select! {
        () = session.end() => Err(LinkError::NoSession),
        found = timeout(LOOK, all(&channel, names)) => found.unwrap_or(Err(LinkError::TimedOut { step: "looking at poison", limit: LOOK })),
    };
    // Whatever was not given back goes back with its channel.
    session.close_channel(&channel).await;
    found
}

async fn all(channel: &Channel, names: &Names) -> Result<Vec<Poison>, LinkError> {
    let mut found = Vec::new();
    for queue in Queue::ALL {
        of_queue(channel, queue, &names.dead(queue), &mut found).await?;
    }
    Ok(found)
}

async fn of_queue(channel: &Channel, queue: Queue, dead: &ShortString, found: &mut Vec<Poison>) -> Result<(), LinkError> {
    let failed = |source| LinkError::Failed { step: "looking at poison", source };
    let (mut bytes, mut last) = (0, None);
    for _ in 0..Poison::SHOWN {
        let Some(got) = channel.basic_get(dead.clone(), BasicGetOptions { no_ack: false }).await.map_err(failed)? else { break };
        let message = got.delivery;
        let poison = Poison::new(queue, message.properties.message_id().as_ref().map(ShortString::as_str), message.data.len() as u64);
        bytes += poison.bytes;
        last = Some(message.delivery_tag);
        found.push(poison);
        if bytes >= ENOUGH {
            break;
        }
    }
    if let Some(last) = last {
        channel.basic_nack(last, BasicNackOptions { multiple: true, requeue: true }).await.map_err(failed)?;
    }
    Ok(())
}
