//! A bill as a whole: its hash, every line, its day, its merchant and its totals are looked at
//! before the first line is booked. Then it is read once more, line by line.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};

use lingqian_core::id::MchId;
use lingqian_core::money::Fen;
use lingqian_core::reconcile::BillLine;
use lingqian_core::time::BusinessDate;
use lingqian_io::Fault;
use lingqian_io::rail::BillFile;

use super::fault::BillFault;
use super::read::{BillReader, Sums};
use super::unpack::Unpacked;

/// What a file has to be.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Whose bill.
    pub mchid: MchId,
    /// Of which day.
    pub date: BusinessDate,
    /// SHA-1 or SHA-256 of the unpacked file in hex, where somebody said it.
    pub hash: Option<String>,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// SHA-1 of the unpacked file.
    pub sha1: String,
    /// What its lines add up to.
    pub sums: Sums,
    /// The balance before the first line and after the last.
    pub balances: Option<(Fen, Fen)>,
}

/// Reads a file from its beginning to its end.
///
/// # Errors
/// The first thing that is wrong. A file that is not the one that was hashed is called so and
/// nothing else, unless it does not even unpack.
pub fn check(file: impl Read, expected: &Expected) -> Result<Checked, BillFault> {
    let said = expected.hash.as_deref().map(said).transpose()?;
    let with_sha256 = said.as_ref().is_some_and(|said| said.len() == 64);
    let mut unpacked = Unpacked::of(file)?.hashing(with_sha256);
    let looked = look(&mut unpacked, expected);
    if let (Err(fault), None) = (&looked, &said) {
        return Err(fault.clone());
    }
    // What the lines did not want is hashed, too.
    let rest = std::io::copy(&mut unpacked, &mut std::io::sink());
    match (&looked, rest) {
        (Err(fault @ (BillFault::PackedShort | BillFault::PackedBroken)), _) => {
            return Err(fault.clone());
        }
        (_, Err(error)) => return Err(error.into()),
        _ => {}
    }
    let (sha1, sha256) = unpacked.hashes();
    if let Some(expected) = said {
        let found = sha256.unwrap_or_else(|| sha1.clone());
        if found != expected {
            return Err(BillFault::HashWrong { expected, found });
        }
    }
    let (sums, balances) = looked?;
    Ok(Checked {
        sha1,
        sums,
        balances,
    })
}

fn said(hash: &str) -> Result<String, BillFault> {
    let digits = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits && (hash.len() == 40 || hash.len() == 64) {
        Ok(hash.to_ascii_lowercase())
    } else {
        Err(BillFault::HashUnreadable)
    }
}

type Looked = (Sums, Option<(Fen, Fen)>);

fn look(input: impl Read, expected: &Expected) -> Result<Looked, BillFault> {
    let mut reader = BillReader::open(input)?;
    let mut balances: Option<(Fen, Fen)> = None;
    let mut stranger: Option<(u64, String)> = None;
    let mut ours = false;
    while let Some(row) = reader.next_row()? {
        if row.day != expected.date {
            return Err(BillFault::OtherDay {
                line: row.no,
                found: row.day.to_string(),
            });
        }
        if let (false, Some(named)) = (ours, merchant(row.applicant)) {
            ours = named == expected.mchid.as_str();
            if !ours && stranger.is_none() {
                stranger = Some((row.no, named.to_owned()));
            }
        }
        let before = || match row.direction {
            lingqian_core::reconcile::Direction::Out => row.balance.0.saturating_add(row.amount.0),
            lingqian_core::reconcile::Direction::In => row.balance.0.saturating_sub(row.amount.0),
        };
        let opening = balances.map_or_else(|| Fen(before()), |(opening, _)| opening);
        balances = Some((opening, row.balance));
    }
    match stranger {
        Some((line, found)) if !ours => Err(BillFault::OtherMerchant { line, found }),
        _ => Ok((reader.sums(), balances)),
    }
}

/// The merchant that is named as who asked for a movement: `1900000109API`, `员工@1900000109`. A
/// service provider may stand there too, so a bill is another's only when nobody else is named.
fn merchant(applicant: &str) -> Option<&str> {
    let named = match applicant.rsplit_once('@') {
        Some((_, named)) => named,
        None => applicant.strip_suffix("API")?,
    };
    let digits = named.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (8..=10).contains(&named.len())).then_some(named)
}

/// Checks a file that is kept somewhere, and makes a bill of it that is read from there.
///
/// # Errors
/// As [`check`].
pub fn bill(mut file: File, expected: &Expected) -> Result<BillFile, Fault> {
    let again = |file: &mut File| file.seek(SeekFrom::Start(0)).map_err(BillFault::from);
    again(&mut file)?;
    let checked = check(&file, expected)?;
    again(&mut file)?;
    Ok(BillFile {
        sha1: checked.sha1,
        count: checked.sums.count,
        out: checked.sums.out,
        came_in: checked.sums.came_in,
        balances: checked.balances,
        lines: Box::new(Rows {
            reader: BillReader::open(Unpacked::of(file)?)?,
            ended: false,
        }),
    })
}

/// The lines of a file that was checked.
struct Rows<R> {
    reader: BillReader<R>,
    ended: bool,
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<BillLine, Fault>;

    fn next(&mut self) -> Option<Result<BillLine, Fault>> {
        if self.ended {
            return None;
        }
        let next = self.reader.next_row();
        let next = next.map(|row| row.map(|row| row.owned()));
        self.ended = !matches!(next, Ok(Some(_)));
        next.map_err(Fault::from).transpose()
    }
}
