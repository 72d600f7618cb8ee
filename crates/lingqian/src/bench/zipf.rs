//! Drawing users by Zipf's law in constant time and without approximation.
//!
//! The weights are exact; Walker's alias method in Vose's form turns them into two columns once,
//! and a draw is one look into them. Which user has which rank is shuffled, so that busy users are
//! not neighbours.

/// The exponent that benchmarks of stores commonly use.
const THETA: f64 = 0.99;

/// A distribution over `0..users`.
pub(crate) struct Zipf {
    /// Up to where in a column its own user is drawn, in parts of 2^32.
    cut: Vec<u32>,
    /// Who is drawn above that.
    other: Vec<u32>,
}

impl Zipf {
    /// The columns for so many users.
    pub(crate) fn new(users: u32, seed: u64) -> Zipf {
        let mut weights: Vec<f64> = (1..=users)
            .map(|rank| f64::from(rank).powf(-THETA))
            .collect();
        let sum: f64 = weights.iter().sum();
        let scale = f64::from(users) / sum;
        weights.iter_mut().for_each(|weight| *weight *= scale);
        fastrand::Rng::with_seed(seed).shuffle(&mut weights);
        Zipf::columns(weights)
    }

    /// Each column holds a weight of one: what a light user leaves free a heavy one fills.
    fn columns(mut weights: Vec<f64>) -> Zipf {
        let place = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut cut = vec![u32::MAX; weights.len()];
        let mut other: Vec<u32> = (0..weights.len()).map(place).collect();
        let (mut light, mut heavy): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|index| weights[*index] < 1.0);
        while let (Some(small), Some(large)) = (light.pop(), heavy.last().copied()) {
            cut[small] = (weights[small] * 4_294_967_296.0) as u32;
            other[small] = place(large);
            weights[large] -= 1.0 - weights[small];
            if weights[large] < 1.0 {
                heavy.pop();
                light.push(large);
            }
        }
        Zipf { cut, other }
    }

    /// The user that 64 random bits draw.
    pub(crate) fn draw(&self, bits: u64) -> u32 {
        let column = ((bits >> 32) * self.cut.len() as u64) >> 32;
        let column = column as usize;
        if bits as u32 <= self.cut[column] {
            column as u32
        } else {
            self.other[column]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_follows_the_law() {
        const USERS: u32 = 1_000;
        const DRAWS: u32 = 400_000;
        let zipf = Zipf::new(USERS, 7);
        let mut rng = fastrand::Rng::with_seed(3);
        let mut counts = vec![0_u32; USERS as usize];
        for _ in 0..DRAWS {
            counts[zipf.draw(rng.u64(..)) as usize] += 1;
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let sum: f64 = (1..=USERS).map(|rank| f64::from(rank).powf(-THETA)).sum();
        for rank in [1_u32, 2, 5, 20, 100] {
            let expected = f64::from(DRAWS) * f64::from(rank).powf(-THETA) / sum;
            let found = f64::from(counts[rank as usize - 1]);
            let tolerance = 6.0 * expected.sqrt() + 1.0;
            assert!(
                (found - expected).abs() < tolerance,
                "rank {rank}: {found} instead of {expected:.0}"
            );
        }
    }

    #[test]
    fn a_single_user_is_always_drawn() {
        let zipf = Zipf::new(1, 1);
        assert_eq!(
            [0, u64::MAX / 3, u64::MAX].map(|bits| zipf.draw(bits)),
            [0; 3]
        );
    }
}
