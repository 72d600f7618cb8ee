//! What goes wrong in a script, and what people do by hand.

use lingqian_core::command::Manual;

use super::{Rates, Workload};
use crate::action::{Action, Pass};
use crate::fault::{BillFault, Forgery, HookFault, NoticeFault};

impl Workload {
    /// People act, and mostly lift again what they stopped.
    pub(super) fn by_hand(&mut self) {
        let who = (*self.dice.pick(&["ann", "bob"])).to_owned();
        if self.dice.chance(250) {
            let scopes = ["all", "merchant", "scene", "float", "merchant2", "scene2"];
            let known = if self.merchants > 1 { 6 } else { 4 };
            let scope = (*self.dice.pick(&scopes[..known])).to_owned();
            if scope == "float" {
                self.add(Action::Stop(false, scope, who));
                return;
            }
            self.add(Action::Stop(true, scope.clone(), who.clone()));
            self.add(Action::Work);
            self.clock();
            self.add(Action::Work);
            if self.dice.chance(800) {
                self.add(Action::Stop(false, scope, who));
            }
            return;
        }
        let (name, twice) = (self.name(), self.dice.chance(500));
        let what = if twice {
            Manual::Approve
        } else {
            *self.dice.pick(&Manual::ALL)
        };
        self.add(Action::Act(what, name.clone(), who));
        if twice {
            let who = (*self.dice.pick(&["ann", "bob"])).to_owned();
            self.add(Action::Act(what, name, who));
        }
    }

    /// Something goes wrong, if the dice say so.
    pub(super) fn fault(&mut self) -> bool {
        let Rates {
            wechat,
            store,
            notice,
            forge,
            bill,
            crash,
            pause,
            clock,
            float,
            hook,
        } = self.rates;
        if self.dice.chance(wechat) {
            let fault = *self.dice.pick(&self.wechat);
            self.add(Action::Wechat(fault));
        } else if self.dice.chance(store) {
            let fault = *self.dice.pick(&self.store);
            self.add(Action::Store(fault));
        } else if self.dice.chance(notice) {
            let fault = *self.dice.pick(NoticeFault::ALL);
            self.add(Action::Notice(fault));
        } else if self.hooks > 0 && self.dice.chance(hook) {
            let fault = *self.dice.pick(HookFault::ALL);
            self.add(Action::Hook(fault));
        } else if self.dice.chance(forge) {
            let (forgery, name) = (*self.dice.pick(Forgery::ALL), self.name());
            self.add(Action::Forge(forgery, name));
        } else if self.dice.chance(bill) {
            let (fault, no) = (*self.dice.pick(BillFault::ALL), self.process());
            self.add(Action::Bill(fault));
            self.add(Action::Run(Pass::Bills, no));
        } else if self.dice.chance(crash) {
            self.crash();
        } else if self.dice.chance(pause) {
            let no = self.process();
            self.add(Action::Pause(no));
            let ms = self.dice.within(1_000, 15 * 60_000);
            self.add(Action::Clock(ms));
            self.add(Action::Resume(no));
        } else if self.dice.chance(clock) {
            self.jump();
        } else if self.dice.chance(float) {
            let micros = self.dice.within(-4_000, 5_000) * 10_000;
            let merchant = 1 + self.dice.place(self.merchants);
            self.add(Action::Float(micros, merchant));
        } else {
            return false;
        }
        true
    }

    fn crash(&mut self) {
        let no = self.process();
        if self.outages && self.dice.chance(150) {
            (1..=self.processes).for_each(|no| self.add(Action::Crash(no)));
            let ms = self.dice.within(3_600_000, 80 * 3_600_000);
            self.add(Action::Clock(ms));
            (1..=self.processes).for_each(|no| self.add(Action::Start(no)));
            return;
        }
        if self.dice.chance(600) {
            let moments = self.dice.below(12) + 1;
            self.add(Action::CrashAfter(moments, no));
            self.add(Action::Work);
        } else {
            self.add(Action::Crash(no));
        }
        if self.dice.chance(500) {
            self.clock();
        }
        self.add(Action::Start(no));
        self.add(Action::Retry);
    }

    fn jump(&mut self) {
        let no = self.process();
        let ms = match self.dice.below(3) {
            0 => self.dice.within(-3_600_000, 0),
            1 => self.dice.within(0, 3_600_000),
            _ => self.dice.within(-400_000, 400_000),
        };
        if self.dice.chance(400) {
            self.add(Action::WireJump(no, ms));
            self.add(Action::Work);
            self.add(Action::WireJump(no, -ms));
        } else {
            self.add(Action::Jump(no, ms));
        }
    }
}
