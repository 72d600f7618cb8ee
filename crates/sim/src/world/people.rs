//! The first morning, deliveries, and what the onlooker asks the store.

use lingqian_core::command::Command;
use lingqian_core::earning::{Kind, Terms};
use lingqian_core::facts::Wallet;
use lingqian_core::id::{AppId, KindCode, KindNo, MerchantNo, UserId};
use lingqian_core::money::Micros;
use lingqian_core::transfer::Merchant;
use lingqian_core::{Changes, Keys, Moment, execute};
use lingqian_engine::receive::{NotReceived, Received, receive};
use lingqian_io::store::Committed;
use lingqian_io::{Browse, Store};

use super::{NOON, Payer, SCENES, World, mchid};
use crate::dice::Dice;
use crate::tasks::Label;
use crate::wait::wait;

/// What a user may earn of one kind in a day: micro-yuan, and how often.
pub(crate) const CAP: (i64, u32) = (6_000_000, 4);
/// How many gifts a user may make in a day.
pub(crate) const GIFTS: u32 = 3;
/// How long money of another kind cools off.
pub(crate) const COOLING_DAYS: u16 = 2;

fn kind(no: i64, code: &str, terms: Terms) -> Command {
    Command::DefineKind(Kind {
        no: KindNo(no),
        code: KindCode::parse(code).expect("a code"),
        price: None,
        amount_max: lingqian_core::money::AMOUNT_MAX,
        tax_class: "incidental".into(),
        terms,
    })
}

impl<S: Store + Browse + Clone> World<S> {
    /// Writes what is there before anything happens, past all faults.
    pub(super) fn define(&mut self) {
        let merchant = |(no, payer): (usize, &Payer)| {
            Command::DefineMerchant(Merchant {
                no: MerchantNo(i64::try_from(no).unwrap_or(1)),
                mchid: mchid(no),
                apps: vec![AppId::parse("wx-sim").expect("an app id")],
                scene: payer.product.scene(SCENES[no - 1]),
                scene_report: Vec::new(),
                remark: "simulated".into(),
                weight: payer.weight,
                day_quota: payer.quota,
            })
        };
        let usual = Terms::default();
        let capped = Terms {
            user_day_amount_max: Some(Micros(CAP.0)),
            user_day_count_max: Some(CAP.1),
            ..usual
        };
        let cooling = Terms {
            cooling_days: COOLING_DAYS,
            ..usual
        };
        let between = Terms {
            between_users: true,
            user_day_count_max: Some(GIFTS),
            ..usual
        };
        let merchants = (1..).zip(&self.settings.merchants).map(merchant);
        let kinds = [
            kind(1, "task", usual),
            kind(2, "gift", between),
            kind(3, "capped", capped),
            kind(4, "cooling", cooling),
        ];
        let commands: Vec<Command> = merchants.chain(kinds).collect();
        let moment = Moment {
            now: NOON,
            policy: &self.settings.policy,
        };
        let keys = Keys::of(commands.iter(), NOON);
        let mut facts = wait(self.books.prefetch(keys)).expect("an empty store reads");
        let (basis, mut all) = (facts.basis, Changes::default());
        for command in &commands {
            let (changes, _) = execute(&moment, command, &facts).expect("nothing forbids it");
            facts.apply(&changes);
            all.append(changes);
        }
        if all.is_empty() {
            return;
        }
        let written = wait(self.books.commit(basis, all)).expect("an empty store writes");
        assert_eq!(written, Committed::Done, "nobody else is there");
    }

    /// A notification is on its way to one of the processes.
    pub(super) fn deliver(&mut self, id: u64) {
        let alive = self.alive();
        let now = self.scene.lock().now;
        let mut dice = Dice::new(self.settings.seed ^ id);
        let no = alive.get(dice.place(alive.len())).copied();
        let alive = no.and_then(|no| Some((no, self.processes[no].alive.clone()?)));
        let Some((no, (ports, desk))) = alive else {
            self.scene.lock().wechat.not_taken(id, now);
            return;
        };
        let scene = self.scene.clone();
        let notification = scene.lock().wechat.on_the_wire(id, now);
        self.tasks.add(no, Label::Notice(id), async move {
            let received = receive(&ports, &desk, notification).await;
            let mut shared = scene.lock();
            let notice = shared
                .wechat
                .notice(id)
                .map(|notice| (notice.genuine, notice.number));
            let genuine = notice.is_some_and(|(genuine, _)| genuine);
            let name = notice.map(|(_, number)| shared.oracle.name_of(number.payout()));
            let name = name.unwrap_or_default();
            let moved = matches!(received, Ok(Received::Moved));
            shared
                .oracle
                .check(genuine || !moved, "forgery_has_no_effect", || {
                    format!("a false notification about {name} moved it")
                });
            let (words, again) = match &received {
                Ok(Received::Moved) => ("has an effect".to_owned(), false),
                Ok(Received::Known) => ("says nothing new".to_owned(), false),
                Ok(_) => ("is not believed".to_owned(), false),
                Err(NotReceived::Refusal(refusal)) => {
                    (format!("is refused: {}", refusal.code()), true)
                }
                Err(NotReceived::Rejection(rejection)) => {
                    (format!("is refused: {}", rejection.code()), false)
                }
                Err(NotReceived::Fault(fault)) => (format!("fails: {}", fault.code()), true),
            };
            shared.tell(|| format!("  a notification about {name} {words}"));
            shared.inbox.push((Label::Notice(id), again));
        });
    }

    /// Every user's wallet, past all faults.
    pub(crate) fn wallets(&self) -> Vec<Wallet> {
        let day = self.scene.lock().now.business_date();
        let names = self.scene.lock().oracle.user_names();
        let ids = names.iter().filter_map(|name| UserId::parse(name).ok());
        ids.filter_map(|id| wait(self.books.user(&id, day)).ok().flatten())
            .collect()
    }

    /// A balance of a user, past all faults.
    pub(super) fn wallet(&self, name: &str) -> Option<Wallet> {
        let day = self.scene.lock().now.business_date();
        wait(self.books.user(&UserId::parse(name).ok()?, day))
            .ok()
            .flatten()
    }
}

/// An amount that a story writes, as what the ledger counts.
pub(super) fn amount(micros: i64) -> Micros {
    Micros(micros)
}
