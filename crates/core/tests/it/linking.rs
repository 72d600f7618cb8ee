//! Whose wallet it is: a state is used once, in time, by one user.

use lingqian_core::Keys;
use lingqian_core::command::{Command, Outcome};
use lingqian_core::id::{AppId, MchId, MerchantNo, UserNo};
use lingqian_core::link::{Identity, LINK_STATE_LIFE_MS, Page, StateDigest};
use lingqian_core::rejection::Rejection;
use lingqian_core::transfer::Merchant;

use crate::world::{Answer, NOON, World, identity, merchant, openid, user};

const STATE: StateDigest = StateDigest([42; 32]);

fn started() -> World {
    let mut world = World::with_balance(0);
    let user = user("bob");
    world.must(Command::StartLink {
        user,
        app: None,
        page: Page::default(),
        state: STATE,
    });
    world
}

fn redeem(world: &mut World) -> Answer {
    world.run(Command::RedeemState { state: STATE })
}

fn complete(world: &mut World, identity: Identity) -> Answer {
    let state = STATE;
    world.run(Command::CompleteLink { state, identity })
}

fn linked(world: &World, name: &str) -> Option<String> {
    let no: UserNo = world.facts.user(&user(name)).expect("a user").no;
    let link = world.facts.wallet(no).newest_link();
    link.map(|link| link.openid.expose().to_owned())
}

#[test]
fn a_state_is_redeemed_once_and_until_its_last_moment() {
    let mut world = started();
    world.now = world.now.after_ms(LINK_STATE_LIFE_MS);
    let user = user("bob");
    let app = merchant().apps[0].clone();
    assert_eq!(redeem(&mut world), Ok(Outcome::StateRedeemed { user, app }));
    assert_eq!(redeem(&mut world), Err(Rejection::StateUsed));
    let mut world = started();
    world.now = world.now.after_ms(LINK_STATE_LIFE_MS + 1);
    assert_eq!(redeem(&mut world), Err(Rejection::StateExpired));
}

#[test]
fn a_wallet_is_linked_to_whom_the_state_names() {
    let mut world = started();
    let early = complete(&mut world, identity("openid-bob"));
    assert_eq!(early, Err(Rejection::StateUnknown), "not redeemed yet");
    assert!(redeem(&mut world).is_ok());
    assert_eq!(
        complete(&mut world, identity("openid-bob")),
        Ok(Outcome::Done)
    );
    assert_eq!(linked(&world, "bob").as_deref(), Some("openid-bob"));
    assert_eq!(linked(&world, "alice").as_deref(), Some("openid-alice"));
}

#[test]
fn a_link_goes_by_an_app_that_a_merchant_pays_under() {
    let mut world = World::with_balance(0);
    let app = |text: &str| AppId::parse(text).expect("an id");
    world.must(Command::DefineMerchant(Merchant {
        no: MerchantNo(2),
        mchid: MchId::parse("1900000002").expect("an id"),
        apps: vec![app("wx-two"), app("wx-three")],
        ..merchant()
    }));
    let start = |app: Option<AppId>| Command::StartLink {
        user: user("bob"),
        app,
        page: Page::default(),
        state: STATE,
    };
    let own = merchant().apps[0].clone();
    let started = world.run(start(None));
    assert_eq!(started, Ok(Outcome::LinkStarted { app: own }));
    let refused = world.run(start(Some(app("wx-none"))));
    assert_eq!(refused, Err(Rejection::UnknownApp));
    world.must(start(Some(app("wx-three"))));
    let redeemed = Outcome::StateRedeemed {
        user: user("bob"),
        app: app("wx-three"),
    };
    assert_eq!(redeem(&mut world), Ok(redeemed));
    assert!(complete(&mut world, identity("openid-three")).is_ok());
    let no = world.facts.user(&user("bob")).expect("a user").no;
    let link = world
        .facts
        .wallet(no)
        .newest_link()
        .cloned()
        .expect("a link");
    assert_eq!(link.app, app("wx-three"));
    // One that begins nothing more is no reason to link a wallet.
    world.must(Command::DefineMerchant(Merchant {
        no: MerchantNo(2),
        mchid: MchId::parse("1900000002").expect("an id"),
        apps: vec![app("wx-two"), app("wx-three")],
        weight: 0,
        ..merchant()
    }));
    assert_eq!(
        world.run(start(Some(app("wx-two")))),
        Err(Rejection::UnknownApp)
    );
}

#[test]
fn a_virtual_user_and_the_wallet_of_another_are_refused() {
    let mut world = started();
    assert!(redeem(&mut world).is_ok());
    let snapshot = Identity {
        snapshot: true,
        ..identity("openid-bob")
    };
    let refused = complete(&mut world, snapshot);
    assert_eq!(refused, Err(Rejection::SnapshotUser));
    let taken = complete(&mut world, identity("openid-alice"));
    assert_eq!(taken, Err(Rejection::WalletLinkedElsewhere));
    assert_eq!(linked(&world, "bob"), None);
}

#[test]
fn starting_a_link_asks_for_all_that_finishing_it_in_the_same_batch_needs() {
    let user = user("bob");
    let start = Command::StartLink {
        user: user.clone(),
        app: None,
        page: Page::default(),
        state: STATE,
    };
    let keys = Keys::of([start].iter(), NOON);
    assert!(keys.wallets.contains(&user));
}

#[test]
fn a_user_may_link_again_and_change_wallets() {
    let mut world = started();
    world.link("bob", 1, "openid-bob");
    world.link("bob", 2, "openid-bob");
    world.link("bob", 3, "openid-bobs-other");
    assert_eq!(linked(&world, "bob").as_deref(), Some("openid-bobs-other"));
    let holders = world.facts.holders(&openid("openid-bob"));
    assert!(holders.is_empty(), "nobody's now");
    world.link("alice", 4, "openid-bob");
    assert_eq!(linked(&world, "alice").as_deref(), Some("openid-bob"));
}
