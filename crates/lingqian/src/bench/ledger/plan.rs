//! The load in batches, and what the books must say after it. The sums are the generator's own:
//! they come from the events, never from an answer of the store.

use std::collections::VecDeque;

use fastrand::Rng;
use lingqian_core::EventBatch;
use lingqian_core::money::{Fen, Micros};

use crate::bench::load::Load;
use crate::bench::mix::{Mix, Next};
use crate::bench::options::{LedgerOptions, Share};

/// From this balance on a user may ask for money: the smallest payout of the ordinary policy.
const RIPE: Micros = Micros(100_000);

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
    /// Earning events.
    pub(crate) events: EventBatch,
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
    /// What was set aside, in fen.
    pub(crate) fen: i128,
}

impl Tally {
    /// Entries that are in the books.
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
        self.fen += more.fen;
    }
}

/// What one user must have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// What can be withdrawn.
    pub(crate) available: Micros,
    /// What is set aside.
    pub(crate) held: Micros,
}

impl Balance {
    fn earn(&mut self, amount: Micros) {
        self.available = self
            .available
            .plus(amount)
            .expect("sums of a bench are small");
    }

    fn set_aside(&mut self, amount: Fen) {
        let micros = amount.micros().expect("sums of a bench are small");
        self.available = self.available.minus(micros).expect("it was there");
        self.held = self.held.plus(micros).expect("sums of a bench are small");
    }
}

/// Makes the batches one after the other.
pub(crate) struct Plan<'a> {
    load: &'a Load,
    mix: Mix,
    rng: Rng,
    /// Entries that are still to come.
    left: u64,
    batch: u64,
    made: u64,
    in_flight: u64,
    withdrawals: Share,
    /// Withdrawals that were due and had nobody ripe to make them, in millionths.
    due: u64,
    /// Who may withdraw how much, and which batch made it so.
    ripe: VecDeque<(u64, Wish)>,
    waits: Vec<bool>,
    expected: Tally,
    balances: Vec<Balance>,
}

impl<'a> Plan<'a> {
    /// A plan over a load.
    pub(crate) fn new(load: &'a Load, options: &LedgerOptions) -> Plan<'a> {
        let users = load.users() as usize;
        Plan {
            load,
            mix: Mix::new(options.seed, 0, options.duplicates),
            rng: Rng::with_seed(options.seed),
            left: options.entries,
            batch: u64::from(options.batch),
            made: 0,
            in_flight: u64::from(options.in_flight),
            withdrawals: options.withdrawals,
            due: 0,
            ripe: VecDeque::new(),
            waits: vec![false; users],
            expected: Tally::default(),
            balances: vec![Balance::default(); users],
        }
    }

    /// What must have come of everything that was made so far.
    pub(crate) fn expected(&self) -> Tally {
        self.expected
    }

    /// What every user must have by then.
    pub(crate) fn balances(&self) -> &[Balance] {
        &self.balances
    }

    /// The next batches with so many events together; none when the plan is fulfilled.
    pub(crate) fn slice(&mut self, events: u64) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut made = 0;
        while made < events && self.left > 0 {
            let batch = self.next_batch();
            made += batch.events.len() as u64;
            batches.push(batch);
        }
        batches
    }

    fn next_batch(&mut self) -> Batch {
        let mut batch = Batch {
            number: self.made,
            events: EventBatch::with_capacity(usize::try_from(self.batch).unwrap_or(0)),
            wishes: Vec::new(),
        };
        batch.wishes = self.wishes();
        while (batch.events.len() as u64) < self.batch && self.left > 0 {
            match self.mix.draw() {
                Next::New(number) => {
                    self.push(&mut batch.events, number, false);
                    self.book(number);
                    self.left -= 1;
                }
                Next::Again(number) => {
                    self.push(&mut batch.events, number, false);
                    self.expected.duplicates += 1;
                }
                Next::Refused(number) => {
                    self.push(&mut batch.events, number, true);
                    self.expected.refused += 1;
                }
            }
        }
        self.made += 1;
        batch
    }

    fn push(&self, events: &mut EventBatch, number: u64, refused: bool) {
        let event = self.load.event(number);
        let pushed = self.load.view(&event, refused, |view| events.push(view));
        pushed.expect("made-up events are well formed");
    }

    fn book(&mut self, number: u64) {
        let event = self.load.event(number);
        self.expected.credited += 1;
        self.expected.micros += i128::from(event.brings.0);
        self.balances[event.user as usize].earn(event.brings);
        self.ripen(event.user);
    }

    /// A user whose balance has become worth a payout waits for one, once.
    fn ripen(&mut self, user: u32) {
        let Balance { available, .. } = self.balances[user as usize];
        let waits = &mut self.waits[user as usize];
        if available >= RIPE && !*waits && self.withdrawals.0 > 0 {
            *waits = true;
            let amount = available.whole_fen();
            self.ripe.push_back((self.made, Wish { user, amount }));
        }
    }

    /// Withdrawals for the next batch: their share, of money whose batch was answered before.
    fn wishes(&mut self) -> Vec<Wish> {
        let whole = u64::from(Share::WHOLE);
        let share = u64::from(self.withdrawals.0);
        self.due += self.batch * share * whole / (whole - share);
        let mut wishes = Vec::new();
        while self.due >= whole && self.left > 0 {
            let answered = |(batch, _): &(u64, Wish)| batch + self.in_flight <= self.made;
            let Some((_, wish)) = self.ripe.pop_front_if(|ripe| answered(ripe)) else {
                break;
            };
            self.due -= whole;
            self.left -= 1;
            self.balances[wish.user as usize].set_aside(wish.amount);
            self.waits[wish.user as usize] = false;
            self.expected.withdrawn += 1;
            self.expected.fen += i128::from(wish.amount.0);
            wishes.push(wish);
            self.ripen(wish.user);
        }
        wishes
    }

    /// Events of which nothing is expected and which are not meant to be sent: they take the
    /// memory that a slice takes, so that memory can be compared.
    pub(crate) fn spare(&mut self, events: u64) -> Vec<EventBatch> {
        let whole = self.batch.min(events).max(1);
        let batches = events.div_ceil(whole);
        let batch = |_| {
            let mut batch = EventBatch::with_capacity(usize::try_from(whole).unwrap_or(0));
            for _ in 0..whole {
                let number = self.rng.u64(0..crate::bench::mix::STREAM);
                self.push(&mut batch, number, false);
            }
            batch
        };
        (0..batches).map(batch).collect()
    }
}
