//! Reads balances, statements and payouts, and asks processes whether they are ready.

use crate::clients::Client;
use crate::history::Call;

/// Reads until closing.
pub(super) async fn work(mut client: Client) -> Vec<String> {
    while !client.crowd.is_closing() {
        let user = client.user();
        let payout = client.crowd.some_payout(&mut client.rng);
        let call = match (client.rng.u8(0..10), payout) {
            (0..=3, _) => Call::User { user },
            (4, _) => Call::Statement { user },
            (5, _) => Call::Payouts { user },
            (_, Some(payout)) => Call::Payout { payout },
            (_, None) => Call::User { user },
        };
        client.ask(call).await;
        client.rest(40).await;
    }
    Vec::new()
}

/// Asks one process whether its store answers, past every proxy of clients.
pub(super) async fn probe(mut client: Client, process: usize) -> Vec<String> {
    while !client.crowd.is_closing() {
        client.ask_at(process, Call::Ready { process }).await;
        client.rest(300).await;
    }
    Vec::new()
}
