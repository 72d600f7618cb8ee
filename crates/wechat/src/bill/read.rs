//! Reads a bill line by line in a fixed amount of memory. Columns are found by their names, every
//! value is preceded by a backtick, and the totals at the end are those of the lines.

use std::io::Read;
use std::str;

use lingqian_core::money::Fen;
use lingqian_core::reconcile::{BillLine, Direction};
use lingqian_core::time::{BusinessDate, Timestamp};

use super::fault::BillFault;
use super::value::{self, Moments};

/// The longest line, in bytes.
pub const LINE_MAX: usize = 64 * 1024;
/// So much of the file is held at once, in bytes.
const HELD: usize = 4 * LINE_MAX;
/// The most columns of a bill.
const COLUMNS_MAX: usize = 64;

/// The columns that are looked at, as the header names them.
const COLUMNS: [&str; 9] = [
    "记账时间",
    "微信支付业务单号",
    "资金流水单号",
    "业务名称",
    "收支类型",
    "收支金额(元)",
    "账户结余(元)",
    "业务凭证号",
    "资金变更提交申请人",
];
const TIME: usize = 0;
const BUSINESS: usize = 1;
const FLOW: usize = 2;
const WORDS: usize = 3;
const DIRECTION: usize = 4;
const AMOUNT: usize = 5;
const BALANCE: usize = 6;
const VOUCHER: usize = 7;
const APPLICANT: usize = 8;
/// Columns from here on may be missing.
const NEEDED: usize = APPLICANT;

/// One line, in the reader's memory.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Which line of the file it is.
    pub no: u64,
    /// When it was booked.
    pub booked_at: Timestamp,
    /// Which day that is.
    pub day: BusinessDate,
    /// Out or in.
    pub direction: Direction,
    /// How much; positive.
    pub amount: Fen,
    /// The account's balance after it.
    pub balance: Fen,
    /// WeChat's number of the movement.
    pub flow_no: &'a str,
    /// WeChat's business number.
    pub business_no: &'a str,
    /// The merchant's number.
    pub voucher: &'a str,
    /// The words for it.
    pub words: &'a str,
    /// Who asked for it; empty where the bill does not say.
    pub applicant: &'a str,
}

impl Row<'_> {
    /// The line as it is booked.
    #[must_use]
    pub fn owned(&self) -> BillLine {
        BillLine {
            flow_no: self.flow_no.to_owned(),
            booked_at: self.booked_at,
            business_no: self.business_no.to_owned(),
            voucher: self.voucher.to_owned(),
            direction: self.direction,
            amount: self.amount,
            balance: self.balance,
            words: self.words.to_owned(),
        }
    }
}

/// What a bill adds up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// How many lines.
    pub count: u64,
    /// How many of them came in.
    pub incoming: u64,
    /// The sum of what left.
    pub out: Fen,
    /// The sum of what came in.
    pub came_in: Fen,
}

/// A reader of one bill.
pub struct BillReader<R> {
    lines: LineReader<R>,
    columns: Columns,
    moments: Moments,
    sums: Sums,
    ended: bool,
}

impl<R: Read> BillReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none, or a column is missing.
    pub fn open(input: R) -> Result<BillReader<R>, BillFault> {
        let mut lines = LineReader::new(input);
        let header = lines.next_full()?.ok_or(BillFault::Empty)?;
        let columns = Columns::of(header);
        // A header without an end is one that is still on its way.
        let columns = match columns {
            Err(BillFault::Empty) => return Err(BillFault::Empty),
            Err(_) if lines.unended => return Err(BillFault::Incomplete(1)),
            columns => columns?,
        };
        Ok(BillReader {
            lines,
            columns,
            moments: Moments::default(),
            sums: Sums {
                count: 0,
                incoming: 0,
                out: Fen::ZERO,
                came_in: Fen::ZERO,
            },
            ended: false,
        })
    }

    /// The next line; none after the totals, which are those of the lines then and the last thing in
    /// the file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>, BillFault> {
        if self.ended {
            return Ok(None);
        }
        let range = self.lines.next_range()?;
        let no = self.lines.no;
        if let Some(totals) = self.lines.at(range).and_then(Totals::of_header) {
            self.ended = true;
            return self.totals(&totals).map(|()| None);
        }
        let Some(line) = self.lines.at(range) else {
            return Err(BillFault::Incomplete(no));
        };
        let row = match self.columns.row(line, no, &mut self.moments) {
            // A last line without an end is one that is still on its way.
            Err(_) if self.lines.unended => return Err(BillFault::Incomplete(no)),
            row => row?,
        };
        let sum = match row.direction {
            Direction::Out => &mut self.sums.out,
            Direction::In => &mut self.sums.came_in,
        };
        *sum = sum.plus(row.amount).ok_or(BillFault::SumTooLarge)?;
        self.sums.incoming += u64::from(row.direction == Direction::In);
        self.sums.count += 1;
        Ok(Some(row))
    }

    /// What the lines so far add up to.
    #[must_use]
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// Gives the input back.
    #[must_use]
    pub fn into_input(self) -> R {
        self.lines.input
    }

    fn totals(&mut self, totals: &Totals) -> Result<(), BillFault> {
        let sums = self.sums;
        let line = self.lines.next_full()?;
        let Some(line) = line else {
            return Err(BillFault::Incomplete(self.lines.no));
        };
        let said = totals.read(line);
        let no = self.lines.no;
        let unended = self.lines.unended;
        let wrong = |what| match unended {
            true => Err(BillFault::Incomplete(no)),
            false => Err(BillFault::TotalsWrong { line: no, what }),
        };
        if said.count != Some(sums.count) {
            return wrong("the number of lines");
        }
        if said.incoming != Some(sums.incoming) {
            return wrong("the number of lines that came in");
        }
        if said.outgoing != Some(sums.count - sums.incoming) {
            return wrong("the number of lines that left");
        }
        if said.came_in != Some(sums.came_in) {
            return wrong("the sum of what came in");
        }
        if said.out != Some(sums.out) {
            return wrong("the sum of what left");
        }
        match self.lines.next_full()? {
            Some(_) => Err(BillFault::Trailing(self.lines.no)),
            None => Ok(()),
        }
    }
}

/// Where each column that is looked at stands.
struct Columns {
    /// Which of them stands at a place.
    at: Vec<Option<usize>>,
}

impl Columns {
    fn of(header: &[u8]) -> Result<Columns, BillFault> {
        let header = str::from_utf8(header).map_err(|_| BillFault::NotUtf8(1))?;
        let header = header.strip_prefix('\u{feff}').unwrap_or(header);
        if header.is_empty() {
            return Err(BillFault::Empty);
        }
        let names: Vec<String> = header.split(',').take(COLUMNS_MAX).map(normal).collect();
        let mut at = vec![None; names.len()];
        for (slot, column) in COLUMNS.into_iter().enumerate() {
            let mut found = names.iter().enumerate().filter(|(_, name)| *name == column);
            match (found.next(), found.next()) {
                (None, _) if slot >= NEEDED => {}
                (None, _) => return Err(BillFault::ColumnMissing(column)),
                (Some(_), Some(_)) => return Err(BillFault::ColumnTwice(column)),
                (Some((place, _)), None) => at[place] = Some(slot),
            }
        }
        Ok(Columns { at })
    }

    fn row<'a>(
        &self,
        line: &'a [u8],
        no: u64,
        moments: &mut Moments,
    ) -> Result<Row<'a>, BillFault> {
        let mut values: [&[u8]; COLUMNS.len()] = [&[]; COLUMNS.len()];
        let mut found = 0;
        let rest = line.get(1..).unwrap_or_default();
        for value in Values(Some(rest)) {
            if let Some(Some(slot)) = self.at.get(found) {
                values[*slot] = value;
            }
            found += 1;
        }
        if found != self.at.len() {
            return Err(BillFault::ValuesMiscounted {
                line: no,
                found,
                columns: self.at.len(),
            });
        }
        let unreadable = |slot: usize| BillFault::ValueUnreadable {
            line: no,
            column: COLUMNS[slot],
        };
        let text = |slot: usize| str::from_utf8(values[slot]).map_err(|_| BillFault::NotUtf8(no));
        let (booked_at, day) = moments.read(values[TIME]).ok_or_else(|| unreadable(TIME))?;
        let direction = match text(DIRECTION)? {
            "支出" => Direction::Out,
            "收入" => Direction::In,
            _ => return Err(unreadable(DIRECTION)),
        };
        let amount = value::yuan(values[AMOUNT]).filter(|amount| *amount > Fen::ZERO);
        let flow_no = text(FLOW)?;
        if flow_no.is_empty() {
            return Err(unreadable(FLOW));
        }
        Ok(Row {
            no,
            booked_at,
            day,
            direction,
            amount: amount.ok_or_else(|| unreadable(AMOUNT))?,
            balance: value::yuan(values[BALANCE]).ok_or_else(|| unreadable(BALANCE))?,
            flow_no,
            business_no: text(BUSINESS)?,
            voucher: text(VOUCHER)?,
            words: text(WORDS)?,
            applicant: text(APPLICANT)?,
        })
    }
}

/// The values of a line, whose first backtick is gone: they end where a comma and a backtick are.
struct Values<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0.take()?;
        let mut from = 0;
        while let Some(at) = memchr::memchr(b'`', text.get(from..)?) {
            let at = from + at;
            if at > 0 && text[at - 1] == b',' {
                self.0 = text.get(at + 1..);
                return text.get(..at - 1);
            }
            from = at + 1;
        }
        Some(text)
    }
}

/// Where the totals stand.
struct Totals([Option<usize>; 5]);

#[derive(Default)]
struct Said {
    count: Option<u64>,
    incoming: Option<u64>,
    outgoing: Option<u64>,
    came_in: Option<Fen>,
    out: Option<Fen>,
}

impl Totals {
    /// A line without a backtick is the header of the totals.
    fn of_header(line: &[u8]) -> Option<Totals> {
        if line.starts_with(b"`") {
            return None;
        }
        let header = String::from_utf8_lossy(line);
        let names: Vec<String> = header.split(',').take(COLUMNS_MAX).map(normal).collect();
        let place = |start: &str| names.iter().position(|name| name.starts_with(start));
        Some(Totals([
            place("资金流水总笔数"),
            place("收入笔数"),
            place("支出笔数"),
            place("收入金额"),
            place("支出金额"),
        ]))
    }

    fn read(&self, line: &[u8]) -> Said {
        let plain = line.strip_prefix(b"`").unwrap_or(line);
        let values: Vec<&[u8]> = Values(Some(plain)).take(COLUMNS_MAX).collect();
        let at = |total: usize| {
            let place = self.0.get(total).copied().flatten()?;
            values.get(place).copied()
        };
        Said {
            count: at(0).and_then(value::count),
            incoming: at(1).and_then(value::count),
            outgoing: at(2).and_then(value::count),
            came_in: at(3).and_then(value::yuan),
            out: at(4).and_then(value::yuan),
        }
    }
}

/// Brackets occur in two widths.
fn normal(name: &str) -> String {
    let name = name.trim();
    let name = name.strip_prefix('`').unwrap_or(name);
    name.replace('（', "(").replace('）', ")")
}

/// Cuts a file into lines, whichever way they end.
struct LineReader<R> {
    input: R,
    held: Vec<u8>,
    start: usize,
    end: usize,
    whole: bool,
    /// The line that was read last has no end.
    unended: bool,
    no: u64,
}

impl<R: Read> LineReader<R> {
    fn new(input: R) -> LineReader<R> {
        LineReader {
            input,
            held: vec![0; HELD],
            start: 0,
            end: 0,
            whole: false,
            unended: false,
            no: 0,
        }
    }

    /// The next line that is not empty.
    fn next_full(&mut self) -> Result<Option<&[u8]>, BillFault> {
        let range = self.next_range()?;
        Ok(self.at(range))
    }

    fn at(&self, range: Option<(usize, usize)>) -> Option<&[u8]> {
        let (from, to) = range?;
        self.held.get(from..to)
    }

    fn next_range(&mut self) -> Result<Option<(usize, usize)>, BillFault> {
        loop {
            let held = self.held.get(self.start..self.end).unwrap_or_default();
            let (from, mut to) = match memchr::memchr(b'\n', held) {
                Some(length) => {
                    let from = self.start;
                    self.start += length + 1;
                    (from, from + length)
                }
                None if self.whole => {
                    if held.is_empty() {
                        return Ok(None);
                    }
                    let from = self.start;
                    (self.start, self.unended) = (self.end, true);
                    (from, self.end)
                }
                None => {
                    self.fill()?;
                    continue;
                }
            };
            self.no += 1;
            if to > from && self.held.get(to - 1) == Some(&b'\r') {
                to -= 1;
            }
            if to - from > LINE_MAX {
                return Err(BillFault::LineTooLong(self.no));
            }
            if to > from {
                return Ok(Some((from, to)));
            }
        }
    }

    fn fill(&mut self) -> Result<(), BillFault> {
        if self.end - self.start > LINE_MAX {
            return Err(BillFault::LineTooLong(self.no + 1));
        }
        self.held.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let free = self.held.get_mut(self.end..).unwrap_or_default();
        let read = loop {
            match self.input.read(free) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += read;
        self.whole = read == 0;
        Ok(())
    }
}
