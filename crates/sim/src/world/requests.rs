//! What the app and the operator ask for, and what they make of the answers. Whoever gets no
//! answer does not know, and asks again in the same words.

use lingqian_core::command::Manual;
use lingqian_core::id::PayoutId;
use lingqian_core::money::Fen;
use lingqian_io::{Browse, Fault, Store};

use super::World;
use super::serve::Service;
use crate::dice::{Dice, named};
use crate::tasks::Label;

/// Something that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// With the real name, where there is one.
    Register(String, Option<Vec<u8>>),
    Link(String, String),
    Earn {
        event: String,
        user: String,
        from: Option<String>,
        micros: i64,
    },
    TakeBack {
        event: String,
        of: String,
        user: String,
        micros: Option<i64>,
    },
    Withdraw {
        name: String,
        user: String,
        amount: Option<Fen>,
    },
    Cancel(String, PayoutId),
    Freeze(String, bool),
    Act {
        what: Manual,
        name: String,
        payout: PayoutId,
        who: String,
    },
    Stop {
        on: bool,
        scope: String,
        who: String,
    },
}

/// A wish, and whether it was answered.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) answered: bool,
    pub(crate) in_flight: bool,
    tries: u64,
}

impl<S: Store + Browse + Clone> World<S> {
    /// Somebody wants something, now and until it is answered.
    pub(crate) fn wish(&mut self, wish: Wish, dice: Option<&mut Dice>) {
        self.requests.push(Request {
            wish,
            answered: false,
            in_flight: false,
            tries: 0,
        });
        self.ask(self.requests.len() - 1, dice);
    }

    /// Everything that was not answered is asked again.
    pub(crate) fn retry(&mut self, mut dice: Option<&mut Dice>) {
        for place in 0..self.requests.len() {
            let request = &self.requests[place];
            if !request.answered && !request.in_flight {
                self.ask(place, dice.as_deref_mut());
            }
        }
    }

    /// Whether nobody waits for an answer.
    pub(crate) fn is_answered(&self) -> bool {
        self.requests.iter().all(|request| request.answered)
    }

    fn ask(&mut self, place: usize, dice: Option<&mut Dice>) {
        let alive = self.alive();
        let no = match dice {
            Some(dice) => alive.get(dice.place(alive.len())),
            None => alive.first(),
        };
        let Some((no, (ports, desk))) = no.and_then(|no| {
            let alive = self.processes[*no].alive.as_ref()?;
            Some((*no, alive.clone()))
        }) else {
            return;
        };
        let request = &mut self.requests[place];
        request.in_flight = true;
        request.tries += 1;
        let service = Service {
            ports,
            desk,
            scene: self.scene.clone(),
            chance: named(
                self.settings.seed ^ request.tries,
                &format!("{:?}", request.wish),
            ),
        };
        let (scene, wish) = (self.scene.clone(), request.wish.clone());
        self.tasks.add(no, Label::Request(place), async move {
            let done = service.serve(&wish).await;
            let again = match done {
                Ok(()) => false,
                Err(fault) => {
                    let mut shared = scene.lock();
                    let broken = matches!(fault, Fault::Broken(_));
                    shared
                        .oracle
                        .check(!broken, "nothing_is_broken", || fault.to_string());
                    shared.tell(|| format!("  no answer: {}", fault.code()));
                    true
                }
            };
            scene.lock().inbox.push((Label::Request(place), again));
        });
    }

    /// What came to an end since the last poll.
    pub(super) fn hear(&mut self) {
        let inbox = std::mem::take(&mut self.scene.lock().inbox);
        for (label, again) in inbox {
            match label {
                Label::Request(place) => {
                    let request = &mut self.requests[place];
                    request.in_flight = false;
                    request.answered = !again;
                    if let (Wish::Withdraw { name, .. }, true) = (&request.wish, request.answered) {
                        let payout = self.scene.lock().oracle.payout_named(name);
                        self.known
                            .extend(payout.map(|payout| (name.clone(), payout)));
                    }
                }
                Label::Notice(id) => {
                    let mut shared = self.scene.lock();
                    let now = shared.now;
                    if again {
                        shared.wechat.not_taken(id, now);
                    }
                }
                Label::Desk | Label::Pass(_) => {}
            }
        }
    }
}
