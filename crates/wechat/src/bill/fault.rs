//! What is wrong with a bill, with where and a stable code. Nothing of such a bill is booked.

use lingqian_io::Fault;

/// Why a file is not the bill that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BillFault {
    /// Not one byte.
    #[error("is empty")]
    Empty,
    /// Bytes that are no text.
    #[error("is not UTF-8 in line {0}")]
    NotUtf8(u64),
    /// A column that is needed is not in its header.
    #[error("has no column {0}")]
    ColumnMissing(&'static str),
    /// One column twice: which of them counts, nobody knows.
    #[error("has the column {0} twice")]
    ColumnTwice(&'static str),
    /// More or fewer values than the header has columns.
    #[error("has {found} values in line {line} for {columns} columns")]
    ValuesMiscounted {
        /// Where.
        line: u64,
        /// How many there are.
        found: usize,
        /// How many there should be.
        columns: usize,
    },
    /// A value does not read.
    #[error("has a line {line} that does not read: {column}")]
    ValueUnreadable {
        /// Where.
        line: u64,
        /// In which column.
        column: &'static str,
    },
    /// A line that has no end.
    #[error("has a line {0} that is longer than a line may be")]
    LineTooLong(u64),
    /// It breaks off.
    #[error("ends before its totals, after line {0}: it is not whole")]
    Incomplete(u64),
    /// Its totals are not those of its lines.
    #[error("has wrong totals in line {line}: {what}")]
    TotalsWrong {
        /// Where.
        line: u64,
        /// Which of them.
        what: &'static str,
    },
    /// Something follows the totals.
    #[error("goes on after its totals, in line {0}")]
    Trailing(u64),
    /// More money than there is.
    #[error("adds up to too much")]
    SumTooLarge,
    /// It is not the file that was hashed.
    #[error("has another hash: {expected} was said, {found} was computed")]
    HashWrong {
        /// As it was said.
        expected: String,
        /// As it was computed.
        found: String,
    },
    /// What was said to be its hash is none.
    #[error("comes with a hash that is none: 40 or 64 hexadecimal digits are wanted")]
    HashUnreadable,
    /// The packed file breaks off.
    #[error("breaks off in the middle of the packed file: it is not whole")]
    PackedShort,
    /// The packed file is damaged.
    #[error("does not unpack: the packed file is damaged")]
    PackedBroken,
    /// Unpacked it is larger than a bill may be, or grows as no bill does.
    #[error("unpacks to more than a bill may be, after {0} bytes")]
    TooLarge(u64),
    /// It was booked on another day.
    #[error("is of another day: line {line} was booked on {found}")]
    OtherDay {
        /// Where.
        line: u64,
        /// Which day that is.
        found: String,
    },
    /// Only other merchants are named in it.
    #[error("is another merchant's: its lines name {found}, as in line {line}")]
    OtherMerchant {
        /// Where.
        line: u64,
        /// Who.
        found: String,
    },
    /// The place where it is kept meanwhile fails.
    #[error("could not be read back: {0}")]
    Unreadable(std::io::ErrorKind),
}

impl BillFault {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            BillFault::Empty => "bill_empty",
            BillFault::NotUtf8(_) => "bill_not_utf8",
            BillFault::ColumnMissing(_) => "bill_column_missing",
            BillFault::ColumnTwice(_) => "bill_column_twice",
            BillFault::ValuesMiscounted { .. } => "bill_values_miscounted",
            BillFault::ValueUnreadable { .. } => "bill_value_unreadable",
            BillFault::LineTooLong(_) => "bill_line_too_long",
            BillFault::Incomplete(_) => "bill_incomplete",
            BillFault::TotalsWrong { .. } => "bill_totals_wrong",
            BillFault::Trailing(_) => "bill_trailing",
            BillFault::SumTooLarge => "bill_sum_too_large",
            BillFault::HashWrong { .. } => "bill_hash_wrong",
            BillFault::HashUnreadable => "bill_hash_unreadable",
            BillFault::PackedShort => "bill_packed_short",
            BillFault::PackedBroken => "bill_packed_broken",
            BillFault::TooLarge(_) => "bill_too_large",
            BillFault::OtherDay { .. } => "bill_other_day",
            BillFault::OtherMerchant { .. } => "bill_other_merchant",
            BillFault::Unreadable(_) => "bill_unreadable",
        }
    }

    /// Whether the file looks as one does that is still on its way.
    #[must_use]
    pub fn may_be_arriving(&self) -> bool {
        matches!(
            self,
            BillFault::Empty | BillFault::Incomplete(_) | BillFault::PackedShort
        )
    }
}

impl From<BillFault> for Fault {
    fn from(fault: BillFault) -> Fault {
        let words = format!(
            "{}: the bill {fault}; nothing of it was booked",
            fault.code()
        );
        if fault.may_be_arriving() {
            Fault::Retry(words)
        } else {
            Fault::Broken(words)
        }
    }
}

/// A fault on its way through [`std::io::Read`].
impl From<BillFault> for std::io::Error {
    fn from(fault: BillFault) -> std::io::Error {
        std::io::Error::other(fault)
    }
}

impl From<std::io::Error> for BillFault {
    fn from(error: std::io::Error) -> BillFault {
        let kind = error.kind();
        let inner = error
            .into_inner()
            .map(|inner| inner.downcast::<BillFault>());
        match inner {
            Some(Ok(fault)) => *fault,
            _ => BillFault::Unreadable(kind),
        }
    }
}
