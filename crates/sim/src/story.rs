//! Stories: scripts that people write, played over any store, with a text of what happened. The
//! same story prints the same text over every store.

use std::fmt::Write as _;

use lingqian_io::{Browse, Store};

use crate::run::over_then;
use crate::script::Script;
use crate::text::yuan;
use crate::wait::wait;
use crate::world::World;

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened and how it ended, for people.
    pub text: String,
    /// Whether everything was as it must be.
    pub good: bool,
}

/// Plays a story.
///
/// # Errors
/// The first line that does not read.
pub fn play<S: Store + Browse + Clone>(
    text: &str,
    open: impl Fn() -> S + 'static,
) -> Result<Told, String> {
    let mut script = Script::read(text)?;
    script.settings.trace = true;
    let mut ending = String::new();
    let ran = over_then(&script, open, |world| ending = world.ending());
    let mut text = ran.trace.join("\n");
    text.push('\n');
    text.push_str(&ending);
    if let Some((_, violation)) = &ran.failure {
        let _ = writeln!(
            text,
            "VIOLATED {}: {}",
            violation.invariant, violation.detail
        );
    }
    Ok(Told {
        text,
        good: ran.failure.is_none(),
    })
}

impl<S: Store + Browse + Clone> World<S> {
    /// How everything stands: payouts, balances, WeChat's own books, and the audit.
    fn ending(&mut self) -> String {
        self.milestone();
        let mut text = String::from("in the end\n");
        let wallets = self.wallets();
        let shared = self.scene.lock();
        let fen = |fen: i64| yuan(fen * 10_000);
        for watched in shared.oracle.payouts.values() {
            let payout = &watched.payout;
            let (name, state) = (&payout.reference, payout.state.name());
            let _ = writeln!(text, "  {name} is {state}, {}", fen(payout.amount.0));
        }
        for transfer in shared.wechat.transfers().values() {
            let number = transfer.order.number;
            let name = shared.oracle.name_of(number.payout());
            let (try_no, amount) = (number.attempt(), fen(transfer.order.amount.0));
            let stand = transfer.stand.word();
            let _ = writeln!(text, "  WeChat has {name}, try {try_no}: {stand}, {amount}");
        }
        drop(shared);
        for wallet in wallets {
            let user = &wallet.user.id;
            let (available, held) = (yuan(wallet.available.0), yuan(wallet.held.0));
            let _ = write!(text, "  {user} has {available}");
            for (word, micros) in [("held", wallet.held.0), ("owed", wallet.owed.0)] {
                if micros != 0 {
                    let amount = if word == "held" {
                        held.clone()
                    } else {
                        yuan(micros)
                    };
                    let _ = write!(text, ", {amount} {word}");
                }
            }
            text.push('\n');
        }
        if let Ok(audited) = wait(self.books.audit()) {
            let (entries, wrong) = (audited.entries, audited.findings.len());
            let _ = writeln!(text, "  {entries} entries, {wrong} invariants broken");
        }
        text
    }
}
