use std::time::Duration;

use super::{checks, practice::*};
use crate::{
    dead_letter::{DeadLetterId, LetterFilter, ReplayRefused},
    id::EndpointId,
    notification::{EventKind, Notice, NoticeState},
    ports::{NewEndpoint, NoticeEnding, Registration, Replayed},
    webhook::{
        ENDPOINT_DISABLED, ENDPOINT_GONE, ENDPOINT_REMOVED, Endpoint, FORMER_SIGNS_FOR, MAX_ENDPOINTS, NO_ENDPOINT, Secret, channel_of,
    },
};

checks! {
    a_registered_endpoint_is_listed_and_found_until_it_is_removed,
    the_same_registration_asked_again_is_answered_as_the_first_time,
    a_url_is_registered_once,
    there_are_no_more_endpoints_than_allowed,
    a_new_secret_signs_beside_those_before,
    an_event_is_told_to_every_endpoint_that_is_there_then,
    without_an_endpoint_nothing_is_told_and_the_ledger_says_so,
    each_endpoint_has_room_of_its_own,
    the_sweep_finds_what_waits_for_endpoints,
    an_endpoint_hears_of_nothing_that_was_before_it,
    an_endpoint_that_is_gone_is_switched_off_until_it_is_switched_on,
    a_claim_makes_a_bounded_number_of_rows,
    what_waits_for_an_endpoint_that_went_is_skipped,
    notices_of_an_endpoint_go_out_in_event_order,
    a_notice_of_an_endpoint_that_went_is_not_replayed,
}

const WEBHOOKS: [(&str, usize); 1] = [("webhook", 2)];

fn secret(n: u8) -> Secret {
    Secret::new([n; 32])
}

async fn register(p: &Practice, url: &str) -> Registration {
    p.store.add_endpoint(&NewEndpoint::new(url.into(), secret(1))).await.expect("registering works while the store does")
}

async fn registered(p: &Practice, url: &str) -> Endpoint {
    match register(p, url).await {
        Registration::Done(endpoint) => endpoint,
        other => panic!("an endpoint that nothing stands against was not registered: {other:?}"),
    }
}

async fn listed(p: &Practice) -> Vec<Endpoint> {
    p.store.endpoints().await.expect("listing endpoints works while the store does")
}

async fn found(p: &Practice, id: EndpointId) -> Option<Endpoint> {
    p.store.endpoint(id).await.expect("reading an endpoint works while the store does")
}

async fn removed(p: &Practice, id: EndpointId) -> bool {
    p.store.remove_endpoint(id).await.expect("removing an endpoint works while the store does")
}

async fn notices(p: &Practice, told: Ticket) -> Vec<Notice> {
    p.notices_as(&notifier(&WEBHOOKS), told, false).await
}

fn targets(notices: &[Notice]) -> Vec<EndpointId> {
    let target = |notice: &Notice| {
        let endpoint = notice.endpoint.as_ref().expect("a notice of a webhook comes with its endpoint");
        assert_eq!(notice.channel, channel_of(endpoint.id), "on that endpoint's channel");
        endpoint.id
    };
    let mut targets: Vec<_> = notices.iter().map(target).collect();
    targets.sort();
    targets
}

async fn a_registered_endpoint_is_listed_and_found_until_it_is_removed(p: &Practice) {
    let one = registered(p, "https://one.example/").await;
    assert_eq!((one.url.as_str(), one.secret, one.created_at), ("https://one.example/", secret(1), p.now()));
    assert!(one.former.is_empty() && one.disabled.is_none());
    p.advance(SECOND);
    let two = registered(p, "https://two.example/").await;
    assert_eq!(listed(p).await, [one.clone(), two.clone()], "oldest first");
    assert_eq!(found(p, one.id).await, Some(one.clone()));
    assert!(removed(p, one.id).await, "there was one");
    assert_eq!((found(p, one.id).await, listed(p).await), (None, vec![two]));
    assert!(removed(p, one.id).await, "asked again it is gone as well");
    assert!(!removed(p, EndpointId::generate()).await, "there never was one");
}

async fn the_same_registration_asked_again_is_answered_as_the_first_time(p: &Practice) {
    let new = NewEndpoint::new("https://one.example/".into(), secret(1));
    let first = p.store.add_endpoint(&new).await.expect("registering works while the store does");
    p.advance(SECOND);
    assert_eq!(p.store.add_endpoint(&new).await.expect("registering works while the store does"), first);
    assert_eq!(listed(p).await.len(), 1);
}

async fn a_url_is_registered_once(p: &Practice) {
    let one = registered(p, "https://one.example/").await;
    assert_eq!(register(p, "https://one.example/").await, Registration::Exists(one.id));
    let (_, told) = p.confirmed(0).await;
    p.settled(&notices(p, told).await[0], NoticeEnding::Failed(ENDPOINT_GONE)).await;
    assert_eq!(register(p, "https://one.example/").await, Registration::Exists(one.id), "one that is switched off can be switched on");
    assert!(removed(p, one.id).await);
    let again = registered(p, "https://one.example/").await;
    assert_ne!(again.id, one.id, "it is another endpoint");
}

async fn there_are_no_more_endpoints_than_allowed(p: &Practice) {
    let mut last = None;
    for n in 0..MAX_ENDPOINTS {
        last = Some(registered(p, &format!("https://example.org/{n}")).await.id);
    }
    assert_eq!(register(p, "https://example.org/").await, Registration::TooMany);
    assert!(removed(p, last.expect("some are allowed")).await);
    registered(p, "https://example.org/").await;
}

async fn a_new_secret_signs_beside_those_before(p: &Practice) {
    let id = registered(p, "https://one.example/").await.id;
    let renew = async |secret: Secret| p.store.renew_secret(id, &secret).await.expect("renewing works while the store does");
    let formers = |endpoint: &Endpoint| endpoint.former.iter().map(|former| (former.secret, former.until)).collect::<Vec<_>>();
    let renewed = renew(secret(2)).await.expect("there is one");
    let first_until = p.now() + FORMER_SIGNS_FOR;
    assert_eq!((renewed.secret, formers(&renewed)), (secret(2), vec![(secret(1), first_until)]));
    p.advance(SECOND);
    assert_eq!(renew(secret(2)).await.as_ref(), Some(&renewed), "asked again it is as it was");
    // Renewed once more, because the answer was lost: the receiver still knows the first alone.
    let again = renew(secret(3)).await.expect("there is one");
    assert_eq!((again.secret, formers(&again)), (secret(3), vec![(secret(2), p.now() + FORMER_SIGNS_FOR), (secret(1), first_until)]));
    let (_, told) = p.confirmed(0).await;
    assert_eq!(notices(p, told).await[0].endpoint.as_deref(), Some(&again), "notices come with all of them");
    for n in 4..20 {
        p.advance(SECOND);
        renew(secret(n)).await;
    }
    let many = found(p, id).await.expect("it is there");
    assert!((2..10).contains(&many.former.len()) && many.former[0].secret == secret(18), "a few, the last ones");
    p.advance(FORMER_SIGNS_FOR);
    assert_eq!(renew(secret(20)).await.map(|endpoint| endpoint.former.len()), Some(1), "what is over is forgotten");
    assert!(removed(p, id).await);
    assert_eq!(renew(secret(21)).await, None, "there is none any more");
}

async fn an_event_is_told_to_every_endpoint_that_is_there_then(p: &Practice) {
    let (one, two) = (registered(p, "https://one.example/").await.id, registered(p, "https://two.example/").await.id);
    let three = registered(p, "https://three.example/").await.id;
    assert!(removed(p, three).await);
    let (id, told) = p.confirmed(0).await;
    let notices = p.notices_as(&notifier(&[("log", 1), ("webhook", 2)]), told, false).await;
    let (log, webhooks): (Vec<_>, Vec<_>) = notices.into_iter().partition(|notice| notice.channel == "log");
    assert_eq!((log.len(), log[0].endpoint.is_none()), (1, true));
    let mut expected = [one, two];
    expected.sort();
    assert_eq!(targets(&webhooks), expected);
    assert_ne!(webhooks[0].id, webhooks[1].id, "each with an id of its own");
    assert_eq!(p.ledger(id).await.len(), 3);
}

async fn an_endpoint_hears_of_nothing_that_was_before_it(p: &Practice) {
    let (id, confirmed) = p.confirmed(0).await;
    let cancelled = tell(&p.cancelled(id).await, EventKind::Cancelled);
    p.advance(MILLI);
    registered(p, "https://late.example/").await;
    // The message of the confirmation was late, that of the cancellation was not.
    assert!(notices(p, cancelled).await.is_empty() && notices(p, confirmed).await.is_empty());
    let codes: Vec<_> = p.ledger(id).await.into_iter().filter_map(|row| row.code).collect();
    assert_eq!(codes, [NO_ENDPOINT, NO_ENDPOINT], "it would else be told of the confirmation last");
}

async fn a_claim_makes_a_bounded_number_of_rows(p: &Practice) {
    for n in 0..MAX_ENDPOINTS {
        registered(p, &format!("https://example.org/{n}")).await;
    }
    let mut told = Vec::new();
    for n in 0..20 {
        told.push(p.confirmed(n).await);
    }
    let rows = async || {
        let mut rows = 0;
        for (id, _) in &told {
            rows += p.ledger(*id).await.len();
        }
        rows
    };
    let requests: Vec<_> = told.iter().map(|(_, ticket)| ticket.request(false)).collect();
    p.store.claim_notices(&notifier(&WEBHOOKS), &requests).await.expect("claiming works while the store does");
    let made = rows().await;
    assert!((MAX_ENDPOINTS..20 * MAX_ENDPOINTS).contains(&made), "{made} rows by one claim");
    let claimed = p.store.claim_overdue_notices(&notifier(&[("webhook", 0)]), 200).await.expect("claiming works while the store does");
    assert!(claimed.more, "what was left is due, and is more than one sweep's");
    assert_eq!(rows().await, made + 200);
    while p.store.claim_overdue_notices(&notifier(&[("webhook", 0)]), 200).await.expect("claiming works while the store does").more {}
    assert_eq!(rows().await, 20 * MAX_ENDPOINTS);
}

async fn without_an_endpoint_nothing_is_told_and_the_ledger_says_so(p: &Practice) {
    let (id, told) = p.confirmed(0).await;
    assert!(notices(p, told).await.is_empty());
    let row = p.ledger(id).await.pop().expect("the ledger has a row");
    assert_eq!((row.channel.as_str(), row.state, row.code.as_deref()), ("webhook", NoticeState::Skipped, Some(NO_ENDPOINT)));
    assert!(notices(p, told).await.is_empty(), "and that is all");
    assert_eq!(p.ledger(id).await.len(), 1);
}

async fn each_endpoint_has_room_of_its_own(p: &Practice) {
    let (one, two) = (registered(p, "https://one.example/").await.id, registered(p, "https://two.example/").await.id);
    let (mut tickets, full) = (Vec::new(), channel_of(one));
    for n in 0..3 {
        tickets.push(p.confirmed(n).await.1);
    }
    // The first endpoint has one send's room left, the second that of any other.
    let claimant = notifier(&[("webhook", 2), (&full, 1)]);
    let requests: Vec<_> = tickets.iter().map(|ticket| ticket.request(false)).collect();
    let claimed = p.store.claim_notices(&claimant, &requests).await.expect("claiming works while the store does").concat();
    let of = |endpoint: EndpointId| targets(&claimed).into_iter().filter(|target| *target == endpoint).count();
    assert_eq!((of(one), of(two)), (1, 2));
}

async fn the_sweep_finds_what_waits_for_endpoints(p: &Practice) {
    let (one, two) = (registered(p, "https://one.example/").await.id, registered(p, "https://two.example/").await.id);
    for n in 0..3 {
        p.confirmed(n).await;
    }
    p.advance(LONG);
    let found = p.overdue_notices(&WEBHOOKS, 100).await;
    let mut expected = [one, one, two, two];
    expected.sort();
    assert_eq!(targets(&found), expected, "as many as there is room for, on each endpoint");
    let full = channel_of(one);
    let more = p.overdue_notices(&[("webhook", 2), (&full, 0)], 100).await;
    assert_eq!(targets(&more), [two], "the one that is full delays not the other");
    assert_eq!(targets(&p.overdue_notices(&WEBHOOKS, 100).await), [one]);
}

async fn an_endpoint_that_is_gone_is_switched_off_until_it_is_switched_on(p: &Practice) {
    let id = registered(p, "https://one.example/").await.id;
    let (first, told) = p.confirmed(0).await;
    let notice = notices(p, told).await.remove(0);
    p.advance(SECOND);
    p.settled(&notice, NoticeEnding::Failed(ENDPOINT_GONE)).await;
    let disabled = found(p, id).await.expect("it is there").disabled.expect("it is switched off");
    assert_eq!((disabled.at, disabled.code.as_str()), (p.now(), ENDPOINT_GONE));
    assert_eq!(p.ledger(first).await[0].state, NoticeState::Failed);
    let (second, told) = p.confirmed(1).await;
    assert!(notices(p, told).await.is_empty(), "it hears no more");
    assert_eq!(p.ledger(second).await[0].code.as_deref(), Some(NO_ENDPOINT));
    let other = registered(p, "https://two.example/").await.id;
    let (_, told) = p.confirmed(2).await;
    p.settled(&notices(p, told).await[0], NoticeEnding::Failed("webhook_status_4xx")).await;
    assert!(found(p, other).await.is_some_and(|endpoint| endpoint.disabled.is_none()), "no other failure does that");
    let enabled = p.store.enable_endpoint(id).await.expect("switching on works while the store does").expect("it is there");
    assert_eq!((enabled.id, &enabled.disabled), (id, &None));
    let (_, told) = p.confirmed(3).await;
    assert!(targets(&notices(p, told).await).contains(&id), "it hears of what follows");
    assert_eq!(p.store.enable_endpoint(EndpointId::generate()).await.expect("switching on works while the store does"), None);
}

async fn what_waits_for_an_endpoint_that_went_is_skipped(p: &Practice) {
    let (gone, off) = (registered(p, "https://gone.example/").await.id, registered(p, "https://off.example/").await.id);
    let (first, told) = p.confirmed(0).await;
    let held = notices(p, told).await;
    let of = |endpoint: EndpointId| held.iter().find(|notice| notice.channel == channel_of(endpoint)).expect("each has one");
    p.settled(of(gone), NoticeEnding::Retry("webhook_timeout", 5 * SECOND)).await;
    let (second, told) = p.confirmed(1).await;
    let later = notices(p, told).await;
    for notice in &later {
        p.settled(notice, NoticeEnding::Retry("webhook_timeout", 5 * SECOND)).await;
    }
    assert!(removed(p, gone).await);
    p.settled(of(off), NoticeEnding::Failed(ENDPOINT_GONE)).await;
    p.advance(Duration::from_secs(5));
    // Whoever has no room for it left needs none.
    assert!(p.overdue_notices(&[("webhook", 0)], 100).await.is_empty());
    let code = async |booking, endpoint| {
        let row = p.ledger(booking).await.into_iter().find(|row| row.channel == channel_of(endpoint)).expect("the ledger has a row");
        (row.state, row.code.unwrap_or_default())
    };
    assert_eq!(code(first, gone).await, (NoticeState::Skipped, ENDPOINT_REMOVED.to_owned()));
    assert_eq!(code(second, gone).await, (NoticeState::Skipped, ENDPOINT_REMOVED.to_owned()));
    assert_eq!(code(second, off).await, (NoticeState::Skipped, ENDPOINT_DISABLED.to_owned()));
}

async fn notices_of_an_endpoint_go_out_in_event_order(p: &Practice) {
    let channel = channel_of(registered(p, "https://one.example/").await.id);
    let (id, confirmed) = p.confirmed(0).await;
    let notice = notices(p, confirmed).await.remove(0);
    p.settled(&notice, NoticeEnding::Retry("webhook_timeout", LONG)).await;
    let cancelled = tell(&p.cancelled(id).await, EventKind::Cancelled);
    let later = notices(p, cancelled).await;
    assert_eq!((later.len(), later[0].event.kind), (1, EventKind::Cancelled));
    p.settled(&later[0], NoticeEnding::Sent(None)).await;
    let states = [(EventKind::Confirmed, channel.clone(), NoticeState::Skipped), (EventKind::Cancelled, channel, NoticeState::Sent)];
    assert_eq!(p.states(id).await, states);
}

async fn a_notice_of_an_endpoint_that_went_is_not_replayed(p: &Practice) {
    let id = registered(p, "https://one.example/").await.id;
    let (_, told) = p.confirmed(0).await;
    p.settled(&notices(p, told).await[0], NoticeEnding::Failed(ENDPOINT_GONE)).await;
    let letters = p.store.dead_letters(&LetterFilter::default()).await.expect("listing dead letters works while the store does");
    let [letter] = &letters[..] else { panic!("one notice failed: {letters:?}") };
    let refusal = async |letter: DeadLetterId| match p.store.try_replay(letter).await {
        Ok(Replayed::Refused(_, refused)) => refused,
        other => panic!("it was not refused: {other:?}"),
    };
    assert_eq!(refusal(letter.id).await, ReplayRefused::EndpointDisabled);
    assert!(removed(p, id).await);
    assert_eq!(refusal(letter.id).await, ReplayRefused::EndpointRemoved);
}
