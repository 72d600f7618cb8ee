//! What PostgreSQL's errors mean. Its messages may quote values, so none of its words is passed
//! on: a fault names the SQLSTATE and the constraint, and the words of our own triggers.

use std::error::Error as _;
use std::io;

use lingqian_io::Fault;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::tls;

/// What our triggers raise; see the first migration.
const OUR_REFUSAL: &str = "LQ001";

/// Whether a transaction lost against another one and should be decided anew.
pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
    )
}

/// The law that a name breaks which is there already, where several may take it at once.
pub(crate) fn twice(error: &Error) -> Option<&'static str> {
    let db = error.as_db_error()?;
    if *db.code() != SqlState::UNIQUE_VIOLATION {
        return None;
    }
    match db.constraint()? {
        "earnings_once" => Some("an event is credited once"),
        "payouts_reference_key" => Some("a reference names one withdrawal"),
        "idempotency_pkey" => Some("a key is answered once"),
        _ => None,
    }
}

/// Whether a failed `COMMIT` certainly wrote nothing: the server said so and goes on serving.
/// After anything else it may be durable.
pub(crate) fn commit_was_refused(error: &Error) -> bool {
    let refused = |db: &DbError| {
        let class = db.code().code().get(..2).unwrap_or_default();
        db.parsed_severity() == Some(Severity::Error) && matches!(class, "23" | "40")
    };
    error.as_db_error().is_some_and(refused)
}

/// What an error means before a commit: nothing was written.
pub(crate) fn fault(error: Error) -> Fault {
    if let Some(db) = error.as_db_error() {
        return of_server(db);
    }
    if let Some(words) = tls::refusal(&error) {
        return Fault::Broken(words);
    }
    // Whatever has no cause of its own is a connection that is closed or a time that ran out.
    let silent = error
        .source()
        .is_none_or(<dyn std::error::Error>::is::<io::Error>);
    if silent || error.is_closed() {
        return silence();
    }
    Fault::Broken(
        "PostgreSQL: a message or an address that was not understood; where it asks for a password, the \
         address must have one"
            .into(),
    )
}

/// Nobody answers.
pub(crate) fn silence() -> Fault {
    Fault::Retry("PostgreSQL does not answer".into())
}

/// What a code means for whoever runs us. The server's own words may have names and values in them.
fn means(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => "the password is wrong",
        "28000" => "the role does not exist, or may not come in from here",
        "3D000" => "there is no such database; make it with ENCODING 'UTF8' and TEMPLATE template0",
        "42501" => {
            "the role may not do this; it must own the schema `lingqian` or be allowed to make it"
        }
        "42703" | "42P01" => "tables of the schema `lingqian` are not ours",
        "53300" => "it has as many connections as it allows",
        "53100" => "its disk is full",
        "57P03" => "it is just starting or stopping",
        _ => return None,
    })
}

fn of_server(db: &DbError) -> Fault {
    let code = db.code().code();
    if code == OUR_REFUSAL {
        return Fault::Broken(format!("the store refuses: {}", db.message()));
    }
    let place = db.constraint().or(db.column()).or(db.table());
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    let words = match means(code) {
        Some(means) => format!("PostgreSQL says {code}{place}: {means}"),
        None => format!("PostgreSQL says {code}{place}"),
    };
    // A full disk needs a person; other shortages pass, and so do shut-downs, lost connections,
    // lost locks and a server that is still (or again) a standby.
    let class = code.get(..2).unwrap_or_default();
    let passes =
        matches!(class, "08" | "40" | "53" | "57") || matches!(code, "55P03" | "25P03" | "25006");
    if passes && code != "53100" {
        Fault::Retry(words)
    } else {
        Fault::Broken(words)
    }
}
