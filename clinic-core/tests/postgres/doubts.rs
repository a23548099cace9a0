//! Connections that are lost while a batch is being committed: every caller is told the truth.

use std::{sync::Arc, time::Duration};

use clinic_core::{
    decision::{AttemptOutcome, Decision},
    ports::{Acceptance, Claim, ClaimRequest, Claimant, Concluded, Conclusion, Ending, NewBooking, Store, StoreError},
    store::postgres::{PostgresOptions, PostgresStore},
    testing::appointment,
};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    place::Place,
    relay::{Loss, Relay},
};

/// What is to come comes by then, on a busy machine as well.
const PATIENCE: Duration = Duration::from_secs(60);

async fn behind(relay: &Relay) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::open(&relay.url, PostgresOptions::default()).await.unwrap())
}

fn wishes(many: i64) -> Vec<NewBooking> {
    (0..many).map(|n| appointment().patient(&format!("P{n}")).later_by(30 * n).key("api", &n.to_string()).new_booking()).collect()
}

async fn ask(store: &Arc<PostgresStore>, news: &[NewBooking]) -> Vec<Result<Acceptance, StoreError>> {
    timeout(PATIENCE, join_all(news.iter().map(|new| store.accept(new)))).await.expect("every caller is answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_batch_whose_answer_was_lost_is_accepted() {
    let place = Place::new().await;
    let relay = Relay::to(&place).await;
    let store = behind(&relay).await;
    relay.lose(Loss::Answer);
    let news = wishes(30);
    for (new, answer) in news.iter().zip(ask(&store, &news).await) {
        let Ok(Acceptance::Accepted(told)) = answer else { panic!("{answer:?}") };
        assert_eq!(store.recall(new.id).await.unwrap(), Some(told));
    }
    assert_eq!(relay.lost(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_batch_whose_commit_was_lost_is_surely_not_booked() {
    let place = Place::new().await;
    let relay = Relay::to(&place).await;
    let store = behind(&relay).await;
    relay.lose(Loss::Request);
    let news = wishes(30);
    let answers = ask(&store, &news).await;
    let mut refused = 0;
    for (new, answer) in news.iter().zip(answers) {
        let there = store.recall(new.id).await.unwrap().is_some();
        match answer {
            Ok(Acceptance::Accepted(_)) => assert!(there),
            Err(StoreError::Unavailable(_)) => {
                refused += 1;
                assert!(!there, "one that was surely not booked is there");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && relay.lost() == 1, "{refused}");
    // Nothing stands in the way of the same again.
    assert!(ask(&store, &news).await.iter().all(|answer| matches!(answer, Ok(Acceptance::Accepted(_) | Acceptance::Replayed(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_can_know_the_outcome_is_unknown_and_later_it_is_told() {
    let place = Place::new().await;
    let relay = Relay::to(&place).await;
    let store = behind(&relay).await;
    relay.lose(Loss::Network);
    let news = wishes(10);
    let answers = ask(&store, &news).await;
    let unknown = answers.iter().filter(|answer| matches!(answer, Err(StoreError::Unknown(_)))).count();
    assert!(unknown > 0, "{answers:?}");
    relay.lose(Loss::Nothing);
    for (new, answer) in news.iter().zip(answers) {
        let there = store.recall(new.id).await.unwrap().is_some();
        match answer {
            // Its commit had reached the server.
            Err(StoreError::Unknown(_)) => assert!(there),
            Err(StoreError::Unavailable(_)) => assert!(!there, "one that was surely not booked is there"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_in_a_batch_whose_answer_was_lost_are_stored_once() {
    let place = Place::new().await;
    let relay = Relay::to(&place).await;
    let store = behind(&relay).await;
    let news = wishes(20);
    ask(&store, &news).await;
    let requests: Vec<_> = news.iter().map(|new| ClaimRequest::new(new.job, new.id, false)).collect();
    relay.lose(Loss::Answer);
    let claims = store.claim(&Claimant::new("W".into(), PATIENCE, false), &requests).await.unwrap();
    let conclusions: Vec<_> = claims
        .into_iter()
        .map(|claim| {
            let Claim::Won(lease) = claim else { panic!("{claim:?}") };
            [Conclusion::new(*lease, "W".into(), Ending::Decided(Decision::Confirmed, AttemptOutcome::Available))]
        })
        .collect();
    relay.lose(Loss::Answer);
    let concluded = join_all(conclusions.iter().map(|conclusion| store.conclude(conclusion))).await;
    for concluded in &concluded {
        assert!(matches!(concluded.as_deref(), Ok([Concluded::Done(news)]) if news.len() == 1), "{concluded:?}");
    }
    assert_eq!(relay.lost(), 2);
    for new in &news {
        assert_eq!(store.timeline(new.id).await.unwrap().unwrap().len(), 3, "accepted, attempted, confirmed");
    }
}
