//! What the made-up app says: every event is a function of the seed and its number, so an earlier
//! one can be sent again without having been remembered.

use lingqian_core::EventView;
use lingqian_core::id::UserId;
use lingqian_core::money::Micros;
use lingqian_core::time::Timestamp;

use crate::bench::options::{Ids, Share, Spread};
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

/// What one user sends another is of this kind: code, smallest and largest amount.
const GIFT: (&str, u64, u64) = ("gift", 1_000, 50_000);

/// Half of what is taken back was among so many last new events.
const RECENT: u64 = 10_000;

/// An app with users and habits.
pub(crate) struct Load {
    seed: u64,
    users: u32,
    zipf: Option<Zipf>,
    ids: Ids,
    habits: Habits,
}

/// How many events do something else than earn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Habits {
    /// The share that takes an earlier event back.
    pub(crate) claw_backs: Share,
    /// The share that moves money from one user to another.
    pub(crate) transfers: Share,
}

impl Habits {
    /// Everybody only earns.
    pub(crate) const PLAIN: Habits = Habits {
        claw_backs: Share(0),
        transfers: Share(0),
    };
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Brings new money.
    Earn,
    /// Takes back what an earlier event brought: so much, or all that is left.
    TakeBack(u64, Option<Micros>),
    /// Brings money of that user.
    Give(u32),
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
    /// What it does.
    pub(crate) act: Act,
    /// For one that takes another back: whether that one brought new money.
    pub(crate) reversible: bool,
    at: Timestamp,
}

impl Event {
    /// The code of its kind.
    pub(crate) fn kind(&self) -> &'static str {
        KINDS.get(self.kind).map_or(GIFT.0, |kind| kind.0)
    }
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
            habits: Habits::PLAIN,
        }
    }

    /// The same app with other habits.
    pub(crate) fn with(self, habits: Habits) -> Load {
        Load { habits, ..self }
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> u32 {
        self.users
    }

    /// The bits that decide about an event, the same ones for each number and purpose.
    fn bits(&self, number: u64, purpose: u64) -> u64 {
        mix(mix(self.seed ^ number).wrapping_add(purpose))
    }

    /// Whom chance names.
    fn somebody(&self, bits: u64) -> u32 {
        self.zipf.as_ref().map_or_else(
            || (((bits >> 32) * u64::from(self.users)) >> 32) as u32,
            |zipf| zipf.draw(bits),
        )
    }

    /// The event of a number.
    pub(crate) fn event(&self, number: u64) -> Event {
        let plain = self.plain(number);
        let Habits {
            claw_backs,
            transfers,
        } = self.habits;
        let others = claw_backs.0 + transfers.0;
        let order = number % crate::bench::mix::STREAM;
        if others == 0 || order == 0 {
            return plain;
        }
        let (bits, pick) = self.pick(number);
        if pick < claw_backs.0 {
            let reach = if bits & 1 == 0 { RECENT } else { u64::MAX };
            let back = 1 + (bits >> 8) % order.min(reach);
            let original = self.plain(number - back);
            // Of a few it takes too much.
            let most = original.brings.0.unsigned_abs() * 17 / 16;
            let part = 1 + self.bits(number, 6) % most.max(1);
            let part = (bits & 2 == 0).then(|| micros(part));
            return Event {
                number,
                act: Act::TakeBack(number - back, part),
                reversible: self.earns(number - back),
                at: plain.at,
                ..original
            };
        }
        if pick < others {
            let (_, least, most) = GIFT;
            let amount = least + (bits >> 8) % (most - least + 1);
            return Event {
                kind: KINDS.len(),
                brings: micros(amount),
                act: Act::Give(self.somebody(self.bits(number, 7))),
                ..plain
            };
        }
        plain
    }

    /// The bits that decide what the event of a number does.
    fn pick(&self, number: u64) -> (u64, u32) {
        let bits = self.bits(number, 5);
        (bits, (bits >> 40) as u32 % Share::WHOLE)
    }

    /// Whether the event of a number brings new money.
    fn earns(&self, number: u64) -> bool {
        let others = self.habits.claw_backs.0 + self.habits.transfers.0;
        number.is_multiple_of(crate::bench::mix::STREAM) || self.pick(number).1 >= others
    }

    /// The event of a number where everybody only earns.
    pub(crate) fn plain(&self, number: u64) -> Event {
        let user = self.somebody(self.bits(number, 1));
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
            brings: micros(brings),
            act: Act::Earn,
            reversible: true,
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
        let (mut id, mut original) = ([0; 36], [0; 36]);
        let (mut user, mut sender) = ([0; 12], [0; 12]);
        let mut view = EventView {
            source: SOURCE,
            event_id: self.id((event.number, event.at), &mut id),
            user: if refused {
                NOBODY
            } else {
                user_text(event.user, &mut user)
            },
            kind: event.kind(),
            amount: (event.kind != PRICED).then_some(event.brings),
            occurred_at: Some(event.at),
            from: None,
            reverses: None,
        };
        match event.act {
            Act::Earn => {}
            Act::TakeBack(target, part) => {
                let at = self.plain(target).at;
                view.reverses = Some(self.id((target, at), &mut original));
                view.amount = part;
            }
            Act::Give(from) => view.from = Some(user_text(from, &mut sender)),
        }
        with(&view)
    }

    fn id<'a>(&self, (number, at): (u64, Timestamp), text: &'a mut [u8; 36]) -> &'a str {
        let (high, low) = (self.bits(number, 3), self.bits(number, 4));
        let number = (u128::from(high) << 64) | u128::from(low);
        let time = u128::from(at.0.unsigned_abs()) << 80;
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

/// The codes of the kinds that bring new money.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|kind| kind.0)
}

fn micros(number: u64) -> Micros {
    Micros(i64::try_from(number).unwrap_or(i64::MAX))
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
    fn habits_have_their_shares_and_name_what_was_before() {
        let habits = Habits {
            claw_backs: Share(20_000),
            transfers: Share(40_000),
        };
        let load = Load::new(5, 100, Spread::Zipf, Ids::Random).with(habits);
        let (mut taken, mut given) = (0, 0);
        for number in 0..50_000 {
            let event = load.event(number);
            assert_eq!(event, load.event(number));
            match event.act {
                Act::Earn => assert_eq!(event, load.plain(number)),
                Act::TakeBack(target, part) => {
                    taken += 1;
                    assert!(target < number);
                    assert!(part.is_none_or(|part| part > Micros::ZERO));
                    load.view(&event, false, |view| {
                        assert_eq!(view.reverses, Some(id(&load, target).as_str()));
                        assert_eq!((view.amount, view.from), (part, None));
                    });
                }
                Act::Give(from) => {
                    given += 1;
                    assert!(from < 100);
                    load.view(&event, false, |view| {
                        assert_eq!((view.kind, view.from.is_some()), ("gift", true));
                    });
                }
            }
        }
        assert!((900..1_100).contains(&taken), "{taken} of 1,000");
        assert!((1_850..2_150).contains(&given), "{given} of 2,000");
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
