//! Notices that were sent, and that nothing later waits for.

use std::collections::{HashMap, HashSet};

use super::super::{
    error::Result,
    rows::{Columns, Count},
    tx::{Tx, params},
};
use crate::{
    id::{BookingId, Token},
    ports::{NoticeEnding, NoticeResult, NoticeSettled},
};

/// Settles them. Of two results under one token the first counts; the second is not plain.
pub(in super::super) async fn receipts(tx: &Tx, results: &[&NoticeResult]) -> Result<Vec<Option<NoticeSettled>>> {
    let mut settled: Vec<Option<NoticeSettled>> = results.iter().map(|_| None).collect();
    let mut places: HashMap<Token, usize> = HashMap::with_capacity(results.len());
    let (mut seen, mut sent) = (HashSet::with_capacity(results.len()), Vec::with_capacity(results.len()));
    for (place, result) in results.iter().enumerate() {
        let is_first = seen.insert(result.notice.token);
        if let (true, NoticeEnding::Sent(receipt)) = (is_first, &result.ending) {
            places.insert(result.notice.token, place);
            sent.push((&result.notice, receipt.as_deref()));
        }
    }
    if sent.is_empty() {
        return Ok(settled);
    }
    // Several of one booking take one place behind the other in its timeline.
    let sql = "WITH plain AS MATERIALIZED (SELECT input.*, greatest(1, \
               (SELECT max(seq) FROM timeline WHERE timeline.booking = of_booking), \
               (SELECT max(seq) FROM notice AS other WHERE other.booking = of_booking)) \
               + row_number() OVER (PARTITION BY of_booking ORDER BY input.place) AS next \
               FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::uuid[], $6::text[]) WITH ORDINALITY \
               AS input (of_booking, of_event, of_channel, fence, proof, place) \
               JOIN notice ON notice.booking = of_booking AND notice.event_seq = of_event AND notice.channel = of_channel \
               WHERE notice.token = fence AND NOT EXISTS (SELECT 1 FROM notice AS later WHERE later.booking = of_booking \
               AND later.channel = of_channel AND later.event_seq > of_event)) \
               UPDATE notice SET state = 'sent', tries = tries + 1, code = NULL, receipt = proof, seq = next, settled_at = $1, token = NULL, \
               lease_until = NULL, due_at = NULL, next_look = NULL \
               FROM plain WHERE booking = of_booking AND event_seq = of_event AND channel = of_channel RETURNING fence";
    let bookings: Vec<BookingId> = sent.iter().map(|(notice, _)| notice.booking).collect();
    let events: Vec<Count> = sent.iter().map(|(notice, _)| Count(notice.event.seq)).collect();
    let channels: Vec<&str> = sent.iter().map(|(notice, _)| notice.channel.as_str()).collect();
    let tokens: Vec<Token> = sent.iter().map(|(notice, _)| notice.token).collect();
    let proofs: Vec<Option<&str>> = sent.iter().map(|(_, receipt)| *receipt).collect();
    for row in tx.all(sql, params![tx.now, bookings, events, channels, tokens, proofs]).await? {
        if let Some(place) = places.get(&row.column(0)?) {
            settled[*place] = Some(NoticeSettled::Done(Vec::new()));
        }
    }
    Ok(settled)
}
