//! What a chunk keeps, and for how long.

use super::*;

#[test]
fn a_chunk_reads_back_and_forgets_what_is_over() {
    let today = BusinessDate(100);
    let mut chunk = Chunk::empty();
    chunk.accounts[255] = Account {
        available: i64::MAX,
        held: 1,
        owed: 2,
        newest: 1 << 40,
    };
    let totals = |day| KindDay {
        day: BusinessDate(day),
        count: 3,
        amount: Micros(4),
    };
    chunk.owns.own(255).set_kind_day(7, totals(100));
    chunk.owns.own(0).set_kind_day(7, totals(99));
    for (day, amount) in [(101, 5), (100, 5), (102, 0)] {
        *chunk.owns.own(1).cooling_mut(BusinessDate(day)) = amount;
    }
    let body = chunk.body(Some(today));
    let read = Chunk::read(9, FORM_OWNS, &body).expect("it reads back");
    assert_eq!(read.accounts, chunk.accounts);
    assert_eq!(read.stored_to, 9);
    for place in 0..=255 {
        let own = read.owns.get(place).expect("some have some");
        let kinds = (place == 255).then_some((7, totals(100)));
        let cooling = (place == 1).then_some((BusinessDate(101), Micros(5)));
        assert!(own.kind_days().eq(kinds), "{place}");
        assert!(own.cooling(BusinessDate(0)).eq(cooling), "{place}");
        assert_eq!(own.cooling(BusinessDate(101)).count(), 0);
    }
    for form in [FORM_FIXED, FORM_NUMBERS, FORM_OWNS, 4] {
        assert!(Chunk::read(9, form, &body[1..]).is_none());
    }
    let mut earlier = vec![0; 255 * 32];
    for number in [i64::MAX, 1, 2, 1 << 40] {
        earlier.extend_from_slice(&number.to_le_bytes());
    }
    earlier.extend_from_slice(&[0; 8]);
    let read = Chunk::read(9, FORM_FIXED, &earlier).expect("it reads as it was written");
    assert_eq!(read.accounts, chunk.accounts);
    assert_eq!(read.owns, Owns::default());
}

#[test]
fn what_earlier_versions_wrote_of_kinds_and_days_reads_as_it_was_written() {
    let mut body = vec![0; 256 * 2];
    for count in [1_u32, 2] {
        body.extend_from_slice(&count.to_le_bytes());
    }
    body.extend_from_slice(&[9, 0, 7, 0, 0, 0, 100, 0, 0, 0, 3, 0, 0, 0]);
    body.extend_from_slice(&4_i64.to_le_bytes());
    for day in [102_i32, 101] {
        body.extend_from_slice(&[9, 0]);
        body.extend_from_slice(&day.to_le_bytes());
        body.extend_from_slice(&i64::from(day).to_le_bytes());
    }
    let mut read = Chunk::read(9, FORM_NUMBERS, &body).expect("it reads as it was written");
    let own = read.owns.get(9).expect("some have some").clone();
    let totals = KindDay {
        day: BusinessDate(100),
        count: 3,
        amount: Micros(4),
    };
    assert!(own.kind_days().eq([(7, totals)]));
    let cooling = [101, 102].map(|day| (BusinessDate(day), Micros(i64::from(day))));
    assert!(own.cooling(BusinessDate(0)).eq(cooling));
    let again = Chunk::read(9, FORM_OWNS, &read.body(None)).expect("it reads back");
    assert_eq!(again.owns, read.owns);
    read.body(Some(BusinessDate(102)));
    assert_eq!(read.owns, Owns::default(), "all of it is over");
}

fn days(told: &[i32]) -> Option<BusinessDate> {
    let mut days = Days::default();
    told.iter().for_each(|day| days.see(BusinessDate(*day)));
    days.over()
}

#[test]
fn a_day_is_over_after_seven_later_ones_and_never_by_one_look_at_the_clock() {
    assert_eq!(days(&[100, 101, 102, 103, 104, 105]), None);
    let seven = Some(BusinessDate(100));
    assert_eq!(days(&[100, 101, 102, 103, 104, 105, 106]), seven);
    // Years ahead for one day, and set right.
    assert_eq!(days(&[100, 101, 102, 103, 104, 105, 9_000, 106]), seven);
    // Again: the day that made room for the false one is not known any more.
    let told = [100, 101, 102, 103, 104, 105, 106, 9_500];
    assert_eq!(days(&told), Some(BusinessDate(101)));
    assert_eq!(days(&[&told[..], &[106]].concat()), None);
    // Back by more than was seen: all of it is in doubt.
    assert_eq!(days(&[100, 101, 102, 103, 104, 105, 106, 99]), None);
    assert_eq!(days(&[0; 9]), None, "no entry, no day");
}

#[test]
fn what_cools_off_outlives_a_clock_that_was_years_ahead() {
    let (user, until) = (UserNo(3), BusinessDate(120));
    let mut accounts = Accounts::new(0);
    accounts.chunks.push(Slot {
        chunk: Some(Box::new(Chunk::empty())),
        ..Slot::default()
    });
    accounts.set_cooling(user, until, Micros(5));
    let mut last = 0;
    let mut carried_on = |accounts: &mut Accounts, day: i32| {
        last += 1;
        accounts.see(BusinessDate(day));
        accounts.carry_next(user);
        accounts.cool(user, BusinessDate(day + 20), 0);
        let (chunks, _) = accounts.carry(last, 1, 1 << 16);
        Chunk::read(last, FORM_OWNS, &chunks[0].body).expect("it reads back")
    };
    for day in (90..100).chain([9_000]) {
        let row = carried_on(&mut accounts, day);
        let own = row.owns.get(3).expect("it is there");
        let cooling = own.cooling(BusinessDate(0));
        assert!(cooling.eq([(until, Micros(5))]), "day {day}");
    }
    let ahead = accounts.purse(user, BusinessDate(9_000));
    assert_eq!(
        ahead.cooling,
        Micros::ZERO,
        "by that clock it has cooled off"
    );
    carried_on(&mut accounts, 100);
    assert_eq!(accounts.purse(user, BusinessDate(100)).cooling, Micros(5));
    for day in 101..140 {
        carried_on(&mut accounts, day);
    }
    let chunk = accounts.chunks[0].chunk.as_ref().expect("it is");
    assert_eq!(chunk.owns, Owns::default());
}
