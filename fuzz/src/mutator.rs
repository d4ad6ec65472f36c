//! Making new inputs from known ones, repeatable from a seed.

/// xorshift64*: small, quick, and good enough to choose mutations by.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers for ever.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        // The state must not be zero; the odd constant spreads small seeds.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next_u64() % bound as u64) as usize }
    }
}

/// Longest input that is made, in bytes: a little more than a peer may send before it has a session.
const LONGEST: usize = 20 * 1024;

/// Values at which lengths, counts and tags change their meaning.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x00ff_ffff];

/// Makes inputs from seeds.
#[derive(Clone, Debug)]
pub struct Mutator {
    random: Random,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    /// Starts from `seeds`, or from nothing when there are none.
    #[must_use]
    pub fn new(seed: u64, mut seeds: Vec<Vec<u8>>) -> Self {
        if seeds.is_empty() {
            seeds.push(Vec::new());
        }
        Self { random: Random::from_seed(seed), seeds }
    }

    /// The next input: one of the seeds, changed in one to eight places.
    pub fn next_input(&mut self) -> Vec<u8> {
        let chosen = self.random.below(self.seeds.len());
        let mut input = self.seeds[chosen].clone();
        for _ in 0..=self.random.below(8) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        match self.random.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.random.below(8),
            1 if at < input.len() => input[at] = self.random.next_u64() as u8,
            2 => self.overwrite_with_an_edge(input, at),
            3 => input.truncate(at),
            4 => {
                let end = (at + self.random.below(16)).min(input.len());
                input.drain(at..end);
            }
            5 => {
                let bytes = self.random.next_u64().to_le_bytes();
                let count = 1 + self.random.below(bytes.len());
                input.splice(at..at, bytes[..count].iter().copied());
            }
            6 => {
                let end = (at + self.random.below(64)).min(input.len());
                let block = input[at..end].to_vec();
                input.splice(at..at, block);
            }
            _ => self.splice_with_another(input, at),
        }
    }

    fn overwrite_with_an_edge(&mut self, input: &mut [u8], at: usize) {
        let edge = EDGES[self.random.below(EDGES.len())].to_be_bytes();
        let width = 1 + self.random.below(4);
        for (to, from) in input[at..].iter_mut().zip(&edge[edge.len() - width..]) {
            *to = *from;
        }
    }

    fn splice_with_another(&mut self, input: &mut Vec<u8>, at: usize) {
        let chosen = self.random.below(self.seeds.len());
        let other = &self.seeds[chosen];
        let from = self.random.below(other.len() + 1);
        input.truncate(at);
        input.extend_from_slice(&other[from..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_inputs_again() {
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed, vec![b"hello".to_vec(), vec![7; 300]]);
            (0..500).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn no_input_is_longer_than_the_bound() {
        let mut mutator = Mutator::new(3, vec![vec![1; LONGEST]]);
        assert!((0..500).all(|_| mutator.next_input().len() <= LONGEST));
    }

    #[test]
    fn nothing_grows_into_something() {
        let mut mutator = Mutator::new(4, Vec::new());
        assert!((0..500).any(|_| !mutator.next_input().is_empty()));
    }
}
