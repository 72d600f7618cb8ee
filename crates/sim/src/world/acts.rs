//! What each action does.

use lingqian_io::{Browse, Store};

use super::people::amount;
use super::{Wish, World, mchid};
use crate::action::{Action, Pass};
use crate::dice::Dice;
use crate::text::read_yuan;
use crate::wechat::name_of;

/// Passes that move payouts.
const WORK: [Pass; 7] = [
    Pass::Assess,
    Pass::Expire,
    Pass::Wake,
    Pass::Dispatch,
    Pass::Poll,
    Pass::Cancel,
    Pass::Notify,
];

/// What the app knows a user to be called: a few have told it nothing, a few something wrong.
fn real_name(user: &str) -> Option<Vec<u8>> {
    match user.bytes().last() {
        Some(b'3') => None,
        Some(b'4') => Some(b"somebody else".to_vec()),
        _ => Some(name_of(&format!("o-{user}"))),
    }
}

impl<S: Store + Browse + Clone> World<S> {
    /// Does what an action says. With dice, whoever is chosen is chosen by them.
    pub(crate) fn act(&mut self, action: &Action, mut dice: Option<&mut Dice>) {
        self.tally.actions += 1;
        match action {
            Action::User(user) => {
                let name = self.settings.names.then(|| real_name(user)).flatten();
                self.wish(Wish::Register(user.clone(), name), dice.as_deref_mut());
                let wallet = format!("o-{user}");
                self.run(None, usize::MAX);
                self.wish(Wish::Link(user.clone(), wallet), dice);
            }
            Action::Link(user, wallet) => self.wish(Wish::Link(user.clone(), wallet.clone()), dice),
            Action::Earn { .. }
            | Action::Gift { .. }
            | Action::TakeBack { .. }
            | Action::Withdraw { .. }
            | Action::Cancel(_)
            | Action::Act(..)
            | Action::Stop(..)
            | Action::Freeze(_)
            | Action::Thaw(_) => self.asked(action, dice),
            Action::Retry => self.retry(dice),
            Action::Confirm(name) => self.confirm(name),
            Action::Close(name, reason) => self.close(name, reason),
            Action::Wechat(fault) => self.scene.lock().wechat.faults.add(*fault),
            Action::Store(fault) => self.scene.lock().store_faults.add(*fault),
            Action::Notice(fault) => self.scene.lock().wechat.notice_faults.add(*fault),
            Action::Hook(fault) => self.scene.lock().hook_faults.add(*fault),
            Action::Bill(fault) => self.scene.lock().wechat.bill_faults.add(*fault),
            Action::Forge(forgery, name) => {
                let mut shared = self.scene.lock();
                let number = shared.oracle.payout_named(name);
                let number = number.and_then(|payout| shared.oracle.number_of(payout));
                let now = shared.now;
                if let Some(number) = number {
                    shared.wechat.forge(now, *forgery, number);
                }
            }
            Action::Float(micros, merchant) => {
                let mut shared = self.scene.lock();
                let now = shared.now;
                shared
                    .wechat
                    .top_up(now, &mchid(*merchant), *micros / 10_000);
            }
            Action::Calm => self.calm(),
            Action::Expect(what, is) => self.expect(what, is),
            _ => self.machine(action),
        }
        self.run_due();
    }

    /// What is due at this very moment.
    fn run_due(&mut self) {
        let now = self.scene.lock().now;
        self.happen(now);
    }

    fn asked(&mut self, action: &Action, dice: Option<&mut Dice>) {
        let wish = match action.clone() {
            Action::Earn {
                event,
                user,
                micros,
            } => Wish::Earn {
                event,
                user,
                from: None,
                micros,
            },
            Action::Gift {
                event,
                from,
                to,
                micros,
            } => Wish::Earn {
                event,
                user: to,
                from: Some(from),
                micros,
            },
            Action::TakeBack { event, of, micros } => {
                let user = self
                    .requests
                    .iter()
                    .find_map(|request| match &request.wish {
                        Wish::Earn { event, user, .. } if *event == of => Some(user.clone()),
                        _ => None,
                    });
                let Some(user) = user else { return };
                Wish::TakeBack {
                    event,
                    of,
                    user,
                    micros,
                }
            }
            Action::Withdraw { name, user, amount } => Wish::Withdraw { name, user, amount },
            Action::Cancel(name) => {
                let Some(payout) = self.known.get(&name).copied() else {
                    return;
                };
                Wish::Cancel(name, payout)
            }
            Action::Act(what, name, who) => {
                let Some(payout) = self.scene.lock().oracle.payout_named(&name) else {
                    return;
                };
                Wish::Act {
                    what,
                    name,
                    payout,
                    who,
                }
            }
            Action::Stop(on, scope, who) => Wish::Stop { on, scope, who },
            Action::Freeze(user) => Wish::Freeze(user, true),
            Action::Thaw(user) => Wish::Freeze(user, false),
            _ => return,
        };
        self.wish(wish, dice);
    }

    fn machine(&mut self, action: &Action) {
        let place = |no: &usize| no.saturating_sub(1);
        match action {
            Action::Run(pass, no) => self.begin(*pass, place(no)),
            Action::Work => {
                for no in self.alive() {
                    for pass in WORK {
                        self.begin(pass, no);
                    }
                }
            }
            Action::CrashIn(pass, at, no) => {
                self.fuse(place(no), *at);
                self.begin(*pass, place(no));
            }
            Action::CrashAfter(moments, no) => self.fuse(place(no), *moments),
            Action::Crash(no) => self.crash(place(no)),
            Action::Start(no) => self.start(place(no)),
            Action::Pause(no) | Action::Resume(no) => {
                if let Some(process) = self.processes.get_mut(place(no)) {
                    process.paused = matches!(action, Action::Pause(_)) && process.alive.is_some();
                }
            }
            Action::Clock(ms) => self.advance(*ms),
            Action::Jump(no, ms) => self.jump(place(no), *ms, false),
            Action::WireJump(no, ms) => self.jump(place(no), *ms, true),
            _ => {}
        }
    }

    /// A process dies so many moments from now.
    pub(crate) fn fuse(&mut self, no: usize, moments: u64) {
        if let Some(life) = self.scene.lock().lives.get_mut(no) {
            life.fuse = Some(life.moments + moments.max(1));
        }
    }

    /// A user does what a story says, if the app can show the page.
    fn confirm(&mut self, name: &str) {
        let mut shared = self.scene.lock();
        let number = shared.oracle.payout_named(name);
        let number = number.and_then(|payout| shared.oracle.number_of(payout));
        let Some(number) = number else { return };
        let shown = shared.is_shown(number) || shared.wechat.is_packet(number);
        let now = shared.now;
        let confirmed = shared.wechat.person_confirms(now, number, shown);
        shared.hear();
        if !confirmed {
            shared.tell(|| format!("  there is no page to confirm {name} on"));
        }
    }

    fn close(&mut self, name: &str, reason: &str) {
        let mut shared = self.scene.lock();
        let number = shared.oracle.payout_named(name);
        let number = number.and_then(|payout| shared.oracle.number_of(payout));
        let Some(number) = number else { return };
        let now = shared.now;
        if shared
            .wechat
            .stands(number)
            .is_some_and(|stand| !stand.is_final())
        {
            shared
                .wechat
                .end(now, number, crate::wechat::Stand::Fail, Some(reason));
        }
        shared.hear();
    }

    /// A story says what must be.
    fn expect(&mut self, what: &str, is: &str) {
        let found = self.found_for(what, is);
        let holds = found == is;
        let mut shared = self.scene.lock();
        shared.oracle.check(holds, "expectation", || {
            format!("{what} is {found}, expected {is}")
        });
    }

    fn found_for(&self, what: &str, is: &str) -> String {
        let words: Vec<&str> = is.split(' ').collect();
        if let Some(wallet) = self.wallet(what) {
            let (word, micros) = match words.as_slice() {
                ["held", _] => ("held ", wallet.held),
                ["owes", _] => ("owes ", wallet.owed),
                _ => ("", wallet.available),
            };
            let wanted = words.last().and_then(|text| read_yuan(text)).map(amount);
            return if wanted == Some(micros) {
                is.to_owned()
            } else {
                format!("{word}{}", crate::text::yuan(micros.0))
            };
        }
        let shared = self.scene.lock();
        let payout = shared.oracle.payout_named(what);
        let watched = payout.and_then(|payout| shared.oracle.payouts.get(&payout));
        watched.map_or_else(
            || "nowhere".to_owned(),
            |watched| watched.payout.state.name().replace('_', " "),
        )
    }
}
