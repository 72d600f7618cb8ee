//! Two people behind the desk: they approve what risk wants looked at, refuse some of it, act on
//! payouts by hand whether or not that makes sense, stop everything for a while, and put money into
//! the account when they notice that it is empty, which is late.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::clients::Client;
use crate::history::{Act, Call, Fate, Saw};

/// Payouts that wait for people, as one look shows them.
const REVIEWS: &str = "review";
/// After the faults have stopped a stop is lifted within this.
const CLOSE_WAIT: Duration = Duration::from_secs(30);
/// How much is put into the account at a time, in fen.
const TOP_UP_FEN: std::ops::Range<i64> = 200..2_500;

/// Works until closing. Only one of them stops everything, and lifts it again.
pub(super) async fn work(mut client: Client, stops: bool) -> Vec<String> {
    while !client.crowd.is_closing() {
        client.rest(220).await;
        match client.rng.u8(0..100) {
            0..70 => look(&mut client).await,
            70..88 => meddle(&mut client).await,
            88..94 => top_up(&mut client).await,
            _ if stops => stop(&mut client).await,
            _ => {}
        }
    }
    if stops && !lift(&mut client).await {
        return vec![format!("{}: the stop is not lifted", client.name)];
    }
    Vec::new()
}

/// Looks at what waits, and says yes to most of it.
async fn look(client: &mut Client) {
    let state = REVIEWS.to_owned();
    let (_, _, saw) = client.ask(Call::Waiting { state }).await;
    let Saw::Payouts { payouts } = saw else {
        return;
    };
    for seen in payouts {
        if client.crowd.is_closing() {
            return;
        }
        let what = match client.rng.u8(0..20) {
            0 => Act::Refuse,
            1 => continue,
            _ => Act::Approve,
        };
        let act = Call::Act {
            payout: seen.id,
            what,
        };
        client.ask(act).await;
    }
}

/// Does something to some payout, as people do who are in a hurry.
async fn meddle(client: &mut Client) {
    let Some(payout) = client.crowd.some_payout(&mut client.rng) else {
        return;
    };
    let all = [
        Act::Approve,
        Act::Refuse,
        Act::Resend,
        Act::MarkPaid,
        Act::MarkUnpaid,
    ];
    let what = all[client.rng.usize(0..all.len())];
    client.ask(Call::Act { payout, what }).await;
}

async fn top_up(client: &mut Client) {
    let fen = client.rng.i64(TOP_UP_FEN);
    let places = &client.crowd.places;
    let ask = places.hands("POST", "top-up", &json!({ "amount_fen": fen }));
    client.web.ask(ask).await;
    client.crowd.recorder.struck("top_up", format!("{fen} fen"));
}

/// Nothing new may leave for a moment.
async fn stop(client: &mut Client) {
    let (fate, _, _) = client.ask(Call::Stop).await;
    if fate == Fate::Fail {
        return;
    }
    client.rest(2_500).await;
    lift(client).await;
}

/// Lifts the stop, however often that must be asked for.
async fn lift(client: &mut Client) -> bool {
    let began = Instant::now();
    loop {
        let (fate, _, _) = client.ask(Call::Lift).await;
        if fate == Fate::Ok {
            return true;
        }
        if client.crowd.is_closing() && began.elapsed() > CLOSE_WAIT {
            return false;
        }
        client.rest(60).await;
    }
}
