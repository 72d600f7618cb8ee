//! What the app and the operator ask for, and what they make of the answers. Whoever gets no
//! answer does not know, and asks again in the same words.

use lingqian_core::command::{Command, IdempotencyKey, Manual};
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::{EventId, KindCode, PayoutId, Reference, Source, UserId};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::Asked;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{EventView, Outcome};
use lingqian_engine::ingest::{Door, ItemResult, Items, ingest};
use lingqian_engine::{Desk, link};
use lingqian_io::{Browse, Clock as _, Fault, Ports, Store};

use super::{MCHID, SCENE, World};
use crate::dice::{Dice, named};
use crate::ports::SimPorts;
use crate::scene::Scene;
use crate::tasks::Label;
use crate::text::yuan;

/// Something that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Register(String),
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

/// The parts of a living process that a request needs.
struct Service<S> {
    ports: SimPorts<S>,
    desk: Desk,
    scene: Scene,
    /// What is new about this try.
    chance: u64,
}

fn user_id(name: &str) -> UserId {
    UserId::parse(name).expect("names of users are ids")
}

/// An act of somebody, with the only reason that anybody gives here.
fn act(who: &str) -> Act {
    let actor = Actor::parse(&format!("cli:{who}")).expect("names of people are actors");
    Act::new(actor, "the story says so").expect("a reason")
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

impl<S: Store + Browse + Clone> Service<S> {
    async fn serve(&self, wish: &Wish) -> Result<(), Fault> {
        match wish {
            Wish::Register(user) => {
                let user = user_id(user);
                self.plainly("registering", Command::RegisterUser { user, name: None })
                    .await
            }
            Wish::Freeze(user, frozen) => {
                let (user, frozen) = (user_id(user), *frozen);
                self.plainly("freezing", Command::SetFrozen { user, frozen })
                    .await
            }
            Wish::Cancel(name, payout) => self.plainly(name, Command::CancelPayout(*payout)).await,
            Wish::Act {
                what,
                name,
                payout,
                who,
            } => {
                let act = act(who);
                let (payout, what) = (*payout, *what);
                self.plainly(name, Command::Manual { payout, what, act })
                    .await
            }
            Wish::Stop { on, scope, who } => {
                // What the audit stopped is a merchant, too.
                let audit = scope == "audit";
                let scope = match scope.as_str() {
                    "merchant" | "audit" => Scope::parse(&format!("merchant:{MCHID}")),
                    "scene" => Scope::parse(&format!("scene:{SCENE}")),
                    all => Scope::parse(all),
                };
                let scope = scope.expect("stories name scopes that there are");
                let cause = if audit {
                    StopCause::Audit
                } else {
                    StopCause::Person
                };
                let (on, act) = (*on, act(who));
                self.plainly(
                    "stopping",
                    Command::SetStop {
                        scope,
                        cause,
                        on,
                        act,
                    },
                )
                .await
            }
            Wish::Link(user, wallet) => self.link(user, wallet).await,
            Wish::Withdraw { name, user, amount } => self.withdraw(name, user, *amount).await,
            Wish::Earn {
                event,
                user,
                from,
                micros,
            } => self.earn(event, (user, from.as_deref()), *micros).await,
            Wish::TakeBack {
                event,
                of,
                user,
                micros,
            } => self.take_back(event, of, user, *micros).await,
        }
    }

    async fn plainly(&self, what: &str, command: Command) -> Result<(), Fault> {
        if let Err(rejection) = self.desk.submit(command).await? {
            let mut shared = self.scene.lock();
            shared.tell(|| format!("  {what} is refused: {}", rejection.code()));
        }
        Ok(())
    }

    async fn link(&self, user: &str, wallet: &str) -> Result<(), Fault> {
        let page = "https://app.example/linked";
        let started = link::start(&self.ports, &self.desk, user_id(user), page).await?;
        let Ok(started) = started else { return Ok(()) };
        let state = started.authorize_url.rsplit('=').next().unwrap_or_default();
        let code = format!("{wallet}#{}", self.chance);
        match link::finish(&self.ports, &self.desk, state, &code).await {
            Ok(_) => Ok(()),
            Err(link::LinkFault::Fault(fault)) => Err(fault),
            Err(link::LinkFault::Identity(fault)) => Err(Fault::Retry(fault.to_string())),
            Err(link::LinkFault::Rejection(rejection)) => {
                let mut shared = self.scene.lock();
                shared.tell(|| format!("  linking is refused: {}", rejection.code()));
                Ok(())
            }
        }
    }

    async fn withdraw(&self, name: &str, user: &str, amount: Option<Fen>) -> Result<(), Fault> {
        let now = self.ports.clock().business();
        let body = format!("{user} {amount:?}");
        let digest = {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&named(1, &body).to_be_bytes());
            digest
        };
        let key = IdempotencyKey {
            scope: "POST /v1/withdrawals".into(),
            key: name.into(),
        };
        let payout = PayoutId::new(now, u128::from(self.chance) << 8);
        let request = Withdrawal {
            payout,
            user: user_id(user),
            wanted: amount.map_or(Wanted::All, Wanted::Exactly),
            reference: Reference::parse(name).expect("names of withdrawals are references"),
            asked: Asked::ByRequest,
            key: Some((key, digest)),
        };
        let told = self.scene.lock().oracle.is_acknowledged(name);
        let answer = self
            .desk
            .submit(Command::Withdraw(Box::new(request)))
            .await?;
        let mut shared = self.scene.lock();
        shared.oracle.withdrawn(name, (digest, told), &answer);
        shared.tell(|| match &answer {
            Ok(Outcome::Withdrawn {
                amount, replayed, ..
            }) => {
                let again = if *replayed { ", as before" } else { "" };
                format!(
                    "  {name} is accepted with {}{again}",
                    yuan(amount.0 * 10_000)
                )
            }
            Ok(other) => format!("  {name} is answered with {other:?}"),
            Err(rejection) => format!("  {name} is refused: {}", rejection.code()),
        });
        Ok(())
    }

    async fn earn(
        &self,
        event: &str,
        (user, from): (&str, Option<&str>),
        micros: i64,
    ) -> Result<(), Fault> {
        let view = EventView {
            source: "app",
            event_id: event,
            user,
            kind: if from.is_some() { "gift" } else { "task" },
            amount: Some(Micros(micros)),
            occurred_at: None,
            from,
            reverses: None,
        };
        let Some(amount) = self.ingest(event, &view).await? else {
            return Ok(());
        };
        let amount = amount.unwrap_or(micros);
        let mut adds = vec![(user, amount)];
        adds.extend(from.map(|from| (from, -amount)));
        self.scene.lock().model.credited(event, &adds);
        Ok(())
    }

    async fn take_back(
        &self,
        event: &str,
        of: &str,
        user: &str,
        micros: Option<i64>,
    ) -> Result<(), Fault> {
        let view = EventView {
            source: "app",
            event_id: event,
            user,
            kind: "task",
            amount: micros.map(Micros),
            occurred_at: None,
            from: None,
            reverses: Some(of),
        };
        if let Some(amount) = self.ingest(event, &view).await?
            && let Some(amount) = amount.or(micros)
        {
            self.scene.lock().model.credited(event, &[(user, -amount)]);
        }
        Ok(())
    }

    /// The amount, if it was credited now; nothing if it was refused.
    async fn ingest(
        &self,
        event: &str,
        view: &EventView<'_>,
    ) -> Result<Option<Option<i64>>, Fault> {
        debug_assert!(EventId::parse(event).is_ok() && KindCode::parse(view.kind).is_ok());
        let mut items = Items::with_capacity(1);
        items.push(1, 0..event.len(), Ok(view));
        let door = Door {
            name: "sim",
            unit: "item",
        };
        let done = ingest(&self.ports, &self.desk, door, event.as_bytes(), items).await?;
        let result = done.iter().next().map(|(_, result)| result);
        let mut shared = self.scene.lock();
        let key = format!("{}/{event}", Source::parse("app").expect("a source"));
        Ok(match result {
            Some(ItemResult::Credited { amount }) => {
                shared.oracle.credited(&key);
                shared.tell(|| format!("  {event} is credited with {}", yuan(amount.0)));
                Some(Some(amount.0))
            }
            Some(ItemResult::Duplicate) => {
                shared.oracle.credited(&key);
                shared.tell(|| format!("  {event} was credited before"));
                Some(None)
            }
            Some(ItemResult::Rejected { code, .. }) => {
                let code = code.to_owned();
                shared.tell(|| format!("  {event} is refused: {code}"));
                None
            }
            None => None,
        })
    }
}
