//! Receivers of messages: how they come into the books, and how they get everything in the end.

use lingqian_core::command::Command;
use lingqian_core::control::{Act, Actor};
use lingqian_core::endpoint::{Endpoint, EndpointId, Scheme, Secret};
use lingqian_core::user::Sealed;
use lingqian_core::{Changes, Keys, Moment, execute};
use lingqian_io::store::Committed;
use lingqian_io::{Browse, Store};

use super::{NOON, World};
use crate::action::Pass;
use crate::wait::wait;

/// Receivers and what each wants to hear of.
const HOOKS: [(&str, &str); 3] = [
    ("we_all", "*"),
    ("we_payouts", "payout.*"),
    ("we_paid", "payout.paid"),
];
/// There are no more receivers than these.
pub(crate) const HOOKS_MAX: usize = HOOKS.len();
/// Within so many hours everything is delivered once nothing fails any more.
const HOURS_MAX: usize = 30;

/// A receiver's name and what it wants.
pub(crate) fn hook(no: usize) -> (&'static str, &'static str) {
    HOOKS[no.min(HOOKS.len() - 1)]
}

fn endpoint(no: usize) -> Endpoint {
    let (name, wants) = hook(no);
    Endpoint {
        id: EndpointId::parse(name).expect("names of receivers are ids"),
        url: format!("https://{name}.example/"),
        events: vec![wants.to_owned()],
        note: String::new(),
        secrets: vec![Secret {
            scheme: Scheme::Hmac,
            sealed: Sealed(vec![7; 32]),
            until: None,
        }],
        created_at: NOON,
        off: None,
        deleted: false,
        after: None,
    }
}

impl<S: Store + Browse + Clone> World<S> {
    /// Receivers are there before anything is told.
    pub(super) fn open_hooks(&self) {
        for no in 0..self.settings.hooks.min(HOOKS_MAX) {
            self.set_hook(endpoint(no), "create");
        }
    }

    /// Writes a receiver, past all faults.
    fn set_hook(&self, endpoint: Endpoint, what: &'static str) {
        let actor = Actor::parse("cli:ann").expect("an actor");
        let act = Act::new(actor, "the story says so").expect("a reason");
        let endpoint = Box::new(endpoint);
        let command = Command::SetEndpoint {
            endpoint,
            what,
            act,
        };
        let now = self.scene.lock().now;
        let policy = &self.settings.policy;
        let facts = wait(self.books.prefetch(Keys::of([&command].into_iter(), now)));
        let facts = facts.expect("the books read");
        let (changes, _) = execute(&Moment { now, policy }, &command, &facts).expect("allowed");
        let changes: Changes = changes;
        let written = wait(self.books.commit(facts.basis, changes)).expect("the books write");
        assert_eq!(written, Committed::Done, "nobody else is there");
    }

    /// Receivers that wanted nothing any more want something again.
    pub(super) fn turn_on(&self) {
        if self.settings.hooks == 0 {
            return;
        }
        let endpoints = wait(self.books.endpoints()).unwrap_or_default();
        for (endpoint, _) in endpoints.into_iter().filter(|(end, _)| end.off.is_some()) {
            let on = Endpoint {
                off: None,
                ..endpoint
            };
            self.set_hook(on, "on");
        }
    }

    /// Delivers until everybody was told everything; what was given up is asked for once more.
    pub(super) fn tell_all(&mut self) {
        if self.settings.hooks == 0 {
            return;
        }
        let now = self.scene.lock().now;
        let given_up = self.scene.lock().oracle.given_up();
        for (name, number) in given_up {
            let id = EndpointId::parse(&name).expect("a name");
            let again = wait(self.books.replay(&id, (number, number), now));
            assert_eq!(again, Ok(1), "what was told is told again");
        }
        for _ in 0..HOURS_MAX {
            // What was under way may have been told to go away a moment ago.
            self.turn_on();
            self.begin(Pass::Notify, 0);
            self.run(None, usize::MAX);
            if self.scene.lock().oracle.all_is_taken() {
                break;
            }
            self.advance(3_600_000);
        }
        // What was taken in silence is still to be tried once more, and then nothing waits.
        for _ in 0..HOURS_MAX {
            let healths = wait(self.books.endpoints()).unwrap_or_default();
            if healths.iter().all(|(_, health)| health.pending == 0) {
                break;
            }
            self.begin(Pass::Notify, 0);
            self.run(None, usize::MAX);
            self.advance(3_600_000);
        }
        let healths = wait(self.books.endpoints()).unwrap_or_default();
        let healths: Vec<_> = healths.into_iter().map(|(_, health)| health).collect();
        let newest = wait(self.books.newest_notice()).unwrap_or(-1);
        self.scene.lock().oracle.told_to_the_end(newest, &healths);
    }
}
