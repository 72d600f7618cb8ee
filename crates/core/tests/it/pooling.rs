//! Several merchants: who pays, and that one's word and bills count for that one.

use std::ops::RangeInclusive;

use lingqian_core::command::{Command, Outcome};
use lingqian_core::control::STOP_WAIT_MS;
use lingqian_core::id::{AppId, MchId, MerchantNo};
use lingqian_core::money::Fen;
use lingqian_core::transfer::{Cure, Finding, Merchant, Origin};

use crate::world::{NOON, World, merchant, po, report};

/// Merchants under the same app, each with a weight and a quota.
fn pool(world: &mut World, merchants: &[(u32, Option<i64>)]) {
    for (no, (weight, quota)) in (1_i64..).zip(merchants) {
        let mchid = MchId::parse(&format!("190000{no:04}")).expect("an id");
        let mchid = if no == 1 { merchant().mchid } else { mchid };
        world.must(Command::DefineMerchant(Merchant {
            no: MerchantNo(no),
            mchid,
            weight: *weight,
            day_quota: quota.map(Fen),
            ..merchant()
        }));
    }
}

fn paid_by(world: &mut World, payouts: RangeInclusive<i64>) -> Vec<(i64, usize)> {
    let mut by = std::collections::BTreeMap::new();
    for no in payouts {
        world.approve(no, 10);
        let begun = world.must(Command::BeginTransfer(po(no)));
        if matches!(begun, Outcome::Begun(_)) {
            *by.entry(world.payout(no).merchant.0).or_default() += 1;
        }
    }
    by.into_iter().collect()
}

#[test]
fn merchants_of_a_pool_pay_by_weight() {
    let mut world = World::with_balance(900_000_000);
    world.policy.user_day_count_max = 1_000;
    pool(&mut world, &[(1, None), (3, None), (0, None)]);
    let by = paid_by(&mut world, 1..=40);
    let sum: usize = by.iter().map(|(_, count)| count).sum();
    assert_eq!(sum, 40);
    let of = |no| by.iter().find(|(m, _)| *m == no).map_or(0, |(_, c)| *c);
    assert!(of(2) > of(1) && of(1) > 0, "{by:?}");
    assert_eq!(of(3), 0, "one without weight begins nothing");
    world.is_sound();
}

#[test]
fn a_quota_that_is_used_up_leaves_the_others_and_returns_tomorrow() {
    let mut world = World::with_balance(900_000_000);
    world.policy.user_day_count_max = 1_000;
    pool(&mut world, &[(1, Some(30)), (1, Some(20))]);
    let by = paid_by(&mut world, 1..=8);
    assert_eq!(by, [(1, 3), (2, 2)]);
    let due = world.work.get(&po(8)).expect("it waits").due_at;
    assert_eq!(due, NOON.business_date().next().start());
    world.now = due;
    let begun = world.must(Command::BeginTransfer(po(8)));
    assert!(matches!(begun, Outcome::Begun(_)));
    world.is_sound();
}

/// The merchant of that number, bound to these apps.
fn bound(no: i64, apps: &[&str]) -> Merchant {
    let mchid = MchId::parse(&format!("190000{no:04}")).expect("an id");
    let apps = apps.iter().map(|app| AppId::parse(app).expect("an id"));
    Merchant {
        no: MerchantNo(no),
        mchid,
        apps: apps.collect(),
        ..merchant()
    }
}

#[test]
fn only_merchants_that_are_bound_to_the_app_of_the_link_pay() {
    let mut world = World::with_balance(900_000_000);
    world.policy.user_day_count_max = 1_000;
    let own = merchant().apps[0].to_string();
    world.must(Command::DefineMerchant(Merchant {
        apps: vec![AppId::parse("wx-other").expect("an id")],
        ..merchant()
    }));
    world.must(Command::DefineMerchant(bound(2, &["wx-other", &own])));
    world.must(Command::DefineMerchant(bound(3, &["wx-other"])));
    assert_eq!(paid_by(&mut world, 1..=8), [(2, 8)]);
    // Unbound, it waits, whatever merchant it named first; bound again, it goes.
    world.approve(9, 10);
    world.must(Command::DefineMerchant(bound(2, &["wx-other"])));
    world.must(Command::BeginTransfer(po(9)));
    assert_eq!(world.payout(9).state.name(), "approved");
    let due = world.work.get(&po(9)).expect("it waits").due_at;
    assert_eq!(due, NOON.after_ms(STOP_WAIT_MS));
    world.must(Command::DefineMerchant(bound(2, &[&own])));
    let begun = world.must(Command::BeginTransfer(po(9)));
    let Outcome::Begun(order) = begun else {
        panic!("{begun:?}");
    };
    assert_eq!(
        (order.app.as_str(), order.mchid.as_str()),
        (&*own, "1900000002")
    );
    world.is_sound();
}

#[test]
fn one_merchants_word_about_a_dead_attempt_stops_that_merchant_alone() {
    let mut world = World::with_balance(1_000_000);
    world.must(Command::DefineMerchant(bound(2, &[])));
    world.begin(1, 100);
    let failed = Finding::Failed {
        code: "TRANSFER_RISK".into(),
        cure: Cure::Later,
    };
    world.hear(1, Origin::Query, failed);
    assert_eq!(world.payout(1).state.name(), "approved");
    let mut told = report(1, Origin::Notification, Finding::Paid);
    told.claims.mchid = Some("1900000002".into());
    world.must(Command::ReportTransfer(Box::new(told)));
    let stops: Vec<String> = world
        .facts
        .stops
        .iter()
        .map(|s| s.scope.to_string())
        .collect();
    assert_eq!(stops, ["merchant:1900000002"]);
    assert_eq!(world.payout(1).state.name(), "approved");
}
