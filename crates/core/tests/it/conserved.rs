//! No fraction of a fen is lost or made, whatever users, apps and WeChat do: what a user got is
//! what the user has, was paid, gave away or had taken back, to the last micro-yuan.

use std::collections::BTreeMap;

use lingqian_core::Outcome;
use lingqian_core::command::Command;
use lingqian_core::earning::{EarningEvent, Kind, Terms};
use lingqian_core::id::{KindCode, UserId};
use lingqian_core::money::Micros;
use lingqian_core::transfer::{Finding, Origin};
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use proptest::prelude::*;

use crate::world::{DAY_MS, World, event, kind, po, report, request, user};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const KINDS: [&str; 3] = ["sale", "slow", "capped"];

/// What happens; `who` is a user, `which` an earlier event, amounts are in micro-yuan.
#[derive(Clone, Debug)]
enum Act {
    Earn {
        who: usize,
        kind: usize,
        micros: i64,
    },
    Gift {
        from: usize,
        to: usize,
        micros: i64,
    },
    TakeBack {
        which: usize,
        micros: Option<i64>,
    },
    Withdraw {
        who: usize,
        all: bool,
        fen: i64,
    },
    End {
        no: i64,
        paid: bool,
    },
    Wait {
        hours: i64,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (who, micros) = (|| 0..USERS.len(), || 1..60_000_i64);
    let act = prop_oneof![
        6 => (who(), 0..KINDS.len(), micros())
            .prop_map(|(who, kind, micros)| Act::Earn { who, kind, micros }),
        3 => (who(), who(), micros())
            .prop_map(|(from, to, micros)| Act::Gift { from, to, micros }),
        3 => (0..40_usize, prop::option::of(micros()))
            .prop_map(|(which, micros)| Act::TakeBack { which, micros }),
        3 => (who(), any::<bool>(), 1..8_i64)
            .prop_map(|(who, all, fen)| Act::Withdraw { who, all, fen }),
        3 => (1..20_i64, any::<bool>()).prop_map(|(no, paid)| Act::End { no, paid }),
        1 => (1..40_i64).prop_map(|hours| Act::Wait { hours }),
    ];
    prop::collection::vec(act, 1..120)
}

/// One user's money by what was answered, apart from all books.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    credited: i64,
    received: i64,
    given: i64,
    taken_back: i64,
    paid: i64,
}

struct Life {
    world: World,
    tallies: BTreeMap<&'static str, Tally>,
    /// What was earned: whose, under which name, as what.
    earned: Vec<(usize, String, usize)>,
    /// Payouts that were held, by number: whose and how many fen.
    held: BTreeMap<i64, (usize, i64)>,
    step: i64,
}

impl Life {
    fn new() -> Life {
        let mut world = World::with_balance(0);
        world.policy.payout_min.0 = 1;
        let (carol, name) = (user("carol"), None);
        world.must(Command::RegisterUser { user: carol, name });
        world.link("bob", 2, "openid-bob");
        world.link("carol", 3, "openid-carol");
        let plain = Terms::default();
        let slow = Terms {
            cooling_days: 2,
            ..plain
        };
        let capped = Terms {
            user_day_amount_max: Some(Micros(70_000)),
            user_day_count_max: Some(4),
            ..plain
        };
        let gift = Terms {
            between_users: true,
            ..plain
        };
        for (no, code, terms) in [(3, "slow", slow), (4, "capped", capped), (5, "gift", gift)] {
            let kind = kind(no, code, None);
            world.must(Command::DefineKind(Kind { terms, ..kind }));
        }
        Life {
            world,
            tallies: BTreeMap::new(),
            earned: Vec::new(),
            held: BTreeMap::new(),
            step: 0,
        }
    }

    fn tally(&mut self, who: usize) -> &mut Tally {
        self.tallies.entry(USERS[who]).or_default()
    }

    fn book(&mut self, who: usize, kind: &str, change: impl FnOnce(&mut EarningEvent)) -> i64 {
        let mut event = event(&format!("e{}", self.step), 1);
        event.user = user(USERS[who]);
        event.kind = KindCode::parse(kind).expect("an id");
        change(&mut event);
        match self.world.run(Command::Earn(event)) {
            Ok(Outcome::Credited { amount }) => amount.0,
            _ => 0,
        }
    }

    fn act(&mut self, act: &Act) {
        self.step += 1;
        match *act {
            Act::Earn { who, kind, micros } => {
                let amount = Some(Micros(micros));
                let got = self.book(who, KINDS[kind], |event| event.amount = amount);
                self.tally(who).credited += got;
                if got > 0 {
                    self.earned.push((who, format!("e{}", self.step), kind));
                }
            }
            Act::Gift { from, to, micros } => {
                let got = self.book(to, "gift", |event| {
                    event.amount = Some(Micros(micros));
                    event.from = Some(user(USERS[from]));
                });
                self.tally(to).received += got;
                self.tally(from).given += got;
                if got > 0 {
                    self.keeps_what_cools_off(from);
                }
            }
            Act::TakeBack { which, micros } => {
                let Some((who, name, kind)) = self.earned.get(which).cloned() else {
                    return;
                };
                let taken = self.book(who, KINDS[kind], |back| {
                    back.amount = micros.map(Micros);
                    back.reverses = Some(event(&name, 1).event_id);
                });
                self.tally(who).taken_back += taken;
            }
            Act::Withdraw { who, all, fen } => self.withdraw(who, all, fen),
            Act::End { no, paid } => self.end(no, paid),
            Act::Wait { hours } => {
                self.world.now = self.world.now.after_ms(hours * DAY_MS / 24);
            }
        }
    }

    fn withdraw(&mut self, who: usize, all: bool, fen: i64) {
        let no = i64::try_from(self.held.len()).expect("few") + 1;
        let asked = request(no, fen);
        let wanted = if all { Wanted::All } else { asked.wanted };
        let asked = Withdrawal {
            user: user(USERS[who]),
            wanted,
            ..asked
        };
        let held = self.world.run(Command::Withdraw(Box::new(asked)));
        if let Ok(Outcome::Withdrawn { amount, .. }) = held {
            self.held.insert(no, (who, amount.0));
            self.keeps_what_cools_off(who);
        }
    }

    /// Risk looks, the order is sent, and WeChat pays or lets it expire.
    fn end(&mut self, no: i64, paid: bool) {
        let _ = self.world.run(Command::Assess(po(no)));
        let _ = self.world.run(Command::BeginTransfer(po(no)));
        let finding = if paid {
            Finding::Paid
        } else {
            Finding::Expired
        };
        let report = report(no, Origin::Query, finding);
        let heard = self.world.run(Command::ReportTransfer(Box::new(report)));
        let ended = Outcome::Payout {
            state: "paid",
            moved: true,
        };
        if heard == Ok(ended) {
            let (who, fen) = self.held[&no];
            self.tally(who).paid += fen * 10_000;
        }
    }

    /// Nobody withdraws or gives away what still cools off or is owed.
    fn keeps_what_cools_off(&self, who: usize) {
        let wallet = self.wallet(&user(USERS[who]));
        let purse = wallet.purse(self.world.now.business_date());
        let aside = purse.cooling.plus(purse.owed).expect("in range");
        assert!(purse.available >= aside, "{purse:?}");
    }

    fn wallet(&self, id: &UserId) -> &lingqian_core::facts::Wallet {
        let facts = &self.world.facts;
        facts.wallet(facts.user(id).expect("registered").no)
    }

    fn check(&self) {
        for (name, tally) in &self.tallies {
            let wallet = self.wallet(&user(name));
            let got = tally.credited + tally.received;
            let went = tally.given + tally.paid + tally.taken_back;
            let has = wallet.available.0 + wallet.held.0 - wallet.owed.0;
            assert_eq!(got, has + went, "{name}: {tally:?} and {wallet:?}");
        }
        let sum = |part: fn(&Tally) -> i64| self.tallies.values().map(part).sum::<i64>();
        assert_eq!(sum(|tally| tally.given), sum(|tally| tally.received));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn what_was_credited_is_there_was_paid_or_was_taken_back(acts in acts()) {
        let mut life = Life::new();
        for act in &acts {
            life.act(act);
            life.check();
        }
        life.world.is_sound();
    }
}

/// What the property means by its words: each of them happens.
#[test]
fn one_life_has_all_of_it() {
    let mut life = Life::new();
    let acts = [
        Act::Earn {
            who: 0,
            kind: 0,
            micros: 35_555,
        },
        Act::Withdraw {
            who: 0,
            all: false,
            fen: 1,
        },
        Act::End { no: 1, paid: true },
        Act::Gift {
            from: 0,
            to: 1,
            micros: 3_333,
        },
        Act::Withdraw {
            who: 0,
            all: true,
            fen: 1,
        },
        Act::TakeBack {
            which: 0,
            micros: None,
        },
    ];
    for act in &acts {
        life.act(act);
        life.check();
    }
    let owes = |life: &Life| {
        let wallet = life.wallet(&user("alice"));
        [wallet.available.0, wallet.held.0, wallet.owed.0]
    };
    assert_eq!(owes(&life), [0, 20_000, 33_333]);
    life.act(&Act::End { no: 2, paid: false });
    assert_eq!(
        owes(&life),
        [20_000, 0, 33_333],
        "given back, and set aside"
    );
    life.act(&Act::Earn {
        who: 0,
        kind: 1,
        micros: 40_000,
    });
    assert_eq!(owes(&life), [26_667, 0, 0], "the debt is paid first");
    life.check();
    life.world.is_sound();
}
