//! What a seed makes happen: an app and its users over a few days, processes that come and go,
//! and faults. Each seed chooses which sorts of faults there are and how many, so that most runs
//! have a character of their own.

mod trouble;

use lingqian_core::money::Fen;
use lingqian_core::risk::Policy;
use lingqian_engine::Limits;
use lingqian_wechat::settings::RailKind;

use crate::action::{Action, Pass};
use crate::dice::Dice;
use crate::fault::{StoreFault, WechatFault};
use crate::script::{Line, Script, Turns};
use crate::world::{Payer, Settings, usual_policy};

/// How often, in a thousand actions, each sort of fault comes where a seed has it.
struct Rates {
    wechat: u32,
    store: u32,
    notice: u32,
    forge: u32,
    bill: u32,
    crash: u32,
    pause: u32,
    clock: u32,
    float: u32,
    hook: u32,
}

struct Workload {
    dice: Dice,
    users: u64,
    processes: usize,
    rates: Rates,
    wechat: Vec<WechatFault>,
    store: Vec<StoreFault>,
    merchants: usize,
    hooks: usize,
    events: u64,
    /// Names of earnings, as they were reported.
    earned: Vec<String>,
    withdrawals: u64,
    /// Whether there are users with very much money.
    whales: bool,
    /// Whether all processes are down for days at a time.
    outages: bool,
    /// How often, in a thousand actions, people do something by hand.
    hands: u32,
    lines: Vec<Line>,
}

/// The script of a seed, with about so many actions.
#[must_use]
pub fn script(seed: u64, steps: u64) -> Script {
    let mut dice = Dice::of(seed, "workload");
    let whales = dice.chance(120);
    let processes = 1 + dice.place(3);
    let mut settings = Settings {
        seed,
        lively: true,
        shows_locks: dice.chance(400),
        fast: dice.chance(100),
        trace: false,
        float: dice.within(20_000, 2_000_000),
        float2: dice.within(0, 200_000),
        merchants: payers(&mut dice),
        names: dice.chance(400),
        split: dice.chance(400),
        hooks: *dice.pick(&[0, 0, 1, 2, 3]),
        policy: Policy {
            user_day_count_max: *dice.pick(&[4, 10, 60, 60]),
            user_day_amount_max: Fen(*dice.pick(&[3_000, 20_000, 200_000])),
            ..usual_policy()
        },
        limits: Limits {
            claim_max: *dice.pick(&[1, 4, 256]),
            page_max: *dice.pick(&[2, 7, 1_000, 1_000]),
            watch_max: *dice.pick(&[2, 50]),
            ..Limits::default()
        },
    };
    limits(&mut settings, &mut dice, whales);
    let batches = |payer: &Payer| payer.product == RailKind::Batch;
    if settings.merchants.iter().any(batches) && dice.chance(500) {
        (settings.float, settings.float2) = (dice.within(0, 3_000), dice.within(0, 3_000));
    }
    let hands = if dice.chance(400) { 30 } else { 0 };
    let mut workload = Workload {
        users: 2 + dice.below(7),
        processes,
        rates: rates(&mut dice),
        wechat: some_of(&mut dice, WechatFault::ALL),
        store: some_of(&mut dice, StoreFault::ALL),
        merchants: settings.merchants.len(),
        hooks: settings.hooks,
        events: 0,
        earned: Vec::new(),
        withdrawals: 0,
        whales,
        outages: dice.chance(100),
        hands,
        lines: Vec::new(),
        dice,
    };
    workload.morning();
    while (workload.lines.len() as u64) < steps {
        workload.next();
    }
    Script {
        settings,
        lines: workload.lines,
    }
}

/// Limits that a seed sets otherwise.
fn limits(settings: &mut Settings, dice: &mut Dice, whales: bool) {
    if dice.chance(300) {
        settings.policy.review_from = Some(Fen(dice.within(200, 600)));
        settings.policy.second_from = dice.chance(600).then(|| Fen(dice.within(300, 700)));
        settings.policy.review_ms = dice.within(3_600_000, 3 * 86_400_000);
    }
    if dice.chance(150) {
        settings.policy.hold_ms = dice.within(2 * 3_600_000, 4 * 86_400_000);
    }
    if settings.split {
        // Balances are larger than one payout may be.
        settings.policy.payout_max = Fen(dice.within(150, 1_500));
    }
    settings.policy.attempts_max = *dice.pick(&[1, 3, 3, 5]);
    if whales {
        let all = Fen(9_000_000_000);
        settings.policy.payout_max = all;
        settings.policy.user_day_amount_max = Fen(all.0 * 3);
        settings.policy.name_required_from = *dice.pick(&[Fen(200_000), Fen(all.0 + 1)]);
        settings.names = true;
        settings.float = all.0 * 10;
        settings.float2 = all.0;
    }
}

/// Who pays: one merchant, or two that share it and may have quotas.
fn payers(dice: &mut Dice) -> Vec<Payer> {
    let count = if dice.chance(450) { 2 } else { 1 };
    let shares = *dice.pick(&[[1, 1], [1, 9], [3, 1], [0, 1], [1, 0]]);
    let payer = |place: usize| {
        let quota = dice.chance(250).then(|| Fen(dice.within(300, 6_000)));
        let weight = if count == 1 { 1 } else { shares[place] };
        Payer {
            weight,
            quota,
            product: RailKind::Transfer,
            packs: 1,
        }
    };
    let mut payers: Vec<Payer> = (0..count).map(payer).collect();
    let products = [
        RailKind::Transfer,
        RailKind::Batch,
        RailKind::Enterprise,
        RailKind::RedPacket,
    ];
    if dice.chance(350) {
        for payer in &mut payers {
            payer.product = *dice.pick(&products);
            if payer.product == RailKind::Batch {
                payer.packs = *dice.pick(&[1, 2, 5, 1_000]);
            }
        }
    }
    payers
}

fn rates(dice: &mut Dice) -> Rates {
    let mut rate = |often: u32, max: i64| match dice.chance(often) {
        true => u32::try_from(dice.within(1, max)).unwrap_or(1),
        false => 0,
    };
    Rates {
        wechat: rate(800, 120),
        store: rate(600, 60),
        notice: rate(500, 40),
        forge: rate(300, 20),
        bill: rate(300, 10),
        crash: rate(700, 40),
        pause: rate(400, 20),
        clock: rate(300, 15),
        float: rate(300, 20),
        hook: rate(600, 60),
    }
}

fn some_of<T: Copy>(dice: &mut Dice, all: &[T]) -> Vec<T> {
    let often = *dice.pick(&[200, 500, 900]);
    let mut some: Vec<T> = all.iter().copied().filter(|_| dice.chance(often)).collect();
    if some.is_empty() {
        some.push(*dice.pick(all));
    }
    some
}

impl Workload {
    fn morning(&mut self) {
        for no in 2..=self.processes {
            self.add(Action::Start(no));
        }
        for user in 1..=self.users {
            self.calmly(Action::User(format!("u{user}")));
            let most = if self.whales {
                90_000_000_000_000
            } else {
                40_000_000
            };
            let micros = self.dice.within(1_000_000, most);
            self.earn(format!("u{user}"), micros);
        }
    }

    fn add(&mut self, action: Action) {
        let polls = match self.dice.below(10) {
            0..2 => self.dice.within(0, 3),
            2..7 => self.dice.within(3, 40),
            _ => 2_000,
        };
        let turns = Turns {
            salt: u32::try_from(self.dice.below(1 << 32)).unwrap_or(0),
            polls: u16::try_from(polls).unwrap_or(0),
        };
        self.lines.push(Line {
            action,
            turns: Some(turns),
        });
    }

    fn calmly(&mut self, action: Action) {
        self.lines.push(Line {
            action,
            turns: None,
        });
    }

    fn earn(&mut self, user: String, micros: i64) {
        self.events += 1;
        let kind = *self.dice.pick(&["e", "e", "e", "k", "o"]);
        let event = format!("{kind}{}", self.events);
        self.earned.push(event.clone());
        self.add(Action::Earn {
            event,
            user,
            micros,
        });
    }

    fn user(&mut self) -> String {
        format!("u{}", 1 + self.dice.below(self.users))
    }

    fn process(&mut self) -> usize {
        1 + self.dice.place(self.processes)
    }

    /// A withdrawal that was asked for, lately more often than long ago.
    fn name(&mut self) -> String {
        let back = self.dice.below(8).min(self.withdrawals.saturating_sub(1));
        let any = self.dice.below(self.withdrawals.max(1));
        let place = if self.dice.chance(800) { back } else { any };
        format!("w{}", self.withdrawals.saturating_sub(place))
    }

    fn next(&mut self) {
        if self.fault() {
            return;
        }
        if self.dice.chance(self.hands) {
            self.by_hand();
            return;
        }
        match self.dice.below(100) {
            0..12 => {
                let user = self.user();
                let micros = self.dice.within(1, 12_000_000);
                self.earn(user, micros);
            }
            12..34 => self.withdraw(),
            34..72 => {
                let passes = [
                    Pass::Assess,
                    Pass::Dispatch,
                    Pass::Dispatch,
                    Pass::Poll,
                    Pass::Cancel,
                    Pass::Wake,
                    Pass::Watch,
                ];
                let (mut pass, no) = (*self.dice.pick(&passes), self.process());
                if self.hooks > 0 && self.dice.chance(200) {
                    pass = Pass::Notify;
                }
                self.add(Action::Run(pass, no));
            }
            72..78 => self.add(Action::Work),
            78..90 => self.clock(),
            90..94 => self.add(Action::Retry),
            94..96 => {
                let name = self.name();
                self.add(Action::Cancel(name));
            }
            _ => self.seldom(),
        }
    }

    fn seldom(&mut self) {
        let user = self.user();
        match self.dice.below(9) {
            0 => self.add(Action::Freeze(user)),
            1 | 2 => self.add(Action::Thaw(user)),
            3 => {
                // Now and then a wallet that may be somebody else's.
                let whose = if self.dice.chance(200) {
                    self.user()
                } else {
                    user.clone()
                };
                let wallet = format!("o-{whose}-{}", self.dice.below(3));
                self.add(Action::Link(user, wallet));
            }
            4 => {
                let no = self.process();
                self.add(Action::Run(Pass::Sweep, no));
            }
            5 => {
                let no = self.process();
                self.add(Action::Run(Pass::Bills, no));
            }
            6 => self.gifts(&user),
            7 => {
                let place = self.dice.place(self.earned.len());
                let Some(of) = self.earned.get(place).cloned() else {
                    return;
                };
                let times = if self.dice.chance(300) { 3 } else { 1 };
                for _ in 0..times {
                    let event = format!("c{of}-{}", self.dice.below(4));
                    let micros = Some(self.dice.within(1, 5_000_000));
                    let of = of.clone();
                    self.add(Action::TakeBack { event, of, micros });
                }
            }
            // The same event again.
            _ => {
                let place = self.dice.place(self.lines.len());
                let earlier = self.lines[place].action.clone();
                if let Action::Earn {
                    event,
                    user,
                    micros,
                } = earlier
                {
                    // Now and then it says something else.
                    let micros = micros + i64::from(self.dice.chance(250));
                    self.add(Action::Earn {
                        event,
                        user,
                        micros,
                    });
                }
            }
        }
    }

    /// A gift, or as many in a row as somebody may not give in a day.
    fn gifts(&mut self, from: &str) {
        let row = self.dice.chance(400);
        let (count, most) = if row { (5, 200_000) } else { (1, 3_000_000) };
        for _ in 0..count {
            self.events += 1;
            let (event, to) = (format!("g{}", self.events), self.user());
            let micros = self.dice.within(1, most);
            let from = from.to_owned();
            self.add(Action::Gift {
                event,
                from,
                to,
                micros,
            });
        }
    }

    fn withdraw(&mut self) {
        let (user, amount) = (self.user(), self.amount());
        if self.withdrawals == 0 || self.dice.chance(880) {
            self.withdrawals += 1;
            let name = format!("w{}", self.withdrawals);
            self.add(Action::Withdraw { name, user, amount });
            return;
        }
        // A key is used again, mostly by the same request.
        let name = self.name();
        let earlier = self.lines.iter().find_map(|line| match &line.action {
            Action::Withdraw {
                name: known,
                user,
                amount,
            } if *known == name => Some((user.clone(), *amount)),
            _ => None,
        });
        let other = self.dice.chance(250);
        let (user, amount) = earlier.filter(|_| !other).unwrap_or((user, amount));
        self.add(Action::Withdraw { name, user, amount });
    }

    fn amount(&mut self) -> Option<Fen> {
        match self.dice.below(20) {
            0 => None,
            1 => Some(Fen(self.dice.within(1, 12))),
            2 => Some(Fen(self.dice.within(1_000, 30_000))),
            3..8 if self.whales => Some(Fen(self.dice.within(2_000_000_000, 5_000_000_000))),
            _ => Some(Fen(self.dice.within(10, 700))),
        }
    }

    fn clock(&mut self) {
        let ms = match self.dice.below(100) {
            0..50 => self.dice.within(100, 5_000),
            50..80 => self.dice.within(5_000, 90_000),
            80..95 => self.dice.within(60_000, 20 * 60_000),
            95..99 => self.dice.within(3_600_000, 6 * 3_600_000),
            _ => self.dice.within(20 * 3_600_000, 30 * 3_600_000),
        };
        self.add(Action::Clock(ms));
    }
}
