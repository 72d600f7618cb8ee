//! What operators are told of: one at a time is at it, and what was kept is there.

use lingqian_core::time::Timestamp;

use super::given::NOON;
use crate::alerts::{
    Alert, AlertBoard, AlertChanges, AlertKey, AlertLease, Alerts, TargetHealth, Tell,
};

pub(super) async fn exercise<S: Alerts>(make: &impl AsyncFn() -> S) {
    one_at_a_time_is_at_the_alerts(make().await).await;
    alerts_tells_and_targets_read_back(make().await).await;
}

fn lease(holder: &str, from_ms: i64) -> AlertLease {
    AlertLease {
        holder: holder.into(),
        now: NOON.after_ms(from_ms),
        until: NOON.after_ms(from_ms + 1_000),
    }
}

fn key(kind: &str, subject: &str) -> AlertKey {
    AlertKey {
        kind: kind.into(),
        subject: subject.into(),
    }
}

fn alert(kind: &str, subject: &str, ended_at: Option<Timestamp>) -> Alert {
    Alert {
        key: key(kind, subject),
        since: NOON.after_ms(-7),
        noticed_at: NOON,
        ended_at,
        words: "¥1.00 \"'--; 零钱".into(),
    }
}

fn tell(kind: &str, subject: &str, target: &str, times: u32) -> Tell {
    Tell {
        key: key(kind, subject),
        target: target.into(),
        told_at: NOON.after_ms(i64::from(times)),
        times,
    }
}

async fn take<S: Alerts>(store: &S, lease: AlertLease) -> Option<AlertBoard> {
    store.take_alerts(lease).await.expect("no fault")
}

async fn keep<S: Alerts>(store: &S, holder: &str, changes: AlertChanges) -> bool {
    let kept = store.keep_alerts(holder.into(), changes).await;
    kept.expect("no fault")
}

fn done() -> AlertChanges {
    AlertChanges {
        done: true,
        ..AlertChanges::default()
    }
}

async fn one_at_a_time_is_at_the_alerts<S: Alerts>(store: S) {
    assert!(!keep(&store, "a", done()).await, "nobody is at it");
    let empty = AlertBoard::default();
    assert_eq!(take(&store, lease("a", 0)).await, Some(empty.clone()));
    assert_eq!(take(&store, lease("b", 999)).await, None, "a is at it");
    assert!(keep(&store, "a", AlertChanges::default()).await);
    assert_eq!(take(&store, lease("b", 999)).await, None, "and goes on");
    assert!(!keep(&store, "b", done()).await, "b is not at it");
    assert!(keep(&store, "a", done()).await);
    assert!(take(&store, lease("b", 1)).await.is_some(), "given back");
    assert!(!keep(&store, "a", done()).await, "a is not at it any more");
    let lost = AlertChanges {
        alerts: vec![alert("x", "y", None)],
        ..AlertChanges::default()
    };
    assert!(!keep(&store, "a", lost).await);
    assert_eq!(take(&store, lease("c", 1_001)).await, Some(empty), "ended");
    // One that was made by a clock that ran ahead by days.
    assert!(keep(&store, "c", done()).await);
    assert!(take(&store, lease("d", 86_400_000)).await.is_some());
    assert!(take(&store, lease("e", 0)).await.is_some(), "not believed");
}

async fn alerts_tells_and_targets_read_back<S: Alerts>(store: S) {
    assert!(take(&store, lease("a", 0)).await.is_some());
    let failing = TargetHealth {
        target: "ops".into(),
        next_at: Some(NOON.after_ms(5)),
        failures: 3,
        told_at: Some(NOON),
        failed_at: Some(NOON.after_ms(4)),
        failed_with: Some("http_503".into()),
    };
    let mail = TargetHealth {
        target: "mail".into(),
        ..TargetHealth::default()
    };
    let changes = AlertChanges {
        alerts: vec![
            alert("break", "po_2", None),
            alert("break", "po_1", Some(NOON.after_ms(3))),
            alert("audit", "all", None),
        ],
        tells: vec![
            tell("break", "po_1", "ops", 1),
            tell("break", "po_1", "mail", 2),
            tell("audit", "all", "ops", 1),
        ],
        targets: vec![failing.clone(), mail.clone()],
        ..AlertChanges::default()
    };
    assert!(keep(&store, "a", changes.clone()).await);
    assert!(keep(&store, "a", changes).await, "again, because of doubt");
    let mut board = AlertBoard {
        alerts: vec![
            alert("audit", "all", None),
            alert("break", "po_1", Some(NOON.after_ms(3))),
            alert("break", "po_2", None),
        ],
        tells: vec![
            tell("audit", "all", "ops", 1),
            tell("break", "po_1", "mail", 2),
            tell("break", "po_1", "ops", 1),
        ],
        targets: vec![mail.clone(), failing],
    };
    assert_eq!(store.alerts().await.as_ref(), Ok(&board));
    let changes = AlertChanges {
        alerts: vec![alert("break", "po_2", Some(NOON.after_ms(9)))],
        gone: vec![key("audit", "all"), key("audit", "nothing")],
        tells: vec![tell("break", "po_1", "ops", 2)],
        ends: vec![(key("break", "po_1"), "mail".into())],
        targets: vec![TargetHealth {
            target: "ops".into(),
            ..TargetHealth::default()
        }],
        done: true,
    };
    assert!(keep(&store, "a", changes).await);
    board.alerts = vec![
        alert("break", "po_1", Some(NOON.after_ms(3))),
        alert("break", "po_2", Some(NOON.after_ms(9))),
    ];
    board.tells = vec![tell("break", "po_1", "ops", 2)];
    let well = TargetHealth {
        target: "ops".into(),
        ..TargetHealth::default()
    };
    board.targets = vec![mail, well];
    assert_eq!(take(&store, lease("b", 1)).await, Some(board));
}
