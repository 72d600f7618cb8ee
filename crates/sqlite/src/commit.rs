//! Changes: written in one transaction, all or nothing.

use lingqian_core::Changes;
use lingqian_core::id::{MerchantNo, PayoutId, Reference, UserNo};
use lingqian_core::link::LinkState;
use lingqian_core::reconcile::{Bill, BookedLine, Break, Direction, Match};
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use lingqian_io::text::{apps_text, report_text};
use rusqlite::{CachedStatement, Connection, Params, params};

use crate::codec::{damaged, fault, first, get};
use crate::prefetch::cached;
use crate::{control, letters, links, outbox, payouts, sql};

/// The numbers that entries got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// Of each line of a bill.
    pub(crate) bill_lines: Vec<u64>,
    /// Of each entry that belongs to a payout.
    pub(crate) of_payouts: Vec<(PayoutId, u64)>,
    /// The day of the newest of them.
    pub(crate) today: BusinessDate,
    /// References that no hold bears.
    pub(crate) references: Vec<(Reference, PayoutId)>,
    /// Places of answers that no hold bears.
    pub(crate) answers: Vec<usize>,
    /// Whose payouts are new.
    pub(crate) people: Vec<(UserNo, MerchantNo)>,
}

/// Writes everything but the entries. The caller holds the transaction.
pub(crate) fn write(
    connection: &Connection,
    changes: &Changes,
    numbers: &Numbers,
) -> Result<(), Fault> {
    catalogue(connection, changes)?;
    control::write(connection, changes)?;
    people(connection, changes)?;
    let mut known = cached(connection, sql!("known_people"))?;
    for (user, merchant) in &numbers.people {
        if first(&mut known, [user.0, merchant.0], |row| get(row, 0))? != Some(true) {
            let law = "the store refuses: a payout is of a user and a merchant";
            return Err(Fault::Broken(law.into()));
        }
    }
    payout_rows(connection, changes)?;
    let mut insert = cached(connection, sql!("insert_payout_entry"))?;
    for (payout, seq) in &numbers.of_payouts {
        run(&mut insert, params![payout.to_string(), seq.cast_signed()])?;
    }
    let mut insert = cached(connection, sql!("insert_bill_line"))?;
    for ((booked, _), seq) in changes.bill_lines.iter().zip(&numbers.bill_lines) {
        bill_line(&mut insert, seq.cast_signed(), booked)?;
    }
    let mut insert = cached(connection, sql!("insert_bare_reference"))?;
    for (reference, payout) in &numbers.references {
        let values = params![reference.as_str(), payout.to_string()];
        run(&mut insert, values)?;
    }
    about_payouts(connection, changes, numbers)?;
    reconciled(connection, changes)?;
    outbox::write(connection, changes)?;
    letters::write(connection, changes)
}

pub(crate) fn run(statement: &mut CachedStatement<'_>, values: impl Params) -> Result<(), Fault> {
    statement.execute(values).map(|_| ()).map_err(fault)
}

fn catalogue(connection: &Connection, changes: &Changes) -> Result<(), Fault> {
    let mut upsert = cached(connection, sql!("upsert_kind"))?;
    for kind in &changes.kinds {
        let price = kind.price.map(|price| price.0);
        let code = kind.code.as_str();
        run(
            &mut upsert,
            params![
                kind.no.0,
                code,
                price,
                kind.amount_max.0,
                kind.tax_class,
                kind.terms.user_day_amount_max.map(|max| max.0),
                kind.terms.user_day_count_max,
                kind.terms.cooling_days,
                kind.terms.between_users,
            ],
        )?;
    }
    let mut upsert = cached(connection, sql!("upsert_merchant"))?;
    for merchant in &changes.merchants {
        run(
            &mut upsert,
            params![
                merchant.no.0,
                merchant.mchid.as_str(),
                apps_text(&merchant.apps),
                merchant.scene,
                report_text(&merchant.scene_report),
                merchant.remark,
                merchant.weight,
                merchant.day_quota.map(|quota| quota.0),
            ],
        )?;
    }
    let mut upsert = cached(connection, sql!("upsert_api_key"))?;
    for key in &changes.api_keys {
        let (scopes, revoked) = (key.scopes.join(" "), key.revoked_at.map(|at| at.0));
        run(
            &mut upsert,
            params![key.id, key.digest, scopes, key.created_at.0, revoked],
        )?;
    }
    Ok(())
}

fn people(connection: &Connection, changes: &Changes) -> Result<(), Fault> {
    let mut upsert = cached(connection, sql!("upsert_user"))?;
    for user in &changes.users {
        let name = user.name.as_ref().map(|sealed| &sealed.0);
        let id = user.id.as_str();
        run(
            &mut upsert,
            params![user.no.0, id, user.created_at.0, user.frozen, name],
        )?;
    }
    let mut upsert = cached(connection, sql!("upsert_link_state"))?;
    for LinkState {
        digest,
        user,
        app,
        expires_at,
        used_at,
    } in &changes.link_states
    {
        let used_at = used_at.map(|at| at.0);
        run(
            &mut upsert,
            params![digest.0, user.0, app.as_str(), expires_at.0, used_at],
        )?;
    }
    links::write(connection, &changes.links)
}

fn payout_rows(connection: &Connection, changes: &Changes) -> Result<(), Fault> {
    let mut payouts = changes.payouts.iter();
    payouts.try_for_each(|(payout, work)| payouts::write(connection, payout, work.as_ref()))?;
    let mut ended = changes.attempts.iter();
    ended.try_for_each(|attempt| payouts::write_attempt(connection, attempt))
}

fn about_payouts(
    connection: &Connection,
    changes: &Changes,
    numbers: &Numbers,
) -> Result<(), Fault> {
    let mut insert = cached(connection, sql!("insert_history"))?;
    for line in &changes.history {
        let seen = line.evidence.as_ref();
        run(
            &mut insert,
            params![
                line.payout.to_string(),
                line.at.0,
                line.event,
                line.state,
                line.code,
                seen.is_some(),
                seen.and_then(|seen| seen.status),
                seen.and_then(|seen| seen.request_id.as_deref()),
                seen.map(|seen| seen.body.as_str()),
            ],
        )?;
    }
    let mut upsert = cached(connection, sql!("upsert_day_totals"))?;
    for (user, day, totals) in &changes.day_totals {
        run(
            &mut upsert,
            params![user.0, day.0, totals.count, totals.amount.0],
        )?;
    }
    let mut insert = cached(connection, sql!("insert_answer"))?;
    let bare = numbers.answers.iter().map(|place| &changes.answers[*place]);
    for (key, answer) in bare {
        let payout = answer.payout.to_string();
        let (amount, at) = (answer.amount.0, answer.created_at.0);
        run(
            &mut insert,
            params![key.scope, key.key, answer.digest, payout, amount, at],
        )?;
    }
    Ok(())
}

fn bill_line(insert: &mut CachedStatement<'_>, seq: i64, booked: &BookedLine) -> Result<(), Fault> {
    let BookedLine {
        merchant,
        date,
        line,
        matched,
    } = booked;
    let (matched, payout) = match matched {
        Match::Payout(payout) => ("payout", Some(payout.to_string())),
        Match::Returned(payout) => ("returned", Some(payout.to_string())),
        Match::TopUp => ("top_up", None),
        Match::Unexplained => ("unexplained", None),
    };
    let direction = match line.direction {
        Direction::Out => "out",
        Direction::In => "in",
    };
    run(
        insert,
        params![
            merchant.0,
            line.flow_no,
            date.0,
            line.booked_at.0,
            line.business_no,
            line.voucher,
            direction,
            line.amount.0,
            line.balance.0,
            line.words,
            matched,
            payout,
            seq,
        ],
    )
}

fn reconciled(connection: &Connection, changes: &Changes) -> Result<(), Fault> {
    let mut upsert = cached(connection, sql!("upsert_break"))?;
    for Break {
        subject,
        kind,
        date,
        difference,
        opened_at,
        closed_at,
    } in &changes.breaks
    {
        let closed_at = closed_at.map(|at| at.0);
        let values = params![
            subject,
            kind.code(),
            date.0,
            difference.0,
            opened_at.0,
            closed_at
        ];
        run(&mut upsert, values)?;
    }
    let mut upsert = cached(connection, sql!("upsert_bill"))?;
    for bill in &changes.bills {
        let Bill {
            merchant,
            date,
            sha1,
            lines,
            out,
            came_in,
            opening,
            closing,
            fetched_at,
        } = bill;
        let lines = i64::try_from(*lines).map_err(|_| damaged("the lines of a bill"))?;
        run(
            &mut upsert,
            params![
                merchant.0,
                date.0,
                sha1,
                lines,
                out.0,
                came_in.0,
                opening.0,
                closing.0,
                fetched_at.0
            ],
        )?;
    }
    Ok(())
}
