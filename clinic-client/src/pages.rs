use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::{StreamExt, stream::unfold};

use crate::error::{Error, Unreadable};

/// The items of a list over all its pages: a [`Stream`]. After an error that may pass it goes on where it failed; any
/// other ends it, and so does a server whose next page is the same again.
pub struct Items<T>(Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>);

struct Walk<T, F> {
    fetch: F,
    items: VecDeque<T>,
    next: Next,
}

enum Next {
    /// The page at this cursor; the first without one.
    Page(Option<String>),
    /// The page before it once more: a walk in a circle.
    Same,
    End,
}

impl<T: Send + 'static> Items<T> {
    /// From a cursor on, or from the start; `fetch` gives a page and the cursor of the one behind it.
    pub(crate) fn new<F, P>(cursor: Option<String>, fetch: F) -> Self
    where
        F: Fn(Option<String>) -> P + Send + 'static,
        P: Future<Output = Result<(Vec<T>, Option<String>), Error>> + Send + 'static,
    {
        let walk = Walk { fetch, items: VecDeque::new(), next: Next::Page(cursor) };
        Self(Box::pin(unfold(walk, Walk::step).fuse()))
    }
}

impl<T> Items<T> {
    /// The next item; `None` at the end. The same as of a [`Stream`], without a crate that has it.
    ///
    /// # Errors
    /// [`Error`]; asking again goes on where it failed, where that [may help](Error::is_retryable).
    pub async fn try_next(&mut self) -> Result<Option<T>, Error> {
        poll_fn(|context| self.0.poll_next_unpin(context)).await.transpose()
    }
}

impl<T, F, P> Walk<T, F>
where
    F: Fn(Option<String>) -> P,
    P: Future<Output = Result<(Vec<T>, Option<String>), Error>>,
{
    async fn step(mut self) -> Option<(Result<T, Error>, Self)> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some((Ok(item), self));
            }
            let cursor = match &self.next {
                Next::Page(cursor) => cursor,
                Next::Same => {
                    self.next = Next::End;
                    return Some((Err(Error::new(Unreadable::Circle.into())), self));
                }
                Next::End => return None,
            };
            match (self.fetch)(cursor.clone()).await {
                Ok((items, next)) => {
                    self.items = items.into();
                    self.next = match next {
                        None => Next::End,
                        same if same == *cursor => Next::Same,
                        next => Next::Page(next),
                    };
                }
                Err(error) => {
                    if !error.is_retryable() {
                        self.next = Next::End;
                    }
                    return Some((Err(error), self));
                }
            }
        }
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}
