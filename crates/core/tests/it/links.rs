//! Links after they were made: several apps, how each stands, and what of it a payout sees.

use lingqian_core::command::{Command, Manual, Outcome};

use lingqian_core::control::{Act, Actor};
use lingqian_core::id::{AppId, MchId, MerchantNo};
use lingqian_core::link::{
    Identity, Link, LinkAct, LinkCommand, RefreshNews, SharedWallet, Sharing, Standing, Wait,
};
use lingqian_core::payout::State;
use lingqian_core::rejection::Rejection;
use lingqian_core::transfer::{Cure, Finding, Merchant, Origin};
use lingqian_core::user::Sealed;

use crate::world::{Answer, DAY_MS, World, identity, merchant, openid, po, request, user};

const HOUR_MS: i64 = 3_600_000;

fn app(text: &str) -> AppId {
    AppId::parse(text).expect("an id")
}

fn own_app() -> AppId {
    merchant().apps[0].clone()
}

fn mini() -> AppId {
    app("wx-mini")
}

fn act(reason: &str) -> Act {
    let actor = Actor::parse("cli:wang").expect("a name");
    Act::new(actor, reason).expect("a reason")
}

/// A second merchant that pays under the mini program alone.
fn with_mini(world: &mut World) {
    world.must(Command::DefineMerchant(Merchant {
        no: MerchantNo(2),
        mchid: MchId::parse("1900000002").expect("an id"),
        apps: vec![mini()],
        ..merchant()
    }));
}

fn person(name: &str, unionid: Option<&str>) -> Identity {
    Identity {
        unionid: unionid.map(openid),
        tokens: None,
        ..identity(name)
    }
}

fn by_code(world: &mut World, name: &str, app: &AppId, identity: Identity) -> Answer {
    world.run(Command::Link(Box::new(LinkCommand::ByCode {
        user: user(name),
        app: app.clone(),
        identity,
    })))
}

fn done(world: &mut World, name: &str, app: Option<AppId>, what: LinkAct) -> Answer {
    world.run(Command::Link(Box::new(LinkCommand::Act {
        user: user(name),
        app,
        what,
        act: act("as they asked"),
    })))
}

fn refreshed(world: &mut World, version: u32, news: RefreshNews) -> Answer {
    world.run(Command::Link(Box::new(LinkCommand::Refreshed {
        user: user("alice"),
        app: own_app(),
        version,
        news,
    })))
}

fn link<'w>(world: &'w World, name: &str, app: &AppId) -> &'w Link {
    let no = world.facts.user(&user(name)).expect("a user").no;
    world.facts.wallet(no).links.get(app).expect("a link")
}

fn told(world: &World) -> Vec<&'static str> {
    world
        .last
        .notices
        .iter()
        .map(|told| told.event.name())
        .collect()
}

fn state(world: &World, no: i64) -> &State {
    &world.payout(no).state
}

#[test]
fn each_merchant_pays_the_openid_of_its_own_app() {
    let mut world = World::with_balance(10_000_000);
    with_mini(&mut world);
    assert!(by_code(&mut world, "alice", &mini(), person("mini-alice", None)).is_ok());
    // What the user was linked with first is paid at once, the other wallet cools off.
    let cools = link(&world, "alice", &mini()).cools_until;
    assert_eq!(cools, Some(world.now.after_ms(DAY_MS)));
    world.now = world.now.after_ms(DAY_MS);
    world.policy.user_day_count_max = 1_000;
    let mut seen = Vec::new();
    for no in 1..=40 {
        world.begin(no, 10);
        let order = &state(&world, no).attempt().expect("an order").order;
        let pair = (
            order.mchid.as_str().to_owned(),
            order.openid.expose().to_owned(),
        );
        if !seen.contains(&pair) {
            seen.push(pair);
        }
    }
    seen.sort();
    let pair = |mchid: &str, openid: &str| (mchid.to_owned(), openid.to_owned());
    assert_eq!(
        seen,
        [
            pair("1900000002", "mini-alice"),
            pair("1900000109", "openid-alice")
        ]
    );
    world.is_sound();
}

#[test]
fn a_user_whom_no_merchant_can_reach_is_told_so_when_risk_looks() {
    let mut world = World::with_balance(10_000_000);
    world.must(Command::DefineMerchant(Merchant {
        apps: vec![app("wx-another")],
        ..merchant()
    }));
    world.must(Command::Withdraw(Box::new(request(1, 100))));
    let assessed = world.must(Command::Assess(po(1)));
    assert_eq!(assessed, Outcome::Assessed { passed: false });
    let State::Refused(reasons) = state(&world, 1) else {
        panic!("{:?}", state(&world, 1));
    };
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes, ["no_paying_app"]);
    assert_eq!(world.alice(), (10_000_000, 0), "the money is back");
    world.is_sound();
}

#[test]
fn a_changed_wallet_cools_off_and_the_same_one_does_not() {
    let mut world = World::with_balance(10_000_000);
    world.link("alice", 2, "openid-alice");
    assert_eq!(link(&world, "alice", &own_app()).cools_until, None);
    world.link("alice", 3, "openid-other");
    let until = world.now.after_ms(DAY_MS);
    assert_eq!(link(&world, "alice", &own_app()).cools_until, Some(until));
    let deed = world.deeds.last().expect("it is on record");
    assert_eq!(
        (deed.what.as_str(), deed.actor.as_str()),
        ("relink", "engine")
    );
    assert!(!format!("{deed:?}").contains("openid"), "{deed:?}");
    // To grant it again does not end the wait.
    world.now = world.now.after_ms(HOUR_MS);
    world.link("alice", 4, "openid-other");
    assert_eq!(link(&world, "alice", &own_app()).cools_until, Some(until));
    world.approve(1, 100);
    let waits = world.must(Command::BeginTransfer(po(1)));
    let state_now = "approved";
    let waiting = Outcome::Payout {
        state: state_now,
        moved: false,
    };
    assert_eq!(waits, waiting);
    assert_eq!(
        world.work[&po(1)].due_at,
        until,
        "it is sent when the wait is over"
    );
    world.now = until;
    assert!(matches!(
        world.must(Command::BeginTransfer(po(1))),
        Outcome::Begun(_)
    ));
}

#[test]
fn a_wallet_of_the_same_person_does_not_cool_off_and_of_another_is_refused() {
    let mut world = World::with_balance(0);
    with_mini(&mut world);
    let linked = by_code(
        &mut world,
        "bob",
        &mini(),
        person("mini-bob", Some("union-bob")),
    );
    assert_eq!(linked, Ok(Outcome::Done));
    assert_eq!(
        link(&world, "bob", &mini()).cools_until,
        None,
        "the first one"
    );
    let another = person("openid-carl", Some("union-carl"));
    let refused = by_code(&mut world, "bob", &own_app(), another.clone());
    assert_eq!(refused, Err(Rejection::UnionidMismatch));
    let same = person("openid-bob", Some("union-bob"));
    assert_eq!(
        by_code(&mut world, "bob", &own_app(), same),
        Ok(Outcome::Done)
    );
    assert_eq!(link(&world, "bob", &own_app()).cools_until, None);
    // Once the others are ended another person may come, and waits.
    assert!(done(&mut world, "bob", None, LinkAct::Unlink).is_ok());
    assert_eq!(
        by_code(&mut world, "bob", &own_app(), another),
        Ok(Outcome::Done)
    );
    assert!(link(&world, "bob", &own_app()).cools_until.is_some());
}

#[test]
fn a_wallet_of_another_user_is_refused_by_openid_and_by_unionid() {
    let mut world = World::with_balance(0);
    with_mini(&mut world);
    let bob = person("mini-bob", Some("union-bob"));
    assert!(by_code(&mut world, "bob", &mini(), bob.clone()).is_ok());
    let elsewhere = Err(Rejection::WalletLinkedElsewhere);
    let name = user("carol");
    world.must(Command::RegisterUser {
        user: name,
        name: None,
    });
    assert_eq!(by_code(&mut world, "carol", &mini(), bob), elsewhere);
    let as_another_app_sees_him = person("openid-bob", Some("union-bob"));
    let refused = by_code(
        &mut world,
        "carol",
        &own_app(),
        as_another_app_sees_him.clone(),
    );
    assert_eq!(refused, elsewhere);
    // Bob leaves, and the wallet is nobody's.
    assert!(done(&mut world, "bob", None, LinkAct::Unlink).is_ok());
    let linked = by_code(&mut world, "carol", &own_app(), as_another_app_sees_him);
    assert_eq!(linked, Ok(Outcome::Done));
}

#[test]
fn a_shared_wallet_is_flagged_reviewed_and_allowed_where_that_is_wanted() {
    let mut world = World::with_balance(10_000_000);
    world.policy.links.shared = SharedWallet::Review;
    world.policy.links.relink_cooling_ms = 0;
    world.link("bob", 2, "openid-bob");
    world.link("alice", 3, "openid-bob");
    assert_eq!(told(&world), ["user.linked", "link.shared"]);
    assert_eq!(link(&world, "alice", &own_app()).sharing, Sharing::Flagged);
    assert_eq!(link(&world, "bob", &own_app()).sharing, Sharing::Alone);
    world.must(Command::Withdraw(Box::new(request(1, 100))));
    let assessed = world.must(Command::Assess(po(1)));
    assert_eq!(assessed, Outcome::Assessed { passed: false });
    let State::Review(review) = state(&world, 1) else {
        panic!("{:?}", state(&world, 1));
    };
    assert_eq!(review.reasons[0].code(), "shared_wallet");
    let approve = Command::Manual {
        payout: po(1),
        what: Manual::Approve,
        act: act("they are a family"),
    };
    world.now = world.now.after_ms(1);
    world.must(approve);
    assert!(matches!(
        world.must(Command::BeginTransfer(po(1))),
        Outcome::Begun(_)
    ));
    // Renewed it stays flagged; allowed it is paid without a word.
    world.link("alice", 4, "openid-bob");
    assert_eq!(link(&world, "alice", &own_app()).sharing, Sharing::Flagged);
    assert!(done(&mut world, "alice", None, LinkAct::Allow).is_ok());
    assert_eq!(world.deeds.last().expect("a deed").what, "allow-link");
    world.link("alice", 5, "openid-bob");
    assert_eq!(link(&world, "alice", &own_app()).sharing, Sharing::Allowed);
    world.approve(2, 100);
    let nothing = done(&mut world, "alice", None, LinkAct::Allow);
    assert_eq!(nothing, Err(Rejection::NotShared));
    world.is_sound();
}

#[test]
fn a_wallet_that_became_shared_after_a_payout_was_passed_waits_for_a_person() {
    let mut world = World::with_balance(10_000_000);
    world.policy.links.shared = SharedWallet::Review;
    world.policy.links.relink_cooling_ms = 0;
    world.link("bob", 2, "openid-bob");
    world.approve(1, 100);
    world.now = world.now.after_ms(1);
    world.link("alice", 3, "openid-bob");
    let waits = world.must(Command::BeginTransfer(po(1)));
    assert!(
        matches!(waits, Outcome::Payout { moved: false, .. }),
        "{waits:?}"
    );
    assert!(done(&mut world, "alice", None, LinkAct::Allow).is_ok());
    assert!(matches!(
        world.must(Command::BeginTransfer(po(1))),
        Outcome::Begun(_)
    ));
}

#[test]
fn only_a_code_that_says_so_makes_a_link_need_its_user() {
    let mut world = World::with_balance(10_000_000);
    let later = |wait| RefreshNews::Later { wait };
    let day = world.now.business_date().next().start();
    let at = |world: &World| link(world, "alice", &own_app()).refresh_at.expect("due");
    assert_eq!(at(&world), world.now.after_ms(7 * DAY_MS));
    for (version, wait, due) in [
        (1, Wait::Busy, world.now.after_ms(10_000)),
        (2, Wait::Busy, world.now.after_ms(60_000)),
        (3, Wait::Slower, world.now.after_ms(60_000)),
        (4, Wait::Tomorrow, day),
        (5, Wait::Person, world.now.after_ms(DAY_MS)),
    ] {
        assert!(refreshed(&mut world, version, later(wait)).is_ok());
        assert!(world.last.notices.is_empty(), "nobody's business");
        assert_eq!(at(&world), due, "{wait:?}");
        assert_eq!(link(&world, "alice", &own_app()).standing, Standing::Active);
    }
    let renewed = Identity {
        tokens: Some(Sealed(vec![2])),
        ..identity("openid-alice")
    };
    assert!(refreshed(&mut world, 6, RefreshNews::Renewed(renewed)).is_ok());
    let kept = link(&world, "alice", &own_app());
    assert_eq!(kept.tokens, Some(Sealed(vec![2])));
    assert_eq!((kept.refresh_tries, kept.version), (0, 7));
    let code = "42002".to_owned();
    assert!(refreshed(&mut world, 7, RefreshNews::Ended { code }).is_ok());
    assert_eq!(told(&world), ["link.needs_reauthorization"]);
    let kept = link(&world, "alice", &own_app());
    assert_eq!(kept.standing, Standing::NeedsReauthorization);
    assert_eq!(
        (kept.reason.as_deref(), kept.refresh_at),
        (Some("42002"), None)
    );
    world.now = world.now.after_ms(1);
    world.link("alice", 2, "openid-alice");
    assert_eq!(told(&world), ["user.linked"]);
    assert_eq!(link(&world, "alice", &own_app()).standing, Standing::Active);
}

#[test]
fn news_about_older_tokens_changes_nothing_and_another_person_is_never_taken_in() {
    let mut world = World::with_balance(0);
    // Two processes refresh at once, and meanwhile the user grants it again.
    world.link("alice", 2, "openid-alice");
    let code = "40030".to_owned();
    let late = refreshed(&mut world, 1, RefreshNews::Ended { code });
    let untouched = Outcome::Link {
        standing: "active",
        moved: false,
    };
    assert_eq!(late, Ok(untouched));
    assert_eq!(link(&world, "alice", &own_app()).standing, Standing::Active);
    let somebody = RefreshNews::Renewed(identity("openid-mallory"));
    assert!(refreshed(&mut world, 2, somebody).is_ok());
    let kept = link(&world, "alice", &own_app());
    assert_eq!(kept.openid, openid("openid-alice"));
    assert_eq!(kept.reason.as_deref(), Some("openid_mismatch"));
}

#[test]
fn a_link_that_needs_its_user_is_paid_or_waits_as_the_policy_says() {
    let mut world = World::with_balance(10_000_000);
    let code = "42002".to_owned();
    assert!(refreshed(&mut world, 1, RefreshNews::Ended { code }).is_ok());
    world.begin(1, 100);
    world.policy.links.pays_unauthorized = false;
    world.approve(2, 100);
    let waits = world.must(Command::BeginTransfer(po(2)));
    assert!(
        matches!(waits, Outcome::Payout { moved: false, .. }),
        "{waits:?}"
    );
    assert_eq!(*state(&world, 2), State::Approved, "it is not lost");
    world.link("alice", 2, "openid-alice");
    assert!(matches!(
        world.must(Command::BeginTransfer(po(2))),
        Outcome::Begun(_)
    ));
    world.is_sound();
}

#[test]
fn an_ended_link_keeps_nothing_and_pays_nothing_more() {
    let mut world = World::with_balance(10_000_000);
    world.approve(1, 100);
    world.begin(2, 100);
    world.begin(3, 100);
    let code = "FREQUENCY_LIMITED".to_owned();
    let cure = Cure::Later;
    world.hear(3, Origin::Answer, Finding::Refused { code, cure });
    let ended = done(&mut world, "alice", Some(own_app()), LinkAct::Revoke);
    let revoked = |moved| Outcome::Link {
        standing: "revoked",
        moved,
    };
    assert_eq!(ended, Ok(revoked(true)));
    assert_eq!(told(&world), ["link.revoked"]);
    let deed = world.deeds.last().expect("a deed");
    assert_eq!(
        (deed.what.as_str(), deed.reason.as_str()),
        ("revoke-link", "as they asked")
    );
    assert!(
        deed.before.ends_with("active") && deed.after.ends_with("revoked"),
        "{deed:?}"
    );
    let kept = link(&world, "alice", &own_app());
    assert_eq!((&kept.tokens, kept.refresh_at), (&None, None));
    assert_eq!(kept.reason.as_deref(), Some("by_person"));
    // Nothing was sent: the money returns. What may have arrived is asked about, not sent again.
    world.must(Command::BeginTransfer(po(1)));
    assert_eq!(state(&world, 1).name(), "refused");
    let order = state(&world, 2).attempt().expect("an order").order.clone();
    world.must(Command::BeginTransfer(po(3)));
    assert_eq!(
        state(&world, 3).name(),
        "failed",
        "it was provably never taken"
    );
    assert_eq!(state(&world, 2).name(), "sending");
    world.hear(2, Origin::Notification, Finding::Paid);
    assert_eq!(state(&world, 2).attempt().expect("an order").order, order);
    assert_eq!(
        state(&world, 2).name(),
        "paid",
        "its order was kept to the end"
    );
    let again = done(&mut world, "alice", None, LinkAct::Unlink);
    assert_eq!(again, Ok(revoked(false)));
    let refresh = done(&mut world, "alice", None, LinkAct::Refresh);
    assert_eq!(refresh, Err(Rejection::NoTokens));
    // Whatever wallet comes back after a person ended it cools off, the same one as well.
    world.link("alice", 2, "openid-alice");
    assert!(link(&world, "alice", &own_app()).cools_until.is_some());
    world.is_sound();
}

#[test]
fn who_unlinks_may_come_back_with_the_same_wallet_at_once() {
    let mut world = World::with_balance(0);
    assert!(done(&mut world, "alice", None, LinkAct::Unlink).is_ok());
    world.link("alice", 2, "openid-alice");
    assert_eq!(link(&world, "alice", &own_app()).cools_until, None);
    assert!(done(&mut world, "alice", None, LinkAct::Refresh).is_ok());
    assert_eq!(
        link(&world, "alice", &own_app()).refresh_at,
        Some(world.now)
    );
    let none = done(&mut world, "bob", None, LinkAct::Unlink);
    assert_eq!(none, Err(Rejection::NotLinked));
    let other = done(&mut world, "alice", Some(mini()), LinkAct::Unlink);
    assert_eq!(other, Err(Rejection::NotLinked));
}

#[test]
fn a_snapshot_user_is_refused_by_code_as_well_and_an_app_that_pays_nobody() {
    let mut world = World::with_balance(0);
    let snapshot = Identity {
        snapshot: true,
        ..person("openid-x", None)
    };
    let refused = by_code(&mut world, "bob", &own_app(), snapshot);
    assert_eq!(refused, Err(Rejection::SnapshotUser));
    let unknown = by_code(&mut world, "bob", &mini(), person("openid-x", None));
    assert_eq!(unknown, Err(Rejection::UnknownApp));
    let nobody = by_code(&mut world, "nobody", &own_app(), person("openid-x", None));
    assert_eq!(nobody, Err(Rejection::UnknownUser));
}

#[test]
fn who_asks_for_an_authorization_or_closes_it_is_on_record_and_nothing_else_changes() {
    let mut world = World::with_balance(0);
    world.link("alice", 2, "openid-alice");
    let before = link(&world, "alice", &own_app()).clone();
    for (what, word) in [
        (LinkAct::ApplyAuthorization, "apply-authorization"),
        (LinkAct::CloseAuthorization, "close-authorization"),
    ] {
        let told = done(&mut world, "alice", Some(own_app()), what);
        let standing = "active";
        let moved = false;
        assert_eq!(told, Ok(Outcome::Link { standing, moved }));
        let deed = world.deeds.last().expect("it is on record");
        assert_eq!((deed.what.as_str(), deed.subject.as_str()), (word, "alice"));
        assert_eq!(deed.actor.as_str(), "cli:wang");
        assert!(!format!("{deed:?}").contains("openid"), "{deed:?}");
        assert_eq!(link(&world, "alice", &own_app()), &before);
    }
    let deeds = world.deeds.len();
    let none = done(
        &mut world,
        "alice",
        Some(mini()),
        LinkAct::ApplyAuthorization,
    );
    assert_eq!(none, Err(Rejection::NotLinked));
    assert!(done(&mut world, "alice", None, LinkAct::Unlink).is_ok());
    let ended = done(&mut world, "alice", None, LinkAct::CloseAuthorization);
    assert_eq!(ended, Err(Rejection::NotLinked));
    assert_eq!(world.deeds.len(), deeds + 1, "only that it was unlinked");
}

/// A payout in doubt whose user has another wallet now: the order keeps its receiver.
#[test]
fn what_is_in_doubt_goes_again_to_the_wallet_of_its_order_and_to_no_other() {
    let mut world = World::with_balance(10_000_000);
    world.link("alice", 2, "openid-alice");
    world.approve(1, 100);
    let Outcome::Begun(first) = world.must(Command::BeginTransfer(po(1))) else {
        panic!("it is sent");
    };
    let code = "timeout".to_owned();
    world.hear(1, Origin::Answer, Finding::Unknown { code });
    world.link("alice", 3, "openid-thief");
    assert!(link(&world, "alice", &own_app()).cools_until.is_some());
    world.now = world.now.after_ms(HOUR_MS);
    let Outcome::Begun(again) = world.must(Command::BeginTransfer(po(1))) else {
        panic!("it is sent again");
    };
    assert_eq!(again, first, "number, amount and receiver");
    assert_eq!(again.openid, openid("openid-alice"));
    // What is ordered later goes to the new wallet, once that has cooled off.
    world.hear(1, Origin::Query, Finding::Paid);
    world.approve(2, 100);
    world.now = world.now.after_ms(DAY_MS);
    let Outcome::Begun(later) = world.must(Command::BeginTransfer(po(2))) else {
        panic!("it is sent");
    };
    assert_eq!(later.openid, openid("openid-thief"));
    world.is_sound();
}

/// What was refused whole never arrived: it ends, rather than go to a wallet nobody asked about.
#[test]
fn what_never_arrived_does_not_follow_the_user_to_another_wallet() {
    let mut world = World::with_balance(10_000_000);
    world.link("alice", 2, "openid-alice");
    world.begin(1, 100);
    let (code, cure) = ("NOT_ENOUGH".to_owned(), Cure::Float);
    world.hear(1, Origin::Answer, Finding::Refused { code, cure });
    assert_eq!(world.payout(1).state.name(), "deferred");
    world.link("alice", 3, "openid-thief");
    world.now = world.now.after_ms(HOUR_MS);
    let told = world.must(Command::BeginTransfer(po(1)));
    assert!(!matches!(told, Outcome::Begun(_)), "{told:?}");
    assert!(world.payout(1).state.is_final());
    world.is_sound();
}

#[test]
fn the_first_link_of_a_further_app_cools_off_unless_a_unionid_proves_who_it_is() {
    for (first, further, cools) in [
        (None, None, true),
        (None, Some("union-alice"), true),
        (Some("union-alice"), None, true),
        (Some("union-alice"), Some("union-alice"), false),
    ] {
        let mut world = World::with_balance(0);
        with_mini(&mut world);
        let of_app = person("openid-bob", first);
        assert_eq!(
            by_code(&mut world, "bob", &own_app(), of_app),
            Ok(Outcome::Done)
        );
        let of_mini = person("mini-bob", further);
        assert_eq!(
            by_code(&mut world, "bob", &mini(), of_mini),
            Ok(Outcome::Done)
        );
        let until = link(&world, "bob", &mini()).cools_until;
        assert_eq!(until.is_some(), cools, "{first:?} {further:?}");
        assert_eq!(
            link(&world, "bob", &own_app()).cools_until,
            None,
            "it goes on"
        );
    }
}
