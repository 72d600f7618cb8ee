//! What is told to whom, from what stands and what was told: functions of their arguments.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use lingqian_core::time::Timestamp;
use lingqian_io::alerts::{
    Alert, AlertBoard, AlertChanges, AlertKey, Item, Target, Tell, Telling, What,
};

use crate::alerts::{Condition, Kind, Rules};

/// The alerts that are new, came back, ended, or say something else than before.
pub(super) fn seen(board: &AlertBoard, found: Vec<Condition>, now: Timestamp) -> Vec<Alert> {
    let known: BTreeMap<&AlertKey, &Alert> =
        board.alerts.iter().map(|one| (&one.key, one)).collect();
    let mut changed = Vec::new();
    let mut standing = BTreeSet::new();
    for condition in found {
        let key = condition.key();
        let known = known.get(&key).copied();
        let alert = Alert {
            since: known.map_or(condition.since, |known| known.since.min(condition.since)),
            noticed_at: known.map_or(now, |known| known.noticed_at),
            ended_at: None,
            words: condition.words,
            key: key.clone(),
        };
        if standing.insert(key) && known != Some(&alert) {
            changed.push(alert);
        }
    }
    let gone = board.alerts.iter();
    let gone = gone.filter(|one| one.ended_at.is_none() && !standing.contains(&one.key));
    changed.extend(gone.map(|one| Alert {
        ended_at: Some(now),
        ..one.clone()
    }));
    changed
}

/// The alerts with what changed of them.
pub(super) fn merged(alerts: &[Alert], changed: &[Alert]) -> Vec<Alert> {
    let all = alerts.iter().chain(changed);
    let all: BTreeMap<&AlertKey, &Alert> = all.map(|alert| (&alert.key, alert)).collect();
    all.into_values().cloned().collect()
}

fn tell_of<'b>(board: &'b AlertBoard, key: &AlertKey, target: &str) -> Option<&'b Tell> {
    let mut tells = board.tells.iter();
    tells.find(|tell| tell.key == *key && tell.target == target)
}

/// What somebody is to be told now, the gravest first.
pub(super) fn items(
    board: &AlertBoard,
    target: &Target,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Item> {
    let wanted = |alert: &&Alert| target.kinds.is_empty() || target.kinds.contains(&alert.key.kind);
    let mut items: Vec<(Kind, Item)> = Vec::new();
    for alert in board.alerts.iter().filter(wanted) {
        let tell = tell_of(board, &alert.key, &target.name);
        let what = match (alert.ended_at, tell) {
            (None, None) => What::Began,
            (None, Some(tell)) if now.since_ms(tell.told_at) >= rules.repeat_ms => What::Lasts,
            (Some(ended_at), Some(_)) if now.since_ms(ended_at) >= rules.settle_ms => What::Ended,
            _ => continue,
        };
        // One that an earlier or later program knows.
        let kind = Kind::from_name(&alert.key.kind).unwrap_or(Kind::Review);
        let item = Item {
            what,
            alert: alert.clone(),
            title: kind.title(),
            grave: kind.is_grave(),
        };
        items.push((kind, item));
    }
    items.sort_by(|(a, one), (b, other)| {
        let ended = |item: &Item| item.what == What::Ended;
        (ended(one), a, one.alert.since).cmp(&(ended(other), b, other.alert.since))
    });
    items.into_iter().map(|(_, item)| item).collect()
}

/// The name of a message: of what it tells, and how often that was told before.
pub(super) fn name(board: &AlertBoard, target: &Target, items: &[Item]) -> String {
    let mut of = digest::Context::new(&digest::SHA256);
    let mut add = |text: &str| {
        of.update(text.as_bytes());
        of.update(&[0]);
    };
    add(&target.name);
    for Item { what, alert, .. } in items {
        let tell = tell_of(board, &alert.key, &target.name);
        add(what.name());
        add(&alert.key.kind);
        add(&alert.key.subject);
        add(&alert.noticed_at.0.to_string());
        add(&tell.map_or(0, |tell| tell.times).to_string());
    }
    let digest = of.finish();
    let digest = digest.as_ref().iter().take(16);
    digest.fold(String::from("al_"), |name, byte| {
        format!("{name}{byte:02x}")
    })
}

/// Notes that a message was taken.
pub(super) fn note(
    board: &AlertBoard,
    telling: &Telling,
    now: Timestamp,
    changes: &mut AlertChanges,
) {
    for Item { what, alert, .. } in &telling.items {
        let (key, target) = (alert.key.clone(), telling.target.clone());
        if *what == What::Ended {
            changes.ends.push((key, target));
            continue;
        }
        let times = tell_of(board, &key, &target).map_or(0, |tell| tell.times);
        changes.tells.push(Tell {
            key,
            target,
            told_at: now,
            times: times.saturating_add(1),
        });
    }
}

/// What is over, and everybody who was told that it began was told that it ended. Who is not in
/// the configuration any more is not waited for.
pub(super) fn gone(
    board: &AlertBoard,
    changes: &AlertChanges,
    (targets, rules, now): (&[Target], &Rules, Timestamp),
) -> Vec<AlertKey> {
    let over = board.alerts.iter().filter(|alert| {
        let ended = alert.ended_at;
        ended.is_some_and(|at| now.since_ms(at) >= rules.settle_ms)
    });
    let waits = |key: &AlertKey| {
        let mut tells = board.tells.iter().filter(|tell| tell.key == *key);
        tells.any(|tell| {
            let told = |(of, target): &(AlertKey, String)| of == key && *target == tell.target;
            let known = |target: &Target| {
                let kinds = &target.kinds;
                target.name == tell.target && (kinds.is_empty() || kinds.contains(&key.kind))
            };
            targets.iter().any(known) && !changes.ends.iter().any(told)
        })
    };
    let over = over.filter(|alert| !waits(&alert.key));
    over.map(|alert| alert.key.clone()).collect()
}
