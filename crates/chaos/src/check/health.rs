//! A process that cannot reach its database does not say that it is ready, every error has a code,
//! and nobody believes a notification that WeChat did not sign.

use crate::check::Found;
use crate::evidence::Evidence;
use crate::history::Call;
use crate::weather::Weather;

/// What was on its way when a cut began may still arrive, for so many microseconds.
const ON_ITS_WAY: u64 = 250_000;

pub(super) fn check(evidence: &Evidence) -> Found {
    let mut found = Found::by("health");
    for op in &evidence.ops {
        if let Call::Ready { process } = op.call {
            let lied = op.status == Some(200) && cut_off(evidence, process, op.asked, op.told);
            found.must(!lied, || {
                format!(
                    "process {process} said at {} µs that it was ready, and its database was cut off",
                    op.told
                )
            });
        } else if op.status.is_some_and(|status| status >= 400) {
            found.must(op.code.is_some(), || {
                format!(
                    "operation {} was refused without a code: {:?}",
                    op.op, op.status
                )
            });
        }
        let unreadable = op.code.as_deref() == Some("unreadable");
        found.must(!unreadable, || {
            format!("the answer to operation {} does not read", op.op)
        });
    }
    for struck in &evidence.struck {
        found.must(struck.what != "forgery_believed", || {
            format!("a forged notification was believed: {}", struck.how)
        });
    }
    found
}

/// Whether no answer of the database could pass between two moments.
fn cut_off(evidence: &Evidence, process: usize, from: u64, to: u64) -> bool {
    let way = format!("database-{process}");
    let mut began: Option<u64> = None;
    let mut spans = Vec::new();
    for struck in evidence.struck.iter().filter(|struck| struck.what == way) {
        match struck.weather {
            Some(Weather::Clear | Weather::Slow(_) | Weather::Trickle) | None => {
                spans.extend(began.take().map(|began| (began, struck.at)));
            }
            Some(_) => began = Some(struck.at),
        }
    }
    let within = |&(began, ended): &(u64, u64)| from > began + ON_ITS_WAY && to < ended;
    spans.iter().any(within)
}
