//! How the world fails. It is not a refusal (the rules say no) and not a panic (we are wrong).

/// The world failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing was done; the same again may well work.
    #[error("temporarily unavailable: {0}")]
    Retry(String),
    /// It may have been done or not; ask before doing it again.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// Nothing was done and a person must look: a failing disk, a server's full disk, a file that is
    /// none of ours.
    #[error("broken: {0}")]
    Broken(String),
    /// Nothing was done: the books are damaged, and nothing is written to them until a person has
    /// looked.
    #[error("books_damaged: {0}")]
    Damaged(String),
    /// Nothing was done: another process has the books open for writing.
    #[error("books_held: {0}")]
    Held(String),
    /// Nothing was done: a newer program changed the books' tables in a way that this one cannot
    /// follow.
    #[error("schema_too_new: {0}")]
    Newer(String),
}

impl Fault {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Retry(_) => "temporarily_unavailable",
            Fault::Unknown(_) => "outcome_unknown",
            Fault::Broken(_) => "broken",
            Fault::Damaged(_) => "books_damaged",
            Fault::Held(_) => "books_held",
            Fault::Newer(_) => "schema_too_new",
        }
    }
}
