//! What operators read: the same lines in Markdown for robots, in plain words for mail, and as
//! JSON for programs.

use jiff::tz::Offset;
use lingqian_core::time::Timestamp;
use lingqian_io::alerts::{Item, Telling, What};
use serde_json::{Value, json};

/// What every message begins with; a robot that wants a keyword has it.
pub(crate) const NAME: &str = "Lingqian 零钱";

/// So many things are told one by one in a mail.
const LINES_MAX: usize = 200;

/// A moment by Beijing's clock.
fn beijing(at: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    let local = Offset::constant(8).to_datetime(moment);
    local.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Where it is written what to do.
pub(crate) fn runbook(base: &str, kind: &str) -> String {
    format!("{base}#{kind}")
}

/// One line for whoever reads only that.
pub(crate) fn title(telling: &Telling) -> String {
    if telling.items.is_empty() {
        return format!("[{NAME}] 试发 trial");
    }
    let count = |what: What| telling.items.iter().filter(|one| one.what == what).count();
    let words = [
        (What::Began, "新增 new"),
        (What::Lasts, "持续 lasting"),
        (What::Ended, "恢复 over"),
    ];
    let counts = words.into_iter().filter_map(|(what, words)| {
        let count = count(what);
        (count > 0).then(|| format!("{count} {words}"))
    });
    let counts: Vec<String> = counts.collect();
    format!("[{NAME}] {}", counts.join(", "))
}

fn mark(item: &Item) -> &'static str {
    match (item.what, item.grave) {
        (What::Ended, _) => "恢复 over",
        (What::Lasts, _) => "持续 lasts",
        (What::Began, true) => "严重 grave",
        (What::Began, false) => "注意 warning",
    }
}

fn plain(words: &str) -> String {
    words.replace(['\n', '\r'], " ")
}

/// The text for a robot, no longer than so many bytes: what does not fit is counted.
pub(crate) fn markdown(telling: &Telling, base: &str, bytes_max: usize) -> String {
    let mut text = format!("**{}**\n", title(telling));
    if telling.items.is_empty() {
        text.push_str("> 告警通道可用。This is how alerts arrive.\n");
        return text;
    }
    for (place, item) in telling.items.iter().enumerate() {
        let alert = &item.alert;
        let link = runbook(base, &alert.key.kind);
        let line = format!(
            "> **{}** {} `{}`\n> {} since {}\n> {}\n> [{}]({link})\n\n",
            mark(item),
            item.title,
            alert.key.kind,
            plain(&alert.key.subject),
            beijing(alert.since),
            plain(&alert.words),
            if item.what == What::Ended {
                "runbook"
            } else {
                "处理步骤 what to do"
            },
        );
        // Room is left for how many are left out.
        if text.len() + line.len() + 100 > bytes_max {
            let left = telling.items.len() - place;
            text.push_str(&format!("> 另有 and {left} more: `lingqian alerts list`\n"));
            break;
        }
        text.push_str(&line);
    }
    text
}

/// The text of a mail.
pub(crate) fn words(telling: &Telling, base: &str) -> String {
    if telling.items.is_empty() {
        return "告警通道可用。This is how alerts arrive.\n".to_owned();
    }
    let mut text = String::new();
    for item in telling.items.iter().take(LINES_MAX) {
        let alert = &item.alert;
        let over = alert.ended_at.filter(|_| item.what == What::Ended);
        let over = over.map_or(String::new(), |at| format!(", over since {}", beijing(at)));
        text.push_str(&format!(
            "[{}] {} ({})\n  {}\n  since {}{over}\n  {}\n  {}\n\n",
            mark(item),
            item.title,
            alert.key.kind,
            plain(&alert.key.subject),
            beijing(alert.since),
            plain(&alert.words),
            runbook(base, &alert.key.kind),
        ));
    }
    let left = telling.items.len().saturating_sub(LINES_MAX);
    if left > 0 {
        text.push_str(&format!("and {left} more: lingqian alerts list\n"));
    }
    text
}

/// The body of a webhook.
pub(crate) fn body(telling: &Telling, base: &str) -> String {
    let moment = |at: Timestamp| at.to_string();
    let item = |item: &Item| {
        let alert = &item.alert;
        json!({
            "what": item.what.name(),
            "kind": alert.key.kind,
            "severity": if item.grave { "critical" } else { "warning" },
            "subject": alert.key.subject,
            "since": moment(alert.since),
            "ended_at": alert.ended_at.map(moment),
            "words": alert.words,
            "runbook": runbook(base, &alert.key.kind),
        })
    };
    let items: Vec<Value> = telling.items.iter().map(item).collect();
    let trial = telling.items.is_empty();
    let at = moment(telling.at);
    let kind = if trial { "alert.trial" } else { "alert" };
    json!({ "type": kind, "timestamp": at, "title": title(telling), "alerts": items }).to_string()
}
