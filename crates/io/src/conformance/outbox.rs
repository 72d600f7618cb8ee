//! What the outside is told, and to whom it is still to be delivered.

use lingqian_core::Changes;
use lingqian_core::endpoint::{Endpoint, EndpointId, Scheme, Secret};
use lingqian_core::id::UserId;
use lingqian_core::notice::{Event, Notice};
use lingqian_core::time::Timestamp;
use lingqian_core::user::Sealed;

use super::given::{NOON, commit, earned, opened, refuse, user_id};
use super::whole_flow;
use crate::outbox::{Delivery, DeliveryLine, Ended, Health, Report, SinkLease, Wish};
use crate::{Browse, Outbox, Store};

pub(super) async fn exercise<S: Store + Browse>(make: &impl AsyncFn() -> S) {
    notices_are_numbered_without_a_gap(make().await).await;
    the_rules_tell_each_change_of_a_state_once(make().await).await;
    endpoints_read_back_and_begin_with_what_comes_next(make().await).await;
    a_lane_waits_for_its_first_message(make().await).await;
    who_is_off_or_pauses_gets_nothing(make().await).await;
    what_was_told_is_told_again_on_request(make().await).await;
    a_sink_is_one_holders_until_its_lease_ends(make().await).await;
}

async fn a_sink_is_one_holders_until_its_lease_ends<S: Outbox>(store: S) {
    let lease = async |sink: &str, holder: &str, (now, until): (i64, i64)| {
        let wish = SinkLease {
            sink: sink.into(),
            holder: holder.into(),
            now: NOON.after_ms(now),
            until: NOON.after_ms(until),
        };
        store.lease_sink(wish).await.expect("answers")
    };
    assert!(lease("app", "a", (0, 10)).await);
    assert!(!lease("app", "b", (9, 30)).await, "it is a's");
    assert!(
        lease("lake", "b", (9, 30)).await,
        "another sink is nobody's"
    );
    assert!(lease("app", "a", (9, 20)).await, "a goes on");
    assert!(!lease("app", "b", (19, 30)).await);
    assert!(
        lease("app", "b", (20, 30)).await,
        "a was not heard of again"
    );
    assert!(!lease("app", "a", (21, 40)).await);
    assert!(lease("app", "b", (22, 22)).await, "b gives it back");
    assert!(lease("app", "a", (22, 40)).await);
}

fn event(name: &str) -> Event {
    Event::from_name(name).expect("an event")
}

fn notice(no: i64, name: &str, user: Option<UserId>) -> Notice {
    Notice {
        at: NOON.after_ms(no),
        event: event(name),
        subject: format!("subject-{no}"),
        user,
        version: u32::try_from(no).ok().filter(|no| no % 2 == 0),
        data: format!("{{\"no\":{no},\"words\":\"零钱 \\\"'--\"}}"),
    }
}

/// Five notices: two lanes of users, and one of a stop.
pub(super) fn some_notices() -> Vec<Notice> {
    vec![
        notice(1, "payout.paid", Some(user_id(1))),
        notice(2, "payout.failed", Some(user_id(2))),
        notice(3, "stop.set", None),
        notice(4, "payout.unknown", Some(user_id(1))),
        notice(5, "user.linked", Some(user_id(2))),
    ]
}

pub(super) fn endpoint(name: &str, events: &[&str]) -> Endpoint {
    let secret = |scheme, until| Secret {
        scheme,
        sealed: Sealed(vec![0, 255, 10]),
        until,
    };
    Endpoint {
        id: EndpointId::parse(name).expect("an id"),
        url: format!("https://example.com/{name}?a=b"),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        note: "财务系统 \"1\"".into(),
        secrets: vec![
            secret(Scheme::Ed25519, None),
            secret(Scheme::Hmac, Some(NOON.after_ms(9))),
        ],
        created_at: NOON,
        off: None,
        deleted: false,
        after: None,
    }
}

fn told(notices: Vec<Notice>) -> Changes {
    Changes {
        notices,
        ..Changes::default()
    }
}

fn made(endpoints: Vec<Endpoint>) -> Changes {
    Changes {
        endpoints,
        ..Changes::default()
    }
}

async fn numbers<S: Outbox>(store: &S, after: i64, limit: u32) -> Vec<i64> {
    let told = store.notices(after, limit).await.expect("notices");
    told.into_iter().map(|told| told.number).collect()
}

async fn notices_are_numbered_without_a_gap<S: Store + Browse>(store: S) {
    let store = opened(store).await;
    assert_eq!(store.newest_notice().await, Ok(0));
    commit(&store, told(some_notices())).await;
    let twice = Changes {
        earnings: vec![earned("opening-1", 1, super::given::EARNED)],
        ..told(some_notices())
    };
    refuse(&store, twice, "an event is credited once").await;
    commit(&store, told(vec![notice(6, "bill.closed", None)])).await;
    assert_eq!(
        store.newest_notice().await,
        Ok(6),
        "what was refused has no number"
    );
    assert_eq!(numbers(&store, 0, 99).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(&store, 2, 2).await, [3, 4]);
    assert_eq!(numbers(&store, 6, 9).await, []);
    let all = store.notices(0, 5).await.expect("notices");
    let versions: Vec<i64> = all.iter().map(|told| told.version()).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5], "its own, or else its number");
    let back: Vec<Notice> = all.into_iter().map(|told| told.notice).collect();
    assert_eq!(back, some_notices());
}

async fn the_rules_tell_each_change_of_a_state_once<S: Store + Browse>(store: S) {
    whole_flow(&store).await;
    let all = store.notices(0, 999).await.expect("notices");
    for (told, number) in all.iter().zip(1..) {
        assert_eq!(told.number, number);
    }
    let payouts = store
        .payouts(crate::store::PayoutFilter {
            limit: 9,
            ..Default::default()
        })
        .await
        .expect("payouts");
    for row in payouts {
        let id = row.payout.id.to_string();
        let own = all.iter().filter(|told| told.notice.subject == id);
        let own = own.filter(|told| told.notice.event.object() == "payout");
        let events: Vec<&str> = own.clone().map(|told| told.notice.event.name()).collect();
        let state = row.payout.state.name();
        let expected = ["approved", "sending", "unknown", state, "contradiction"];
        let expected = expected.iter().map(|state| format!("payout.{state}"));
        assert_eq!(events, expected.collect::<Vec<String>>());
        let versions: Vec<i64> = own.clone().map(|told| told.version()).collect();
        assert!(versions.is_sorted(), "{versions:?}");
        for told in own {
            assert_eq!(told.notice.user, Some(row.user.clone()));
            assert!(!told.notice.data.contains("openid"), "{told:?}");
        }
    }
    let of = |name: &str| {
        all.iter()
            .filter(|told| told.notice.event.name() == name)
            .count()
    };
    assert_eq!((of("user.linked"), of("bill.closed")), (2, 1));
}

async fn endpoints_read_back_and_begin_with_what_comes_next<S: Store + Outbox>(store: S) {
    let store = opened(store).await;
    commit(&store, told(some_notices())).await;
    let (a, b) = (
        endpoint("we_a", &["payout.*", "stop.set"]),
        endpoint("we_b", &[]),
    );
    let from_start = Endpoint {
        after: Some(0),
        ..a.clone()
    };
    commit(&store, made(vec![b.clone(), from_start])).await;
    let health = |planned_to| Health {
        planned_to,
        ..Health::default()
    };
    let all = store.endpoints().await;
    assert_eq!(
        all,
        Ok(vec![(a.clone(), health(0)), (b.clone(), health(5))])
    );
    assert_eq!(store.plan(NOON, 2).await, Ok(2));
    assert_eq!(store.plan(NOON, 99).await, Ok(3));
    assert_eq!(store.plan(NOON, 99).await, Ok(0));
    let lines = store.deliveries(&a.id, 0, 9).await.expect("deliveries");
    let waits: Vec<i64> = lines.iter().map(|line| line.number).collect();
    assert_eq!(waits, [1, 2, 3, 4], "of the fifth it wants to hear nothing");
    let changed = Endpoint {
        url: "https://example.com/new".into(),
        secrets: Vec::new(),
        ..a.clone()
    };
    let gone = Endpoint { deleted: true, ..b };
    commit(&store, made(vec![changed.clone(), gone])).await;
    let all = store.endpoints().await.expect("endpoints");
    let expected = Health {
        pending: 4,
        ..health(5)
    };
    assert_eq!(all, [(changed, expected)], "it goes on where it was");
}

async fn claim<S: Outbox>(store: &S, now: Timestamp, limit: u32) -> Vec<Delivery> {
    let wish = Wish {
        now,
        lease_until: now.after_ms(1_000),
        limit,
    };
    store.claim_deliveries(wish).await.expect("a claim")
}

fn of(claimed: &[Delivery]) -> Vec<i64> {
    claimed
        .iter()
        .map(|delivery| delivery.told.number)
        .collect()
}

fn report(endpoint: &EndpointId, number: i64, ended: Ended) -> Report {
    Report {
        endpoint: endpoint.clone(),
        number,
        at: NOON.after_ms(7),
        ended,
        code: "http_503".into(),
        pause_until: None,
        turns_off: false,
    }
}

/// Five notices, of which an endpoint waits for all.
async fn waiting<S: Store + Outbox>(store: S) -> (S, EndpointId) {
    let store = opened(store).await;
    let endpoint = endpoint("we_a", &[]);
    commit(&store, made(vec![endpoint.clone()])).await;
    commit(&store, told(some_notices())).await;
    assert_eq!(store.plan(NOON, 99).await, Ok(5));
    (store, endpoint.id)
}

async fn a_lane_waits_for_its_first_message<S: Store + Outbox>(store: S) {
    let (store, id) = waiting(store).await;
    assert_eq!(
        of(&claim(&store, NOON.after_ms(-1), 9).await),
        [],
        "nothing is due"
    );
    assert_eq!(
        of(&claim(&store, NOON, 2).await),
        [1, 2],
        "the first of two lanes"
    );
    let rest = claim(&store, NOON, 9).await;
    assert_eq!(of(&rest), [3], "leased ones hold up their lanes");
    let ended = claim(&store, NOON.after_ms(1_000), 9).await;
    assert_eq!(of(&ended), [1, 2, 3], "leases end");
    let stranger = vec![report(&id, 77, Ended::Delivered)];
    store.report_deliveries(stranger).await.expect("nothing");
    let later = NOON.after_ms(50_000);
    let reports = vec![
        report(&id, 1, Ended::Delivered),
        report(&id, 2, Ended::Again(later)),
        report(&id, 3, Ended::GivenUp),
    ];
    store.report_deliveries(reports).await.expect("reported");
    let next = claim(&store, NOON.after_ms(1_000), 9).await;
    assert_eq!(
        of(&next),
        [4],
        "the lane of the second message waits with it"
    );
    assert_eq!((next[0].tries, next[0].first_at), (0, None));
    let again = claim(&store, later, 9).await;
    assert_eq!(of(&again), [4, 2], "the longest due first");
    assert_eq!(
        (again[1].tries, again[1].first_at),
        (1, Some(NOON.after_ms(7)))
    );
    assert_eq!(
        again[1].told.notice,
        some_notices()[1],
        "it is the same message"
    );
    let lines = store.deliveries(&id, 1, 2).await.expect("deliveries");
    let line = |number, due_at| DeliveryLine {
        number,
        tries: 1,
        first_at: Some(NOON.after_ms(7)),
        due_at,
        code: Some("http_503".into()),
    };
    assert_eq!(lines, [line(2, Some(later)), line(3, None)]);
    let (_, health) = &store.endpoints().await.expect("endpoints")[0];
    assert_eq!(
        (health.pending, health.given_up, health.failures),
        (3, 1, 2)
    );
    let given_up = vec![report(&id, 2, Ended::GivenUp)];
    store.report_deliveries(given_up).await.expect("reported");
    assert_eq!(
        of(&claim(&store, later, 9).await),
        [5],
        "what is given up holds up nobody"
    );
}

async fn who_is_off_or_pauses_gets_nothing<S: Store + Outbox>(store: S) {
    let (store, id) = waiting(store).await;
    let until = NOON.after_ms(10);
    let pause = Report {
        pause_until: Some(until),
        ..report(&id, 1, Ended::Again(NOON))
    };
    store
        .report_deliveries(vec![pause])
        .await
        .expect("reported");
    assert_eq!(of(&claim(&store, NOON.after_ms(9), 9).await), []);
    assert_eq!(of(&claim(&store, until, 9).await), [1, 2, 3]);
    let taken = vec![report(&id, 1, Ended::Delivered)];
    store.report_deliveries(taken).await.expect("reported");
    let (_, health) = &store.endpoints().await.expect("endpoints")[0];
    assert_eq!((health.failures, health.paused_until), (0, None));
    assert_eq!(health.delivered_at, Some(NOON.after_ms(7)));
    assert_eq!(health.failed_with.as_deref(), Some("http_503"));
    let gone = Report {
        code: "http_410".into(),
        turns_off: true,
        ..report(&id, 2, Ended::Again(NOON))
    };
    store.report_deliveries(vec![gone]).await.expect("reported");
    let (off, health) = &store.endpoints().await.expect("endpoints")[0];
    assert_eq!(off.off, Some((NOON.after_ms(7), "http_410".to_owned())));
    assert_eq!(health.pending, 4, "nothing is lost by it");
    commit(&store, told(some_notices())).await;
    assert_eq!(of(&claim(&store, NOON.after_ms(99_000), 9).await), []);
    assert_eq!(store.plan(NOON, 99).await, Ok(0));
    let on = Endpoint {
        off: None,
        ..off.clone()
    };
    commit(&store, made(vec![on])).await;
    assert_eq!(store.plan(NOON, 99).await, Ok(5), "it goes on where it was");
    assert_eq!(
        of(&claim(&store, NOON.after_ms(99_000), 9).await),
        [2, 3, 4]
    );
}

async fn what_was_told_is_told_again_on_request<S: Store + Outbox>(store: S) {
    let (store, id) = waiting(store).await;
    let all = (1..=5).map(|number| report(&id, number, Ended::Delivered));
    store
        .report_deliveries(all.collect())
        .await
        .expect("reported");
    assert_eq!(of(&claim(&store, NOON, 9).await), []);
    assert_eq!(store.replay(&id, (2, 3), NOON).await, Ok(2));
    assert_eq!(
        store.replay(&id, (3, 99), NOON).await,
        Ok(3),
        "to the newest, once each"
    );
    assert_eq!(of(&claim(&store, NOON, 9).await), [2, 3, 4]);
    let stranger = EndpointId::parse("we_x").expect("an id");
    assert_eq!(store.replay(&stranger, (1, 9), NOON).await, Ok(0));
    assert_eq!(store.replay(&id, (9, 2), NOON).await, Ok(0));
}
