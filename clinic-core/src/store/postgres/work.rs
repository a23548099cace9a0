//! Conclusions and settlements: calls that change bookings, many in one transaction.
//!
//! A batch holds those of its bookings that nobody else has in hand; a call about any other goes by itself, and waits for it. So no two
//! batches wait for each other, and one booking in somebody's hand keeps no other waiting. A batch that fails for one of its rows is halved
//! down to that one.

use std::{collections::HashSet, marker::PhantomData, sync::Arc};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream,
};

use super::{
    batcher::{Callers, Together},
    core::{Core, again, transact},
    error::Result,
    tx::{Mode, Tx},
};
use crate::{id::BookingId, ports::StoreError};

/// Calls that run by themselves at once.
const BY_THEMSELVES: usize = 4;

/// A kind of work.
pub(super) trait Work: Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Outcome: Send + 'static;

    /// The booking that it is about.
    fn booking(item: &Self::Item) -> BookingId;

    /// Does all of it, in its order, about bookings that the transaction holds.
    fn all(tx: &Tx, items: &[&Self::Item]) -> impl Future<Output = Result<Vec<Self::Outcome>>> + Send;
}

/// Does work, many calls at once. A call is a list of its own, done as a whole or not at all.
pub(super) struct Works<W>(Arc<Core>, PhantomData<W>);

type Answer<W> = std::result::Result<Vec<<W as Work>::Outcome>, StoreError>;

impl<W> Works<W> {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self(Arc::clone(core), PhantomData)
    }
}

impl<W: Work> Together for Works<W> {
    type Call = Vec<W::Item>;
    type Answer = Vec<W::Outcome>;

    fn rows(call: &Self::Call) -> usize {
        call.len()
    }

    async fn run(&self, calls: Vec<Self::Call>, callers: &mut Callers<Self::Answer>) {
        batch::<W>(&self.0, 0, &calls, callers).await;
    }
}

/// Does those calls, the first of which has that place.
fn batch<'a, W: Work>(
    core: &'a Core,
    first: usize,
    calls: &'a [Vec<W::Item>],
    callers: &'a mut Callers<Vec<W::Outcome>>,
) -> BoxFuture<'a, ()> {
    async move {
        let bookings: Vec<BookingId> = calls.iter().flatten().map(W::booking).collect();
        match transact!(core, Mode::Hold(&bookings), |tx| held::<W>(tx, calls)) {
            Ok(done) => {
                let mut rest = Vec::new();
                for (at, (done, call)) in done.into_iter().zip(calls).enumerate() {
                    match done {
                        Some(done) => callers.answer(first + at, Ok(done)),
                        None => rest.push(singly::<W>(core, first + at, call)),
                    }
                }
                let mut rest = stream::iter(rest).buffer_unordered(BY_THEMSELVES);
                while let Some((at, answer)) = rest.next().await {
                    callers.answer(at, answer);
                }
            }
            Err(failed) if failed.is_of_a_row() && calls.len() > 1 => {
                let (one, two) = calls.split_at(calls.len() / 2);
                batch::<W>(core, first, one, callers).await;
                batch::<W>(core, first + one.len(), two, callers).await;
            }
            Err(failed) => {
                let error = StoreError::from(failed);
                for at in 0..calls.len() {
                    callers.answer(first + at, Err(again(&error)));
                }
            }
        }
    }
    .boxed()
}

/// One by itself, which waits for its bookings; its place and answer.
async fn singly<W: Work>(core: &Core, at: usize, call: &[W::Item]) -> (usize, Answer<W>) {
    (at, transact!(core, Mode::Write, |tx| waited_for::<W>(tx, call)).map_err(StoreError::from))
}

async fn waited_for<W: Work>(tx: &Tx, call: &[W::Item]) -> Result<Vec<W::Outcome>> {
    tx.lock(call.iter().map(W::booking)).await?;
    let items: Vec<&W::Item> = call.iter().collect();
    W::all(tx, &items).await
}

/// Does those calls all of whose bookings the transaction holds.
async fn held<W: Work>(tx: &Tx, calls: &[Vec<W::Item>]) -> Result<Vec<Option<Vec<W::Outcome>>>> {
    let held: HashSet<&BookingId> = tx.held.iter().collect();
    let is_held: Vec<bool> = calls.iter().map(|call| call.iter().all(|item| held.contains(&W::booking(item)))).collect();
    let items: Vec<&W::Item> = calls.iter().zip(&is_held).filter(|(_, held)| **held).flat_map(|(call, _)| call).collect();
    let mut outcomes = W::all(tx, &items).await?.into_iter();
    Ok(calls.iter().zip(is_held).map(|(call, held)| held.then(|| outcomes.by_ref().take(call.len()).collect())).collect())
}
