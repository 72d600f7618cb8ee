//! Files that others deliver, and files that are kept.

use std::fmt::Debug;
use std::fs::File;
use std::future::Future;
use std::pin::Pin;

use crate::Fault;

/// What is waited for. Boxed, because places are chosen by configuration.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// What came of looking for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing of that name is there.
    Absent,
    /// It is there and still grows.
    Arriving,
    /// Here it is, so many bytes long.
    Whole(u64),
}

/// A place where somebody puts files for us: a folder, a server. It is only read.
pub trait Shelf: Debug + Send + Sync + 'static {
    /// What it is called where people read, without a secret.
    fn name(&self) -> String;

    /// Copies a file of that name, below the place, to the beginning of an empty file.
    ///
    /// # Errors
    /// [`Fault::Retry`] when the place does not answer, [`Fault::Broken`] when a person must look:
    /// a server that cannot prove who it is, a password that is refused, a file that is larger than
    /// `most` bytes.
    fn take<'a>(&'a self, name: &'a str, into: &'a mut File, most: u64) -> Waiting<'a, Taken>;
}

/// What a kept file is. Its name is made of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// What kind it is, such as `bills` or `receipts`; one word.
    pub kind: &'static str,
    /// Whose it is: a merchant's number.
    pub owner: String,
    /// What it is about: a day and an account, or a payout.
    pub about: String,
}

/// Where raw files are kept: sealed, hashed, never changed.
pub trait Archive: Debug + Send + Sync + 'static {
    /// Keeps a file; answers the SHA-256 of it in lower-case hex. The same file again changes
    /// nothing.
    ///
    /// # Errors
    /// A fault when it is not kept.
    fn keep<'a>(&'a self, label: &'a Label, file: &'a mut File) -> Waiting<'a, String>;

    /// What was kept under a label, if it is not larger than `most` bytes; of several the one that
    /// was kept first.
    ///
    /// # Errors
    /// [`Fault::Broken`] when it is there and does not open.
    fn recall<'a>(&'a self, label: &'a Label, most: u64) -> Waiting<'a, Option<Vec<u8>>>;
}
