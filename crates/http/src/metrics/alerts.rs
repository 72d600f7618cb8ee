//! What operators are told of, as numbers: what stands, who was told, and who does not take it.

use std::collections::BTreeMap;

use lingqian_io::alerts::AlertBoard;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// A number of a kind of alert, or of somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AtAlert {
    of: String,
    what: &'static str,
}

/// What is published.
pub(super) type Alerts = Family<AtAlert, Gauge>;

/// What its numbers are, for people.
pub(super) const HELP: &str = "Alerts that stand by kind, and how those who are told are doing";

/// Of each kind how many stand, and how many of those at least one was told of; of each target how
/// many of them it was told, failures in a row, and when it last took a message, in seconds of
/// Unix time.
pub(super) fn show(alerts: &Alerts, board: &AlertBoard) {
    // What is over is not there any more.
    alerts.clear();
    let mut all: BTreeMap<(String, &'static str), i64> = BTreeMap::new();
    let mut add = |of: &str, what, count| *all.entry((of.to_owned(), what)).or_default() += count;
    for alert in board.alerts.iter().filter(|alert| alert.ended_at.is_none()) {
        let kind = alert.key.kind.as_str();
        let mut tells = board.tells.iter().filter(|tell| tell.key == alert.key);
        add(kind, "open", 1);
        add(kind, "told", i64::from(tells.next().is_some()));
    }
    for target in &board.targets {
        let name = format!("target:{}", target.target);
        let told = board
            .tells
            .iter()
            .filter(|tell| tell.target == target.target);
        add(
            &name,
            "told",
            i64::try_from(told.count()).unwrap_or(i64::MAX),
        );
        add(&name, "failed", i64::from(target.failures));
        let at = target.told_at.map_or(0, |at| at.0 / 1_000);
        add(&name, "told_at_seconds", at);
    }
    for ((of, what), count) in all {
        alerts.get_or_create(&AtAlert { of, what }).set(count);
    }
}
