//! Chance that repeats itself. Dice hang in a tree: whoever rolls has dice of its own, made of
//! the seed and a name, so that what is left out of a script does not change what others roll.

/// Dice of one seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Two numbers made into one that depends on every bit of both.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    let mut bits = a ^ b.wrapping_mul(STEP).rotate_left(23);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A name as a number (FNV-1a).
#[must_use]
pub fn named(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3_u64)
    });
    mix(seed, hash)
}

impl Dice {
    /// Dice that roll what this seed says.
    #[must_use]
    pub fn new(seed: u64) -> Dice {
        Dice {
            state: mix(seed, STEP),
        }
    }

    /// The dice of somebody who has a name.
    #[must_use]
    pub fn of(seed: u64, name: &str) -> Dice {
        Dice::new(named(seed, name))
    }

    /// 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state, 0)
    }

    /// A number from zero up to, and without, `limit`; zero when there is none.
    pub fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.roll()) * u128::from(limit);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A place in something of this length.
    pub fn place(&mut self, length: usize) -> usize {
        let place = self.below(u64::try_from(length).unwrap_or(u64::MAX));
        usize::try_from(place).unwrap_or(0)
    }

    /// A number of a range, ends included.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        let width = high.saturating_sub(low).saturating_add(1).max(1);
        let offset = self.below(width.unsigned_abs());
        low.saturating_add(i64::try_from(offset).unwrap_or(0))
    }

    /// Whether something happens that happens so often in a thousand times.
    pub fn chance(&mut self, permille: u32) -> bool {
        self.below(1_000) < u64::from(permille)
    }

    /// One of them; the first of none is a mistake of the caller.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.place(items.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same_and_every_face_comes() {
        let rolls = |seed| {
            let mut dice = Dice::of(seed, "x");
            (0..100).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
        assert!((0..6).all(|face| rolls(1).contains(&face)));
        assert_eq!(Dice::new(1).within(5, 5), 5);
    }
}
