//! Cancels payouts, sometimes in the same moment in which their user confirms or refuses them.

use serde_json::Value;

use crate::clients::Client;
use crate::history::{Call, PayoutSeen, Saw};

/// Cancels until closing.
pub(super) async fn work(mut client: Client) -> Vec<String> {
    while !client.crowd.is_closing() {
        client.rest(160).await;
        let Some(payout) = client.crowd.some_payout(&mut client.rng) else {
            continue;
        };
        if client.chance(40) {
            client.ask(Call::Cancel { payout }).await;
            continue;
        }
        let read = Call::Payout {
            payout: payout.clone(),
        };
        let (_, _, saw) = client.ask(read).await;
        let Some(seen) = waits(&saw) else { continue };
        let Some(number) = seen.out_bill_no.clone() else {
            continue;
        };
        let deed = if client.chance(80) {
            "confirm"
        } else {
            "refuse"
        };
        let thumb =
            client
                .crowd
                .places
                .hands("POST", &format!("transfers/{number}/{deed}"), &Value::Null);
        let web = client.web.clone();
        // Whose cancel or thumb is first is nobody's to say.
        let (_, _) = tokio::join!(web.ask(thumb), client.ask(Call::Cancel { payout }));
    }
    Vec::new()
}

fn waits(saw: &Saw) -> Option<&PayoutSeen> {
    let Saw::Payouts { payouts } = saw else {
        return None;
    };
    payouts.first().filter(|seen| seen.state == "awaiting_user")
}
