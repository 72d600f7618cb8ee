//! What can be asked in `lingqian sql`: every relation, what it says and what it hides.

/// A relation that people may read.
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    /// The select that makes it, where it is no virtual table.
    pub(crate) select: Option<&'static str>,
}

/// Columns that nobody may read: who somebody is at WeChat, what is sealed, what proves a right.
pub(crate) const SECRETS: [(&str, &str); 13] = [
    ("api_keys", "digest"),
    ("users", "name"),
    ("links", "openid"),
    ("links", "unionid"),
    ("links", "tokens"),
    ("link_states", "digest"),
    ("attempts", "openid"),
    ("attempts", "name"),
    ("payout_history", "request_id"),
    ("payout_history", "body"),
    ("idempotency", "digest"),
    ("ledger", "key"),
    ("endpoint_secrets", "sealed"),
];

/// A moment of a column of milliseconds as ISO 8601.
macro_rules! iso {
    ($column:literal, $name:literal) => {
        concat!(
            "strftime('%Y-%m-%dT%H:%M:%S', ",
            $column,
            " / 1000, 'unixepoch') || ",
            "printf('.%03dZ', ",
            $column,
            " % 1000) AS ",
            $name
        )
    };
}

/// A day of a column of days.
macro_rules! day {
    ($column:literal, $name:literal) => {
        concat!("date(", $column, " * 86400, 'unixepoch') AS ", $name)
    };
}

const fn view(name: &'static str, words: &'static str, select: &'static str) -> View {
    View {
        name,
        words,
        select: Some(select),
    }
}

/// Everything that has columns of its own to show, in the order of the help.
pub(crate) const VIEWS: [View; 21] = [
    View {
        name: "entries",
        words: "every movement of money; `user_id = '...'` asks for all of a user's, newest first",
        select: None,
    },
    View {
        name: "balances",
        words: "what each user has, is held and owes",
        select: None,
    },
    view(
        "accounts",
        "every account of the chart with its balance: credits minus debits",
        "SELECT CASE class WHEN 10 THEN 'funding' WHEN 20 THEN 'clearing' WHEN 21 THEN 'float'
           WHEN 30 THEN 'tax_withheld' WHEN 40 THEN 'fees' ELSE 'suspense' END AS account,
           CASE class WHEN 10 THEN iif(owner = 0, 'top_up',
             (SELECT code FROM main.kinds WHERE kind_no = owner))
           WHEN 30 THEN CAST(owner AS TEXT) WHEN 40 THEN NULL WHEN 50 THEN NULL
           ELSE (SELECT mchid FROM main.merchants WHERE merchant_no = owner) END AS owner,
           class, owner AS owner_no, NULL AS user_id, balance_micros FROM main.accounts
         UNION ALL SELECT 'available', user_id, 1, user_no, user_id, available_micros FROM balances
         UNION ALL SELECT 'held', user_id, 2, user_no, user_id, held_micros FROM balances
         UNION ALL SELECT 'receivable', user_id, 3, user_no, user_id, -owed_micros FROM balances",
    ),
    view(
        "events",
        "every event that was booked, once each, with the whole amount of a claw-back",
        "SELECT source, event_id, user_id, kind, cause, amount_micros + CASE cause
           WHEN 'claw_back' THEN coalesce((SELECT o.amount_micros FROM entries o
             WHERE o.seq = e.seq + 1 AND o.cause = 'owe'), 0) ELSE 0 END AS amount_micros,
           at, at_ms, day, occurred_at, occurred_at_ms, reverses_seq, matures_on, counted, seq
         FROM entries e WHERE event_id IS NOT NULL",
    ),
    view(
        "users",
        "who is registered; names stay sealed",
        concat!(
            "SELECT user_id, user_no, ",
            iso!("created_at", "created_at"),
            ", frozen FROM main.users"
        ),
    ),
    view(
        "links",
        "who is linked to WeChat, without saying whom WeChat knows there",
        concat!(
            "SELECT u.user_id, l.user_no, l.app, l.scope, ",
            iso!("l.linked_at", "linked_at"),
            ", l.standing, l.reason, ",
            iso!("l.changed_at", "changed_at"),
            ", ",
            iso!("l.cools_until", "cools_until"),
            ", l.sharing, ",
            iso!("l.refresh_at", "refresh_at"),
            ", l.version FROM main.links l JOIN main.users u USING (user_no)"
        ),
    ),
    view(
        "payouts",
        "every payout with its state and the business number of its present attempt",
        concat!(
            "SELECT p.payout, u.user_id, p.amount_fen, p.state, p.code, p.reference, p.asked, ",
            iso!("p.created_at", "created_at"),
            ", ",
            iso!("p.updated_at", "updated_at"),
            ", ",
            iso!("p.paid_at", "paid_at"),
            ", ",
            day!("p.paid_on", "paid_on"),
            ", p.billed_fen, a.number, a.bill_no, p.tries, p.approvals, p.user_no, p.merchant_no
             FROM main.payouts p JOIN main.users u USING (user_no) LEFT JOIN main.attempts a
             ON a.number = 'LQ' || substr(p.payout, 4) || printf('%02d', p.tries + 1)"
        ),
    ),
    view(
        "attempts",
        "the orders to WeChat, one for each attempt, without the receiver",
        concat!(
            "SELECT payout, number, mchid, app, amount_fen, scene, remark, sends, asks, doubt, ",
            iso!("first_sent_at", "first_sent_at"),
            ", ",
            iso!("last_sent_at", "last_sent_at"),
            ", bill_no, seat FROM main.attempts"
        ),
    ),
    view(
        "payout_history",
        "what became of each payout, without WeChat's own words",
        concat!(
            "SELECT line, payout, ",
            iso!("at", "at"),
            ", event, state, code, seen, status FROM (
               SELECT line, payout, at, event, state, code, seen, status FROM main.payout_history
               UNION ALL SELECT 0, payout, created_at, 'held', 'requested', NULL, 0, NULL
               FROM main.payouts WHERE hold_seq IS NOT NULL)"
        ),
    ),
    view(
        "payout_entries",
        "the entries of each payout",
        "SELECT payout, entry_seq FROM main.payout_entries
         UNION ALL SELECT payout, hold_seq FROM main.payouts WHERE hold_seq IS NOT NULL",
    ),
    view(
        "work",
        "what every unfinished payout waits for",
        concat!(
            "SELECT payout, queue, ",
            iso!("due_at", "due_at"),
            ", ",
            iso!("lease_until", "lease_until"),
            " FROM main.payouts WHERE queue IS NOT NULL"
        ),
    ),
    view(
        "stops",
        "what keeps or kept payouts from leaving",
        concat!(
            "SELECT scope, cause, actor, reason, ",
            iso!("since", "since"),
            ", ",
            iso!("probe_at", "tried_again_at"),
            ", probes AS tries, ",
            iso!("lifted_at", "lifted_at"),
            " FROM main.stops"
        ),
    ),
    view(
        "deeds",
        "what was done by hand, by whom and why",
        concat!(
            "SELECT deed, ",
            iso!("at", "at"),
            ", actor, what, subject, reason, before, after FROM main.deeds"
        ),
    ),
    view(
        "merchant_days",
        "what each merchant was told to pay in a day",
        concat!(
            "SELECT merchant_no, ",
            day!("day", "day"),
            ", amount_fen FROM main.merchant_days"
        ),
    ),
    view(
        "bills",
        "closed bills: opening, movements, closing",
        concat!(
            "SELECT merchant_no, ",
            day!("day", "day"),
            ", lines, out_fen, in_fen, opening_fen, closing_fen, sha1, ",
            iso!("fetched_at", "fetched_at"),
            " FROM main.bills"
        ),
    ),
    view(
        "bill_lines",
        "every line of every bill and what it was matched with",
        concat!(
            "SELECT merchant_no, flow_no, ",
            day!("day", "day"),
            ", ",
            iso!("booked_at", "booked_at"),
            ", business_no, voucher, direction, amount_fen, balance_fen, words, matched, payout,
              entry_seq FROM main.bill_lines"
        ),
    ),
    view(
        "breaks",
        "differences that somebody must explain",
        concat!(
            "SELECT subject, kind, ",
            day!("day", "day"),
            ", difference_fen, ",
            iso!("opened_at", "opened_at"),
            ", ",
            iso!("closed_at", "closed_at"),
            " FROM main.breaks"
        ),
    ),
    view(
        "api_keys",
        "keys of the API, never what proves them",
        concat!(
            "SELECT id, scopes, ",
            iso!("created_at", "created_at"),
            ", ",
            iso!("revoked_at", "revoked_at"),
            " FROM main.api_keys"
        ),
    ),
    view(
        "notices",
        "what the outside was told, in its order",
        concat!(
            "SELECT number, ",
            iso!("at", "at"),
            ", event, subject, user_id, version, data FROM main.notices"
        ),
    ),
    view(
        "endpoints",
        "who is told of it",
        concat!(
            "SELECT endpoint, url, events, note, ",
            iso!("created_at", "created_at"),
            ", ",
            iso!("off_since", "off_since"),
            ", off_why, deleted, planned_to, failures, ",
            iso!("delivered_at", "delivered_at"),
            ", ",
            iso!("failed_at", "failed_at"),
            ", failed_with FROM main.endpoints"
        ),
    ),
    view(
        "deliveries",
        "what was told and not taken yet",
        concat!(
            "SELECT endpoint, number, lane, ",
            iso!("due_at", "due_at"),
            ", tries, ",
            iso!("first_at", "first_at"),
            ", code FROM main.deliveries"
        ),
    ),
];

/// The tables as they are stored, of which the help says where they are told.
pub(crate) const TABLES: [(&str, &str); 25] = [
    ("kinds", "kinds of earnings with prices and limits"),
    ("merchants", "the merchants that pay"),
    ("bare_references", "references that no hold bears"),
    (
        "payout_days",
        "how often and how much each user withdrew on a day",
    ),
    (
        "clawed",
        "how much of an event was taken back, by its entry",
    ),
    ("sources", "where events come from"),
    (
        "idempotency",
        "requests for money that were answered; their digests are hidden",
    ),
    ("link_states", "links under way; what proves them is hidden"),
    ("dead_letters", "what could not be credited, with its code"),
    ("letter_ends", "what somebody made of dead letters"),
    ("marks", "how far sources were read and sinks were told"),
    ("alerts", "what operators are told of"),
    ("alert_tells", "who was told of what"),
    ("alert_targets", "how those who are told have been doing"),
    ("alert_watch", "which process is at the alerts"),
    (
        "message_reads",
        "up to which notice users read their messages",
    ),
    ("sink_leases", "which process publishes to a sink"),
    (
        "ledger",
        "totals of the books, and up to where the stored accounts hold",
    ),
    (
        "pages",
        "entries as they are stored; FORMAT.md tells the bytes",
    ),
    ("account_chunks", "users' accounts as they are stored"),
    ("id_runs", "runs of fingerprints of events"),
    ("id_buckets", "their buckets"),
    (
        "id_filters",
        "what tells that a fingerprint is in none of them",
    ),
    (
        "endpoint_secrets",
        "how messages to each are signed; the keys are hidden",
    ),
    ("migrations", "which schema the file has"),
];
