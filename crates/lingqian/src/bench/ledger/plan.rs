//! The load in batches, and what the books must say after it. The sums are the generator's own:
//! they come from the events, never from an answer of the store.

use std::collections::VecDeque;

use lingqian_core::EventBatch;
use lingqian_core::money::{Fen, Micros};

use crate::bench::ledger::model::{Balance, Fate, Happened, Model};
use crate::bench::load::Load;
use crate::bench::mix::{Mix, Next};
use crate::bench::options::{Habit, LedgerOptions, Share};

/// From this balance on a user may ask for money: the smallest payout of the ordinary policy.
const RIPE: Micros = Micros(100_000);

/// So many days pass in the full mix.
const DAYS: u64 = 8;

/// One wish of so many is for a fen more than there is, in the full mix.
const GREEDY: u64 = 64;

/// Some whole fen of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Whose.
    pub(crate) user: u32,
    /// How much.
    pub(crate) amount: Fen,
}

/// What travels together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Its place, from zero.
    pub(crate) number: u64,
    /// The day on which it is handed in, from zero.
    pub(crate) day: u16,
    /// Earning events.
    pub(crate) events: EventBatch,
    /// What must come of each, in the full mix.
    pub(crate) fates: Vec<Fate>,
    /// Withdrawals of money that earlier batches brought; those were answered by then.
    pub(crate) wishes: Vec<Wish>,
}

/// What came, or must come, of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events that were credited.
    pub(crate) credited: u64,
    /// Events that had been credited before.
    pub(crate) duplicates: u64,
    /// Events that were refused.
    pub(crate) refused: u64,
    /// What was credited, in micro-yuan.
    pub(crate) micros: i128,
    /// Withdrawals that were accepted.
    pub(crate) withdrawn: u64,
    /// Withdrawals that were refused.
    pub(crate) not_withdrawn: u64,
    /// What was set aside, in fen.
    pub(crate) fen: i128,
    /// Events with another answer than the one that was expected in their place.
    pub(crate) otherwise: u64,
}

impl Tally {
    /// Earnings and holds that were booked.
    pub(crate) fn entries(&self) -> u64 {
        self.credited + self.withdrawn
    }

    /// Events that were answered.
    pub(crate) fn events(&self) -> u64 {
        self.credited + self.duplicates + self.refused
    }

    /// More of it.
    pub(crate) fn add(&mut self, more: &Tally) {
        self.credited += more.credited;
        self.duplicates += more.duplicates;
        self.refused += more.refused;
        self.micros += more.micros;
        self.withdrawn += more.withdrawn;
        self.not_withdrawn += more.not_withdrawn;
        self.otherwise += more.otherwise;
        self.fen += more.fen;
    }
}

/// Makes the batches one after the other.
pub(crate) struct Plan<'a> {
    load: &'a Load,
    mix: Mix,
    /// Entries that are still to come, and how many there will be.
    left: u64,
    all: u64,
    batch: u64,
    made: u64,
    in_flight: u64,
    withdrawals: Share,
    /// Withdrawals that were due and had nobody ripe to make them, in millionths.
    due: u64,
    /// Who may withdraw how much, and which batch made it so.
    ripe: VecDeque<(u64, Wish)>,
    waits: Vec<bool>,
    wished: u64,
    full: bool,
    expected: Tally,
    model: Model,
}

/// A queue in which every user finds room. It is in memory from the start, so that it is not in what
/// grows with the entries: a user waits in it once.
fn room_for(users: usize) -> VecDeque<(u64, Wish)> {
    let nobody = Wish {
        user: 0,
        amount: Fen(0),
    };
    let mut room = VecDeque::from(vec![(u64::MAX, nobody); users]);
    room.clear();
    room
}

impl<'a> Plan<'a> {
    /// A plan over a load.
    pub(crate) fn new(load: &'a Load, options: &LedgerOptions) -> Plan<'a> {
        let users = load.users() as usize;
        Plan {
            load,
            mix: Mix::new(options.seed, 0, options.duplicates),
            left: options.entries,
            all: options.entries,
            batch: u64::from(options.batch),
            made: 0,
            in_flight: u64::from(options.in_flight),
            withdrawals: options.withdrawals,
            due: 0,
            ripe: room_for(users),
            waits: vec![false; users],
            wished: 0,
            full: options.mix == Habit::Full,
            expected: Tally::default(),
            // Some are refused and counted among the new ones all the same.
            model: Model::new(options.mix, users, options.entries * 2),
        }
    }

    /// What must have come of everything that was made so far.
    pub(crate) fn expected(&self) -> Tally {
        self.expected
    }

    /// What every user must have by then.
    pub(crate) fn balances(&self) -> &[Balance] {
        self.model.balances()
    }

    /// How often what happened.
    pub(crate) fn happened(&self) -> &Happened {
        &self.model.happened
    }

    /// The next batches with so many events together; none when the plan is fulfilled.
    pub(crate) fn slice(&mut self, events: u64) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut made = 0;
        while made < events
            && let Some(mut batch) = self.begin()
        {
            self.fill(&mut batch);
            made += batch.events.len() as u64;
            batches.push(batch);
        }
        batches
    }

    /// The next batch with its withdrawals, which take effect before its events; none when the
    /// plan is fulfilled.
    pub(crate) fn begin(&mut self) -> Option<Batch> {
        if self.left == 0 {
            return None;
        }
        // The days are of one length.
        let day = (self.all - self.left) * DAYS / self.all;
        let mut batch = Batch {
            number: self.made,
            day: u16::try_from(day).unwrap_or(0),
            events: EventBatch::with_capacity(usize::try_from(self.batch).unwrap_or(0)),
            ..Batch::default()
        };
        batch.wishes = self.wishes(batch.day);
        Some(batch)
    }

    /// Its events.
    pub(crate) fn fill(&mut self, batch: &mut Batch) {
        while (batch.events.len() as u64) < self.batch && self.left > 0 {
            let (number, stranger) = match self.mix.draw() {
                Next::New(number) | Next::Again(number) if self.full => (number, false),
                Next::New(number) => (number, false),
                Next::Again(number) => {
                    self.push(&mut batch.events, number, false);
                    self.expected.duplicates += 1;
                    continue;
                }
                Next::Refused(number) => (number, true),
            };
            self.push(&mut batch.events, number, stranger);
            let fate = if stranger {
                self.model.stranger()
            } else {
                self.book(number, batch.day)
            };
            match fate {
                Fate::Now(amount) => {
                    self.expected.credited += 1;
                    self.expected.micros += i128::from(amount.0);
                    self.left -= 1;
                }
                Fate::Before => self.expected.duplicates += 1,
                Fate::Refused(_) => self.expected.refused += 1,
            }
            if self.full {
                batch.fates.push(fate);
            }
        }
        self.made += 1;
    }

    fn push(&self, events: &mut EventBatch, number: u64, refused: bool) {
        let event = self.load.event(number);
        let pushed = self.load.view(&event, refused, |view| events.push(view));
        pushed.expect("made-up events are well formed");
    }

    fn book(&mut self, number: u64, day: u16) -> Fate {
        let event = self.load.event(number);
        let fate = self.model.event(&event, day);
        self.ripen(event.user, day);
        fate
    }

    /// A user whose balance has become worth a payout waits for one, once.
    fn ripen(&mut self, user: u32, day: u16) {
        let spendable = self.model.spendable(user, day);
        let waits = &mut self.waits[user as usize];
        if spendable >= RIPE && !*waits && self.withdrawals.0 > 0 {
            *waits = true;
            let amount = spendable.whole_fen();
            self.ripe.push_back((self.made, Wish { user, amount }));
        }
    }

    /// Withdrawals for the next batch: their share, of money whose batch was answered before.
    fn wishes(&mut self, day: u16) -> Vec<Wish> {
        let whole = u64::from(Share::WHOLE);
        let share = u64::from(self.withdrawals.0);
        self.due += self.batch * share * whole / (whole - share);
        let mut wishes = Vec::new();
        while self.due >= whole && self.left > 0 {
            let answered = |(batch, _): &(u64, Wish)| batch + self.in_flight <= self.made;
            let Some((_, mut wish)) = self.ripe.pop_front_if(|ripe| answered(ripe)) else {
                break;
            };
            self.waits[wish.user as usize] = false;
            if self.full {
                // Meanwhile some of it may have gone elsewhere.
                let spendable = self.model.spendable(wish.user, day);
                if spendable < RIPE {
                    continue;
                }
                self.wished += 1;
                let greedy = i64::from(self.wished.is_multiple_of(GREEDY));
                wish.amount = Fen(spendable.whole_fen().0 + greedy);
            }
            if self.model.set_aside(wish.user, wish.amount, day) {
                self.due -= whole;
                self.left -= 1;
                self.expected.withdrawn += 1;
                self.expected.fen += i128::from(wish.amount.0);
            } else {
                self.expected.not_withdrawn += 1;
            }
            wishes.push(wish);
            self.ripen(wish.user, day);
        }
        wishes
    }
}
