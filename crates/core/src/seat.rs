//! A place in a batch: many payouts that go out in one request, under one number of their own.
//!
//! A batch is made in one commit and never gains or loses a member. Each member's order says which
//! batch it is in, where, and of how many, so that whoever holds some of them can tell whether it
//! holds all: a batch is sent whole or not at all.

use std::fmt;

use crate::id::{IdFault, OutBillNo};

/// Which place of which batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    batch: OutBillNo,
    place: u16,
    of: u16,
}

impl Seat {
    /// The largest batch that can be written.
    pub const SEATS_MAX: u16 = 9_999;

    /// The `place`th (from 1) of so many places; nothing where there is no such place. A batch has
    /// at least two.
    #[must_use]
    pub fn new(batch: OutBillNo, place: u16, of: u16) -> Option<Seat> {
        let fits = (2..=Self::SEATS_MAX).contains(&of) && (1..=of).contains(&place);
        fits.then_some(Seat { batch, place, of })
    }

    /// The batch's number: that of the order in its first place.
    #[must_use]
    pub fn batch(&self) -> OutBillNo {
        self.batch
    }

    /// Which place, from 1.
    #[must_use]
    pub fn place(&self) -> u16 {
        self.place
    }

    /// How many places the batch has.
    #[must_use]
    pub fn of(&self) -> u16 {
        self.of
    }

    /// Reads what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// [`IdFault::Form`] for anything else.
    pub fn parse(text: &str) -> Result<Seat, IdFault> {
        let mut parts = text.split('/');
        let (batch, place, of) = (parts.next(), parts.next(), parts.next());
        let count = |part: Option<&str>| {
            let four = part.filter(|part| part.len() == 4);
            let digits = four.filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|part| part.parse::<u16>().ok())
        };
        let batch = OutBillNo::parse(batch.unwrap_or_default())?;
        let seat = count(place).zip(count(of));
        let seat = seat.and_then(|(place, of)| Seat::new(batch, place, of));
        match (seat, parts.next()) {
            (Some(seat), None) => Ok(seat),
            _ => Err(IdFault::Form),
        }
    }

    /// Whether these are all seats of one batch, each once.
    #[must_use]
    pub fn are_whole(seats: &[Seat]) -> bool {
        let Some(first) = seats.first() else {
            return false;
        };
        let mut places: Vec<u16> = seats.iter().map(|seat| seat.place).collect();
        places.sort_unstable();
        seats
            .iter()
            .all(|seat| (seat.batch, seat.of) == (first.batch, first.of))
            && places.into_iter().eq(1..=first.of)
    }
}

/// The number, the place and how many: it sorts as the places do.
impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:04}/{:04}", self.batch, self.place, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PayoutId;
    use crate::time::Timestamp;

    fn seat(place: u16, of: u16) -> Seat {
        let batch = OutBillNo::new(PayoutId::new(Timestamp(1), 1), 1);
        Seat::new(batch, place, of).expect("such a place exists")
    }

    #[test]
    fn a_seat_reads_back_and_nothing_else_does() {
        let written = seat(3, 300).to_string();
        assert!(written.ends_with("01/0003/0300"), "{written}");
        assert_eq!(Seat::parse(&written), Ok(seat(3, 300)));
        let batch = seat(1, 2).batch();
        for text in [
            "0000/0300",
            "0301/0300",
            "0001/0001",
            "3/300",
            "0001/+002",
            "0001",
            "",
        ] {
            let text = format!("{batch}/{text}");
            assert_eq!(Seat::parse(&text), Err(IdFault::Form), "{text}");
        }
        let more = format!("{}/0001", seat(1, 2));
        assert_eq!(Seat::parse(&more), Err(IdFault::Form));
        assert_eq!(Seat::parse("plfk/0001/0002"), Err(IdFault::Form));
        assert_eq!(Seat::new(batch, 1, 1), None, "one alone is no batch");
    }

    #[test]
    fn a_batch_is_whole_when_each_place_is_there_once() {
        let all = [seat(2, 3), seat(1, 3), seat(3, 3)];
        assert!(Seat::are_whole(&all));
        assert!(!Seat::are_whole(&all[..2]), "one is missing");
        assert!(!Seat::are_whole(&[seat(1, 3), seat(2, 3), seat(2, 3)]));
        assert!(!Seat::are_whole(&[seat(1, 2), seat(2, 3)]));
        assert!(!Seat::are_whole(&[]));
    }
}
