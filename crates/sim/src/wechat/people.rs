//! What users do with the money that waits for them. Who they are is decided by the seed and
//! their wallet's name; in stories they do only what they are told.

use lingqian_core::id::OutBillNo;
use lingqian_core::time::Timestamp;

use super::{Event, Stand, Wechat};
use crate::dice::Dice;

/// How somebody deals with a page that wants to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temper {
    Prompt,
    Slow,
    Never,
    /// Confirms at the last moment, when the money is about to be taken away again.
    Racer,
}

impl Wechat {
    fn temper(&self, number: OutBillNo) -> Temper {
        let Some(transfer) = self.transfers.get(&number) else {
            return Temper::Never;
        };
        match Dice::of(self.seed, transfer.order.openid.expose()).below(10) {
            0..5 => Temper::Prompt,
            5..7 => Temper::Slow,
            7..8 => Temper::Never,
            _ => Temper::Racer,
        }
    }

    /// Whether this user confirms by and by, once the page is shown.
    pub(crate) fn is_willing(&self, number: OutBillNo) -> bool {
        self.lively && matches!(self.temper(number), Temper::Prompt | Temper::Slow)
    }

    /// The user may see it from now on.
    pub(super) fn person_sees(&mut self, now: Timestamp, number: OutBillNo) {
        if !self.lively {
            return;
        }
        let mut dice = Dice::of(self.seed, &number.to_string());
        let after = match self.temper(number) {
            Temper::Prompt => dice.within(0, 60_000),
            Temper::Slow => dice.within(60_000, 4 * 3_600_000),
            Temper::Never | Temper::Racer => return,
        };
        self.schedule(now.after_ms(after), Event::Confirm(number));
    }

    /// The user confirms, if the app has shown the page; otherwise looks again later.
    pub(crate) fn person_confirms(
        &mut self,
        now: Timestamp,
        number: OutBillNo,
        shown: bool,
    ) -> bool {
        if self.stands(number) != Some(Stand::WaitUserConfirm) {
            return false;
        }
        if !shown {
            if self.lively {
                self.schedule(now.after_ms(5 * 60_000), Event::Confirm(number));
            }
            return false;
        }
        self.moves(now, number, Stand::Transfering);
        let mut dice = Dice::of(self.seed ^ 1, &number.to_string());
        let after = if self.lively {
            dice.within(0, 30_000)
        } else {
            1_000
        };
        self.schedule(now.after_ms(after), Event::Pay(number));
        true
    }

    pub(super) fn person_races(&self, number: OutBillNo) -> bool {
        self.lively && self.temper(number) == Temper::Racer
    }

    /// Why the wallet refuses the money after all, now and then.
    pub(super) fn person_fails(&self, number: OutBillNo) -> Option<&'static str> {
        let mut dice = Dice::of(self.seed ^ 2, &number.to_string());
        (self.lively && dice.chance(20)).then_some("DAY_RECEIVED_QUOTA_EXCEED")
    }
}
