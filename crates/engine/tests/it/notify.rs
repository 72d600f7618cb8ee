//! Messages to endpoints: once at least, in their order, under one name, whatever dies.

use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lingqian_core::Command;
use lingqian_core::control::{Act, Actor};
use lingqian_core::endpoint::{Endpoint, EndpointId, Scheme, Secret};
use lingqian_core::id::UserId;
use lingqian_core::time::Timestamp;
use lingqian_core::user::Sealed;
use lingqian_engine::notify::{GIVE_UP_MS, notify};
use lingqian_engine::{Limits, Progress};
use lingqian_io::courier::{Parcel, Receipt};
use lingqian_io::outbox::Health;
use lingqian_io::twin::TwinCourier;
use lingqian_io::{Clock as _, Fault, Outbox as _};

use crate::world::World;

/// More moments than one pass has.
const MOMENTS_MAX: usize = 500;
const MINUTE_MS: i64 = 60_000;

fn secret(byte: u8, until: Option<Timestamp>) -> Secret {
    Secret {
        scheme: Scheme::Hmac,
        sealed: Sealed(vec![byte; 32]),
        until,
    }
}

async fn submit(world: &World, commands: Vec<Command>) {
    world
        .live(async |desk| {
            for answer in desk.submit_all(commands.clone()).await.expect("no fault") {
                answer.expect("no rejection");
            }
        })
        .await;
}

fn act() -> Act {
    Act::new(Actor::engine(), "a test").expect("a reason")
}

fn frozen(user: &str, frozen: bool) -> Command {
    Command::SetFrozen {
        user: UserId::parse(user).expect("valid"),
        frozen,
        act: None,
    }
}

/// A world with an endpoint, and then alice and bob frozen and freed.
async fn told() -> World {
    let world = World::new().await;
    let endpoint = Endpoint {
        id: EndpointId::parse("we_1").expect("valid"),
        url: "https://example.com/".into(),
        events: vec!["user.*".into()],
        note: String::new(),
        secrets: vec![secret(1, None), secret(2, Some(world.clock.business()))],
        created_at: world.clock.business(),
        off: None,
        deleted: false,
        after: None,
    };
    let set = Command::SetEndpoint {
        endpoint: Box::new(endpoint),
        what: "create",
        act: act(),
    };
    let bob = Command::RegisterUser {
        user: UserId::parse("bob").expect("valid"),
        name: None,
    };
    let all = [
        ("alice", true),
        ("bob", true),
        ("alice", false),
        ("bob", false),
    ];
    let all = all.map(|(user, on)| frozen(user, on));
    submit(&world, [vec![set, bob], all.into()].concat()).await;
    world
}

async fn pass(world: &World, courier: &TwinCourier) -> Progress {
    let done = notify(world, courier, &Limits::default()).await;
    done.expect("no fault")
}

async fn health(world: &World) -> (Endpoint, Health) {
    let all = world.store.endpoints().await.expect("no fault");
    all.into_iter().next().expect("the endpoint")
}

fn ids(sent: &[Parcel]) -> Vec<&str> {
    sent.iter().map(|parcel| parcel.id.as_str()).collect()
}

fn not_taken(code: &str, retry_after_ms: Option<i64>) -> Receipt {
    Receipt::NotTaken {
        code: code.into(),
        retry_after_ms,
        gone: false,
    }
}

#[tokio::test]
async fn messages_go_out_in_the_order_of_each_user_and_are_signed_by_what_is_valid() {
    let (world, courier) = (told().await, TwinCourier::default());
    let first = pass(&world, &courier).await;
    let sent = courier.sent();
    // The link of alice was before the endpoint was.
    assert_eq!(ids(&sent), ["we_1.2", "we_1.3"], "the first of each user");
    assert_eq!((first.taken, first.moved), (6, 2));
    let body = &sent[0].body;
    let head =
        r#"{"type":"user.frozen","timestamp":"2026-03-02T04:00:00Z","number":2,"version":2,"#;
    assert_eq!(
        *body,
        format!(r#"{head}"data":{{"id":"alice","frozen":true}}}}"#)
    );
    let keys: Vec<u8> = sent[0].keys.iter().map(|key| key.bytes[0]).collect();
    assert_eq!(keys, [1], "the second was valid until now");
    pass(&world, &courier).await;
    assert_eq!(ids(&courier.sent()), ["we_1.4", "we_1.5"]);
    assert_eq!(pass(&world, &courier).await.taken, 0);
    assert_eq!(courier.sent(), []);
}

#[tokio::test]
async fn who_dies_at_any_moment_sends_again_under_the_same_name_and_loses_nothing() {
    let mut twice = 0;
    for moment in 0..MOMENTS_MAX {
        let (world, courier) = (told().await, TwinCourier::default());
        let ended = {
            let limits = Limits::default();
            let mut dies = pin!(notify(&world, &courier, &limits));
            let mut context = Context::from_waker(Waker::noop());
            (0..moment).any(|_| matches!(dies.as_mut().poll(&mut context), Poll::Ready(_)))
        };
        let mut sent = courier.sent();
        world.clock.advance_ms(Limits::default().lease_ms);
        while pass(&world, &courier).await.taken > 0 {}
        sent.extend(courier.sent());
        let mut bodies: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for parcel in &sent {
            bodies
                .entry(parcel.id.clone())
                .or_default()
                .push(parcel.body.clone());
        }
        assert_eq!(bodies.len(), 4, "nothing is lost, moment {moment}");
        for (id, all) in &bodies {
            assert!(
                all.iter().all(|body| *body == all[0]),
                "{id} is the same every time"
            );
        }
        for lane in ["alice", "bob"] {
            let own = sent.iter().filter(|parcel| parcel.body.contains(lane));
            let own: Vec<&str> = own.map(|parcel| parcel.id.as_str()).collect();
            assert!(own.is_sorted(), "in order, moment {moment}: {own:?}");
        }
        twice += usize::from(sent.len() > 4);
        if ended {
            assert!(twice > 0, "some deaths were between a send and its record");
            return;
        }
    }
    panic!("one pass has more moments than that");
}

#[tokio::test]
async fn a_refusal_is_tried_again_no_sooner_than_it_asks_and_holds_up_its_lane() {
    let (world, courier) = (told().await, TwinCourier::default());
    courier.answers([not_taken("http_429", Some(10 * MINUTE_MS)), Receipt::Taken]);
    pass(&world, &courier).await;
    assert_eq!(ids(&courier.sent()), ["we_1.2", "we_1.3"]);
    for _ in 0..9 {
        world.clock.advance_ms(MINUTE_MS);
        pass(&world, &courier).await;
        let sent = courier.sent();
        let early = ids(&sent)
            .iter()
            .any(|id| ["we_1.2", "we_1.4"].contains(id));
        assert!(!early, "{sent:?}");
    }
    world.clock.advance_ms(MINUTE_MS);
    pass(&world, &courier).await;
    let sent = courier.sent();
    assert!(ids(&sent).contains(&"we_1.2"), "{sent:?}");
    pass(&world, &courier).await;
    assert!(ids(&courier.sent()).contains(&"we_1.4"));
    assert_eq!(health(&world).await.1.pending, 0);
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_after_three_days_and_replayed_on_request() {
    let (world, courier) = (told().await, TwinCourier::default());
    let begun = world.clock.business();
    let mut tries = BTreeMap::<String, u32>::new();
    while health(&world).await.1.given_up < 4 {
        courier.answers([(); 4].map(|()| not_taken("timeout", None)));
        pass(&world, &courier).await;
        for parcel in courier.sent() {
            *tries.entry(parcel.id).or_default() += 1;
        }
        world.clock.advance_ms(20 * MINUTE_MS);
        let days = world.clock.business().since_ms(begun) / (24 * 60 * MINUTE_MS);
        assert!(days < 10, "it ends");
    }
    let spent = world.clock.business().since_ms(begun);
    assert!(
        spent > 2 * GIVE_UP_MS && spent < 3 * GIVE_UP_MS,
        "two after each other"
    );
    assert!(
        tries.values().all(|tries| (8..=11).contains(tries)),
        "{tries:?}"
    );
    assert_eq!(
        health(&world).await.1.failed_with.as_deref(),
        Some("timeout")
    );
    world.clock.advance_ms(10 * MINUTE_MS);
    let _ = courier.sent();
    let again = TwinCourier::default();
    let (id, now) = (health(&world).await.0.id, world.clock.business());
    assert_eq!(world.store.replay(&id, (2, 4), now).await, Ok(3));
    while pass(&world, &again).await.taken > 0 {}
    assert_eq!(ids(&again.sent()), ["we_1.2", "we_1.3", "we_1.4"]);
}

#[tokio::test]
async fn gone_turns_an_endpoint_off_and_keeps_what_waits() {
    let (world, courier) = (told().await, TwinCourier::default());
    courier.answers([Receipt::NotTaken {
        code: "http_410".into(),
        retry_after_ms: None,
        gone: true,
    }]);
    pass(&world, &courier).await;
    let (off, health) = health(&world).await;
    assert_eq!(off.off.map(|(_, why)| why).as_deref(), Some("http_410"));
    assert_eq!(health.pending, 3, "one was taken");
    let _ = courier.sent();
    world.clock.advance_ms(60 * MINUTE_MS);
    submit(&world, vec![frozen("alice", true)]).await;
    pass(&world, &courier).await;
    assert_eq!(courier.sent(), []);
}

#[tokio::test]
async fn a_store_that_fails_after_a_send_has_it_sent_again() {
    let (world, courier) = (told().await, TwinCourier::default());
    for _ in 0..3 {
        // The plan, the claim, then the report.
        world.store.fail_next(lingqian_io::twin::FaultPoint::Claim);
        let done = notify(&world, &courier, &Limits::default()).await;
        assert!(matches!(done, Err(Fault::Retry(_))), "{done:?}");
    }
    assert_eq!(courier.sent(), [], "nothing was claimed so far");
    while pass(&world, &courier).await.taken > 0 {}
    assert_eq!(courier.sent().len(), 4);
}
