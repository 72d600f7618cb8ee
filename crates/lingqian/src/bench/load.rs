//! What the made-up app says: every event is a function of the seed and its number, so an earlier
//! one can be sent again without having been remembered.

use lingqian_core::EventView;
use lingqian_core::id::UserId;
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;

use crate::bench::options::{Ids, Spread};
use crate::bench::zipf::Zipf;

/// The source of all events.
pub(crate) const SOURCE: &str = "bench";

/// Whom an event names that is to be refused.
const NOBODY: &str = "nobody";

/// When the first event happened, in Unix milliseconds: 2026-01-01 in Beijing. It does not depend
/// on the run, so that the same seed makes the same events.
const FIRST_MS: i64 = 1_767_196_800_000;

/// So many events happen in one millisecond.
const PER_MS: u64 = 1_000;

/// The kinds that the app pays for: code, smallest and largest amount in micro-yuan, weight of a
/// hundred. They are those of the ordinary catalogue; `sign_in` has a price there, so its events
/// bring no amount.
const KINDS: [(&str, u64, u64, u64); 4] = [
    ("ad_view", 300, 12_000, 70),
    ("sign_in", 2_500, 2_500, 10),
    ("task_done", 10_000, 200_000, 15),
    ("commission", 1_000, 900_000, 5),
];

/// The place of `sign_in` among them.
const PRICED: usize = 1;

/// An app with users and habits.
pub(crate) struct Load {
    seed: u64,
    users: u32,
    zipf: Option<Zipf>,
    ids: Ids,
}

/// One event, but for its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its number.
    pub(crate) number: u64,
    /// Who earned.
    pub(crate) user: u32,
    kind: usize,
    /// What it brings when it is credited.
    pub(crate) brings: Micros,
    at: Timestamp,
}

/// A bijection that looks random (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Load {
    /// An app of so many users.
    pub(crate) fn new(seed: u64, users: u32, spread: Spread, ids: Ids) -> Load {
        Load {
            seed: mix(seed),
            users,
            zipf: (spread == Spread::Zipf).then(|| Zipf::new(users, seed)),
            ids,
        }
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> u32 {
        self.users
    }

    /// The bits that decide about an event, the same ones for each number and purpose.
    fn bits(&self, number: u64, purpose: u64) -> u64 {
        mix(mix(self.seed ^ number).wrapping_add(purpose))
    }

    /// The event of a number.
    pub(crate) fn event(&self, number: u64) -> Event {
        let bits = self.bits(number, 1);
        let user = self.zipf.as_ref().map_or_else(
            || (((bits >> 32) * u64::from(self.users)) >> 32) as u32,
            |zipf| zipf.draw(bits),
        );
        let bits = self.bits(number, 2);
        let mut pick = bits % 100;
        let mut kind = 0;
        while pick >= KINDS[kind].3 {
            pick -= KINDS[kind].3;
            kind += 1;
        }
        let (_, least, most, _) = KINDS[kind];
        let brings = least + (bits >> 32) % (most - least + 1);
        let order = number % crate::bench::mix::STREAM;
        Event {
            number,
            user,
            kind,
            brings: Micros(i64::try_from(brings).unwrap_or(i64::MAX)),
            at: Timestamp(FIRST_MS).after_ms(i64::try_from(order / PER_MS).unwrap_or(0)),
        }
    }

    /// Hands out the event with its texts; one that is to be refused names a user whom nobody
    /// registered.
    pub(crate) fn view<R>(
        &self,
        event: &Event,
        refused: bool,
        with: impl FnOnce(&EventView<'_>) -> R,
    ) -> R {
        let mut id = [0; 36];
        let mut user = [0; 12];
        with(&EventView {
            source: SOURCE,
            event_id: self.id(event, &mut id),
            user: if refused {
                NOBODY
            } else {
                user_text(event.user, &mut user)
            },
            kind: KINDS[event.kind].0,
            amount: (event.kind != PRICED).then_some(event.brings),
            occurred_at: Some(event.at),
            from: None,
            reverses: None,
        })
    }

    fn id<'a>(&self, event: &Event, text: &'a mut [u8; 36]) -> &'a str {
        let (high, low) = (self.bits(event.number, 3), self.bits(event.number, 4));
        let number = (u128::from(high) << 64) | u128::from(low);
        let time = u128::from(event.at.0.unsigned_abs()) << 80;
        let (number, version) = match self.ids {
            Ids::Random | Ids::RandomHex => (number, 4),
            Ids::Ordered => (time | (number & ((1 << 80) - 1)), 7),
        };
        let number = number & !(0xf << 76) & !(0b11 << 62);
        let number = number | (version << 76) | (0b10 << 62);
        let hyphens = self.ids != Ids::RandomHex;
        let mut end = 0;
        for digit in 0..32_u32 {
            if hyphens && [8, 12, 16, 20].contains(&digit) {
                text[end] = b'-';
                end += 1;
            }
            let value = (number >> (124 - 4 * digit)) as usize & 0xf;
            text[end] = b"0123456789abcdef"[value];
            end += 1;
        }
        std::str::from_utf8(&text[..end]).unwrap_or_default()
    }
}

/// The app's name for a user.
fn user_text(user: u32, text: &mut [u8; 12]) -> &str {
    *text = *b"u-0000000000";
    let (mut rest, mut place) = (user, text.len());
    while rest > 0 {
        place -= 1;
        text[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    std::str::from_utf8(text).unwrap_or_default()
}

/// The same as a type.
pub(crate) fn user_id(user: u32) -> UserId {
    UserId::parse(user_text(user, &mut [0; 12])).expect("letters, digits and a hyphen")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id(load: &Load, number: u64) -> String {
        load.view(&load.event(number), false, |view| view.event_id.to_owned())
    }

    #[test]
    fn an_event_is_a_function_of_seed_and_number() {
        let load = Load::new(5, 100, Spread::Zipf, Ids::Random);
        let again = Load::new(5, 100, Spread::Zipf, Ids::Random);
        let other = Load::new(6, 100, Spread::Zipf, Ids::Random);
        let ids: BTreeSet<String> = (0..1_000).map(|number| id(&load, number)).collect();
        assert_eq!(ids.len(), 1_000, "every number has its own id");
        for number in 0..1_000 {
            assert_eq!(load.event(number), again.event(number));
            assert_eq!(id(&load, number), id(&again, number));
            assert_ne!(id(&load, number), id(&other, number));
            assert!(load.event(number).user < 100);
        }
    }

    #[test]
    fn ids_look_as_apps_make_them() {
        let of = |ids| Load::new(1, 1, Spread::Uniform, ids);
        let random = id(&of(Ids::Random), 9);
        assert_eq!(
            (random.len(), &random[8..9], &random[14..15]),
            (36, "-", "4")
        );
        assert!("89ab".contains(&random[19..20]), "{random}");
        assert_eq!(id(&of(Ids::RandomHex), 9), random.replace('-', ""));
        let ordered = of(Ids::Ordered);
        assert_eq!(&id(&ordered, 9)[14..15], "7");
        assert!(
            id(&ordered, 1) < id(&ordered, 1_001),
            "the time comes first"
        );
    }

    #[test]
    fn users_have_names_of_one_length() {
        assert_eq!(user_id(0).as_str(), "u-0000000000");
        assert_eq!(user_id(u32::MAX).as_str(), "u-4294967295");
    }
}
