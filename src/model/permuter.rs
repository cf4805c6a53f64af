//! The order in which taming-transformers' GPT writes the tokens of a picture.
//!
//! Everything published writes row by row. The other orders are those of the paper's comparison. Source:
//! taming-transformers `taming/modules/transformer/permuter.py`; the tables are its `forward_shuffle_idx`.

use serde::{Deserialize, Serialize};

/// An order of the tokens of a square grid; the names are the peer's classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permuter {
    /// Row by row.
    #[default]
    Identity,
    /// Coarse to fine: every other row and column, of those again every other, and so on.
    Subsample,
    /// Along Morton's curve: quarter by quarter, in each of them again quarter by quarter, and so on.
    ZCurve,
    /// From the middle outwards.
    SpiralOut,
    /// From a corner inwards: the reverse of `SpiralOut`.
    SpiralIn,
    /// Shuffled, always in the same way (NumPy's `RandomState(1).permutation`).
    Random,
    /// Row by row, every other row backwards.
    AlternateParsing,
}

impl Permuter {
    /// All orders.
    pub const ALL: [Self; 7] = [
        Self::Identity,
        Self::Subsample,
        Self::ZCurve,
        Self::SpiralOut,
        Self::SpiralIn,
        Self::Random,
        Self::AlternateParsing,
    ];

    /// Which place of the grid each token of a sequence has, `[side * side]`; places are counted row by row.
    ///
    /// `Subsample` and `ZCurve` need a side that is a power of two, and the spirals an even one, as the peer's do.
    pub fn places(self, side: usize) -> Vec<usize> {
        let all = || 0..side * side;
        match self {
            Self::Identity => all().collect(),
            // The lowest bits of row and column decide first, the row before the column.
            Self::Subsample => sorted(side, |row, column| interleave(column, row).reverse_bits()),
            Self::ZCurve => sorted(side, interleave),
            Self::SpiralOut => spiral(side),
            Self::SpiralIn => spiral(side).into_iter().rev().collect(),
            Self::Random => shuffled(side * side),
            Self::AlternateParsing => all()
                .map(|i| (i / side, i % side))
                .map(|(row, column)| row * side + if row % 2 == 1 { side - 1 - column } else { column })
                .collect(),
        }
    }

    /// When each place of the grid is written, the reverse of [`Self::places`]: the peer's `backward_shuffle_idx`.
    pub fn turns(self, side: usize) -> Vec<usize> {
        let mut turns = vec![0; side * side];
        self.places(side).into_iter().enumerate().for_each(|(turn, place)| turns[place] = turn);
        turns
    }
}

/// Places by a number of their row and column, smallest first.
fn sorted(side: usize, number: impl Fn(u32, u32) -> u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..side * side).collect();
    places.sort_by_key(|place| number((place / side) as u32, (place % side) as u32));
    places
}

/// The bits of both in turn, those of `row` the higher of each pair.
fn interleave(row: u32, column: u32) -> u64 {
    (0..32).fold(0, |z, bit| z | u64::from(column >> bit & 1) << (2 * bit) | u64::from(row >> bit & 1) << (2 * bit + 1))
}

/// Up, right, down, left around the middle, with ever longer arms.
fn spiral(side: usize) -> Vec<usize> {
    let mut at = side * (side / 2) + (side / 2).saturating_sub(1);
    let mut places = vec![at];
    // Arms have lengths 1, 1, 2, 2, 3, 3 …; the last one is cut where the grid is full.
    for arm in 0.. {
        for _ in 0..arm / 2 + 1 {
            if places.len() >= side * side {
                places.truncate(side * side);
                return places;
            }
            at = match arm % 4 {
                0 => at - side,
                1 => at + 1,
                2 => at + side,
                _ => at - 1,
            };
            places.push(at);
        }
    }
    places
}

/// NumPy's `RandomState(1).permutation(n)`: Fisher and Yates with the Mersenne Twister MT19937, draws above the bound
/// drawn again.
fn shuffled(n: usize) -> Vec<usize> {
    let mut random = Twister::new(1);
    let mut places: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        let mask = u32::MAX >> (i as u32).leading_zeros();
        let j = std::iter::repeat_with(|| random.next() & mask).find(|j| *j as usize <= i);
        places.swap(i, j.unwrap_or(0) as usize);
    }
    places
}

/// MT19937 (Matsumoto and Nishimura 1998).
struct Twister {
    state: [u32; 624],
    used: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for i in 1..624 {
            let before = state[i - 1];
            state[i] = (before ^ before >> 30).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, used: 624 }
    }

    fn next(&mut self) -> u32 {
        if self.used == 624 {
            for i in 0..624 {
                let y = self.state[i] & 0x8000_0000 | self.state[(i + 1) % 624] & 0x7fff_ffff;
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ y >> 1 ^ odd;
            }
            self.used = 0;
        }
        let mut y = self.state[self.used];
        self.used += 1;
        y ^= y >> 11;
        y ^= y << 7 & 0x9d2c_5680;
        y ^= y << 15 & 0xefc6_0000;
        y ^ y >> 18
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_visits_every_place_once_and_turns_undo_it() {
        for permuter in Permuter::ALL {
            for side in [2, 4, 16] {
                let (places, turns) = (permuter.places(side), permuter.turns(side));
                let mut seen = places.clone();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..side * side), "{permuter:?} of {side}");
                assert!(places.iter().enumerate().all(|(turn, place)| turns[*place] == turn), "{permuter:?} of {side}");
            }
        }
    }

    #[test]
    fn the_twister_gives_its_published_numbers() {
        let mut random = Twister::new(5489);
        assert_eq!(random.next(), 3_499_211_612);
        assert_eq!(
            (1..10_000).map(|_| random.next()).last(),
            Some(4_123_659_995),
            "the ten thousandth, as C++ demands"
        );
    }
}
