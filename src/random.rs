//! Random numbers that are the same on every machine and depend on nothing but their seed.

use sha2::{Digest, Sha256};

/// A stream of random numbers: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Stream `number` of `seed`.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Self(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
        random.next_u64();
        random
    }

    /// A stream of `seed` of its own for `text`.
    pub fn of_text(seed: u64, text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let number = digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte));
        Self::new(seed, number)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// The numbers below `count` in random order (Fisher & Yates).
    pub fn permutation(&mut self, count: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..count as i64).collect();
        for last in (1..count).rev() {
            order.swap(last, self.uniform(0.0, (last + 1) as f64) as usize);
        }
        order
    }

    /// `count` numbers, uniform, of mean 0 and the given standard deviation.
    pub fn spread(&mut self, count: usize, deviation: f64) -> Vec<f64> {
        let half = 3.0_f64.sqrt() * deviation;
        (0..count).map(|_| self.uniform(-half, half)).collect()
    }

    /// Uniform in `0..count`, which is not empty (to 2⁻⁶⁴ of `count`).
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next_u64()) * count as u128) >> 64) as usize
    }

    /// Puts a list into random order, every order as likely as the others (Fisher, Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}
