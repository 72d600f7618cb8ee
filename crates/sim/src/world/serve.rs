//! What each wish asks of the engine, and what is made of the answer.

use lingqian_core::command::{Command, IdempotencyKey};
use lingqian_core::control::{Act, Actor, Scope, StopCause};
use lingqian_core::id::{EventId, KindCode, PayoutId, Reference, Source, UserId};
use lingqian_core::money::{Fen, Micros};
use lingqian_core::payout::Asked;
use lingqian_core::user::Sealed;
use lingqian_core::withdrawal::{Wanted, Withdrawal};
use lingqian_core::{EventView, Outcome};
use lingqian_engine::ingest::{Door, ItemResult, Items, ingest};
use lingqian_engine::{Desk, link};
use lingqian_io::{Browse, Clock as _, Fault, Ports, Store};

use super::requests::Wish;
use super::{SCENES, mchid};
use crate::dice::named;
use crate::ports::SimPorts;
use crate::scene::Scene;
use crate::text::yuan;

/// The parts of a living process that a request needs.
pub(super) struct Service<S> {
    pub(super) ports: SimPorts<S>,
    pub(super) desk: Desk,
    pub(super) scene: Scene,
    /// What is new about this try.
    pub(super) chance: u64,
}

/// The scope and the cause of a stop, by a story's word.
pub(super) fn stopped(word: &str) -> (Scope, StopCause) {
    let cause = if word.starts_with("audit") {
        StopCause::Audit
    } else if word == "float" {
        StopCause::Float
    } else {
        StopCause::Person
    };
    let no = if word.ends_with('2') { 2 } else { 1 };
    let scope = match word {
        "all" | "audit-all" => Scope::All,
        "scene" | "scene2" => Scope::Scene(SCENES[no - 1].into()),
        _ => Scope::Merchant(mchid(no)),
    };
    (scope, cause)
}

fn user_id(name: &str) -> UserId {
    UserId::parse(name).expect("names of users are ids")
}

/// What an event is for, by the first letter of its name.
pub(crate) fn kind_of(event: &str) -> &'static str {
    match event.bytes().next() {
        Some(b'g') => "gift",
        Some(b'k') => "capped",
        Some(b'o') => "cooling",
        _ => "task",
    }
}

/// An act of somebody, with the only reason that anybody gives here.
fn act(who: &str) -> Act {
    let actor = Actor::parse(&format!("cli:{who}")).expect("names of people are actors");
    Act::new(actor, "the story says so").expect("a reason")
}

impl<S: Store + Browse + Clone> Service<S> {
    pub(super) async fn serve(&self, wish: &Wish) -> Result<(), Fault> {
        match wish {
            Wish::Register(user, name) => {
                let (user, name) = (user_id(user), name.clone().map(Sealed));
                self.plainly("registering", Command::RegisterUser { user, name })
                    .await
            }
            Wish::Freeze(user, frozen) => {
                let (user, frozen, act) = (user_id(user), *frozen, None);
                let command = Command::SetFrozen { user, frozen, act };
                self.plainly("freezing", command).await
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
                let (scope, cause) = stopped(scope);
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
        let wanted = link::Wanted::of(user_id(user));
        let started = link::start(&self.ports, &self.desk, wanted, page).await?;
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
            kind: kind_of(event),
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
            kind: kind_of(of),
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
        let today = self.ports.clock().business().business_date();
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
                if let (Some(amount), None) = (view.amount, view.reverses) {
                    shared.oracle.known_event(&key, view.user, amount.0);
                }
                shared.tell(|| format!("  {event} was credited before"));
                Some(None)
            }
            Some(ItemResult::Rejected { code, .. }) => {
                let code = code.to_owned();
                if code == "day_cap_reached" {
                    let amount = view.amount.map_or(0, |amount| amount.0);
                    let capped = view.from.unwrap_or(view.user);
                    let gift = view.from.is_some();
                    shared.oracle.capped(capped, gift, today, amount);
                }
                shared.tell(|| format!("  {event} is refused: {code}"));
                None
            }
            None => None,
        })
    }
}
