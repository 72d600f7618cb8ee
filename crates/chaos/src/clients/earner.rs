//! Credits events: one, many, as lines; again where the fate is unknown, and sometimes where it
//! is known.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::clients::Client;
use crate::history::{Call, Credit, Credited, Form, Saw};

/// Acknowledged events that are remembered, to be sent again or taken back.
const KNOWN_MAX: usize = 300;
/// After the faults have stopped every fate is known within this.
const CLOSE_WAIT: Duration = Duration::from_secs(30);

struct Events {
    made: u64,
    unknown: VecDeque<Credit>,
    known: VecDeque<Credit>,
}

/// Works until closing, then until every fate is known.
pub(super) async fn work(mut client: Client) -> Vec<String> {
    let mut events = Events {
        made: 0,
        unknown: VecDeque::new(),
        known: VecDeque::new(),
    };
    while !client.crowd.is_closing() {
        let credits = events.batch(&mut client);
        send(&mut client, &mut events, credits).await;
        client.rest(60).await;
    }
    let began = Instant::now();
    while !events.unknown.is_empty() {
        if began.elapsed() > CLOSE_WAIT {
            let left = events.unknown.len();
            return vec![format!("{}: {left} events have no fate", client.name)];
        }
        let credits = events.unknowns(50);
        send(&mut client, &mut events, credits).await;
    }
    Vec::new()
}

async fn send(client: &mut Client, events: &mut Events, credits: Vec<Credit>) {
    let form = match (credits.len(), client.rng.bool()) {
        (1, true) => Form::Single,
        (_, true) => Form::Array,
        (_, false) => Form::Lines,
    };
    let call = Call::Earn {
        form,
        credits: credits.clone(),
    };
    let (_, code, saw) = client.ask(call).await;
    let Saw::Credited { results } = saw else {
        return;
    };
    // A refusal of the whole request says nothing against any of its events.
    let refused_whole = code.is_some();
    for (credit, result) in credits.into_iter().zip(results) {
        match result {
            Credited::Now | Credited::Before => {
                if events.known.len() >= KNOWN_MAX {
                    events.known.pop_front();
                }
                events.known.push_back(credit);
            }
            Credited::Refused if refused_whole => events.unknown.push_back(credit),
            Credited::Refused => {}
            Credited::Unknown => events.unknown.push_back(credit),
        }
    }
}

impl Events {
    fn batch(&mut self, client: &mut Client) -> Vec<Credit> {
        let most = match client.rng.u8(0..10) {
            0..=3 => 1,
            4..=6 => 12,
            7..=8 => 60,
            _ => 250,
        };
        let count = client.rng.usize(1..=most);
        let mut credits = if client.chance(60) {
            self.unknowns(count)
        } else {
            Vec::new()
        };
        while credits.len() < count {
            let credit = self.one(client);
            credits.push(credit);
        }
        credits
    }

    fn unknowns(&mut self, most: usize) -> Vec<Credit> {
        let count = most.min(self.unknown.len());
        self.unknown.drain(..count).collect()
    }

    fn one(&mut self, client: &mut Client) -> Credit {
        let known = if self.known.is_empty() {
            None
        } else {
            self.known.get(client.rng.usize(0..self.known.len()))
        };
        match (client.rng.u8(0..100), known.cloned()) {
            // Again, although it was acknowledged.
            (0..=7, Some(again)) => again,
            (8..=10, Some(earlier)) if earlier.from.is_none() && earlier.reverses.is_none() => {
                Credit {
                    event: self.name(client),
                    micros: client.rng.i64(1..=earlier.micros),
                    reverses: Some(earlier.event.clone()),
                    ..earlier
                }
            }
            (11..=14, _) => self.gift(client),
            (dice, _) => self.plain(client, dice),
        }
    }

    fn name(&mut self, client: &Client) -> String {
        self.made += 1;
        format!("{}-{}", client.name, self.made)
    }

    fn plain(&mut self, client: &mut Client, dice: u8) -> Credit {
        let (kind, micros) = match dice % 4 {
            0 => ("sign_in", 2_500),
            1 => ("ad_view", client.rng.i64(1..90_000)),
            _ => ("task_done", client.rng.i64(50_000..400_000)),
        };
        Credit {
            event: self.name(client),
            user: client.user(),
            kind: kind.into(),
            micros,
            from: None,
            reverses: None,
        }
    }

    fn gift(&mut self, client: &mut Client) -> Credit {
        let (user, from) = (client.user(), client.user());
        Credit {
            kind: "gift".into(),
            from: Some(from),
            user,
            ..self.plain(client, 1)
        }
    }
}
