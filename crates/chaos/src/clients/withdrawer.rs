//! Withdraws, under a key and a reference of its own; repeats under the same key where the fate
//! is unknown, and sometimes where it is known; now and then misuses a key or a reference.

use std::time::{Duration, Instant};

use crate::clients::Client;
use crate::history::{Call, Fate, Saw};

/// After the faults have stopped every fate is known within this.
const CLOSE_WAIT: Duration = Duration::from_secs(30);
/// Withdrawals that are remembered.
const DONE_MAX: usize = 100;

/// A withdrawal as it is asked for, every time.
#[derive(Clone)]
struct Wanted {
    key: String,
    user: String,
    fen: Option<i64>,
    reference: String,
}

/// Works until closing, then until every fate is known.
pub(super) async fn work(mut client: Client) -> Vec<String> {
    let (mut open, mut done): (Vec<Wanted>, Vec<Wanted>) = (Vec::new(), Vec::new());
    let mut made = 0;
    while !client.crowd.is_closing() {
        let wanted = if !open.is_empty() && client.chance(60) {
            open.swap_remove(client.rng.usize(0..open.len()))
        } else if !done.is_empty() && client.chance(20) {
            misuse(&mut client, &done)
        } else {
            made += 1;
            fresh(&mut client, made)
        };
        ask(&mut client, wanted, &mut open, &mut done).await;
        client.rest(90).await;
    }
    let began = Instant::now();
    while let Some(wanted) = open.pop() {
        if began.elapsed() > CLOSE_WAIT {
            let left = open.len() + 1;
            return vec![format!("{}: {left} withdrawals have no fate", client.name)];
        }
        ask(&mut client, wanted, &mut open, &mut done).await;
    }
    Vec::new()
}

fn fresh(client: &mut Client, made: u64) -> Wanted {
    let name = &client.name;
    Wanted {
        key: format!("{name}-key-{made}"),
        reference: format!("{name}-order-{made}"),
        fen: (client.rng.u8(0..10) > 0).then(|| client.rng.i64(10..90)),
        user: client.user(),
    }
}

/// The same again; the same key with another amount; the same reference under another key.
fn misuse(client: &mut Client, done: &[Wanted]) -> Wanted {
    let known = done[client.rng.usize(0..done.len())].clone();
    match client.rng.u8(0..10) {
        0 => Wanted {
            fen: Some(known.fen.unwrap_or(10) + 1),
            ..known
        },
        1 => Wanted {
            key: format!("{}-other", known.key),
            ..known
        },
        _ => known,
    }
}

async fn ask(client: &mut Client, wanted: Wanted, open: &mut Vec<Wanted>, done: &mut Vec<Wanted>) {
    let call = Call::Withdraw {
        key: wanted.key.clone(),
        user: wanted.user.clone(),
        fen: wanted.fen,
        reference: wanted.reference.clone(),
    };
    let (fate, code, saw) = client.ask(call).await;
    if let Saw::Withdrawn {
        payout, replayed, ..
    } = &saw
        && !replayed
    {
        client.crowd.remember(payout);
    }
    // Somebody else answers the same key, or it cannot be done now: later, then.
    let code = code.unwrap_or_default();
    let passes = [
        "idempotency_key_in_use",
        "temporarily_unavailable",
        "not_connected",
    ];
    match fate {
        Fate::Ok => {
            if done.len() >= DONE_MAX {
                done.remove(0);
            }
            done.push(wanted);
        }
        Fate::Info => open.push(wanted),
        Fate::Fail if passes.contains(&code.as_str()) => {
            open.push(wanted);
            client.rest(40).await;
        }
        Fate::Fail => {}
    }
}
