//! The fund-flow bill: read in a fixed amount of memory, checked as a whole before anything of it
//! is booked.

pub mod check;
pub mod desk;
pub mod fault;
pub mod read;
pub mod unpack;
pub mod value;

use lingqian_core::time::BusinessDate;

pub use check::{Checked, Expected, check};
pub use desk::{BillDesk, Place};
pub use fault::BillFault;
pub use read::{BillReader, Row, Sums};
pub use unpack::Unpacked;

/// The accounts that payouts may leave, in the order in which they are asked for.
pub const ACCOUNTS: [&str; 2] = ["OPERATION", "BASIC"];

/// What asks for the bill of a day.
#[must_use]
pub fn apply_path(date: BusinessDate, account: &str) -> String {
    format!("/v3/bill/fundflowbill?bill_date={date}&account_type={account}&tar_type=GZIP")
}
