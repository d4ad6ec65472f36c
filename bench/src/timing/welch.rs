//! Welch's t-test on the times of two classes of input, as dudect applies it (Reparaz, Balasch and
//! Verbauwhede, "Dude, is my code constant time?", 2017): random order, and long tails cut off at
//! many heights, since what disturbs the machine is in the tails.

use crate::clock::thread_cpu;
use anyhow::Result;
use std::hint::black_box;
use std::time::Duration;
use symbolon_crypto::Entropy;
use symbolon_provider::SystemEntropy;

/// Inputs that are made before the first of them is timed.
const BATCH: usize = 1024;
/// Batches that are not counted: caches and branch predictors learn.
const WARM_UP: usize = 4;
/// Heights at which the tails are cut.
const CUTS: i32 = 100;
/// Fewest times of a class with which a test means something (dudect takes as many).
const ENOUGH: usize = 10_000;

/// Which of the two kinds an input is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    One,
    Other,
}

/// What the times of two classes say.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// The largest |t| of all tests.
    pub(super) t: f64,
    /// Median of the class `Other` without that of the class `One`, in nanoseconds.
    pub(super) difference: f64,
    /// Median of the class `One`, in nanoseconds.
    pub(super) took: f64,
}

/// Times `act` on inputs of both classes. Every input is made anew by `prepare`, by the same steps
/// for both, so that neither class has its data nearer to the processor; what `act` returns is
/// dropped when the clock was read.
pub(super) fn compare<I, T>(
    samples: usize,
    mut prepare: impl FnMut(Class) -> Result<I>,
    mut act: impl FnMut(I) -> T,
) -> Result<Verdict> {
    let mut times: [Vec<f64>; 2] = std::array::from_fn(|_| Vec::with_capacity(samples));
    for batch in 0..WARM_UP + samples.div_ceil(BATCH) {
        let inputs =
            in_random_order().map(|class| Ok((class, prepare(class)?))).collect::<Result<Vec<_>>>()?;
        for (class, input) in inputs {
            let (took, result) = timed(&mut act, input);
            drop(result);
            if batch >= WARM_UP {
                times[class as usize].push(took.as_secs_f64() * 1e9);
            }
        }
    }
    let [one, other] = times.each_mut().map(|t| {
        t.sort_by(f64::total_cmp);
        &*t
    });
    Ok(Verdict { t: largest(one, other), difference: median(other) - median(one), took: median(one) })
}

// One place in the program's code for both classes.
#[inline(never)]
fn timed<I, T>(act: &mut impl FnMut(I) -> T, input: I) -> (Duration, T) {
    let before = thread_cpu();
    let result = black_box(act(black_box(input)));
    (thread_cpu() - before, result)
}

fn in_random_order() -> impl Iterator<Item = Class> {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    let bytes: [u8; BATCH] = entropy.number();
    bytes.into_iter().map(|byte| if byte & 1 == 0 { Class::One } else { Class::Other })
}

/// The largest |t| of the whole and of what is below each cut; both classes are sorted.
fn largest(one: &[f64], other: &[f64]) -> f64 {
    let mut all = [one, other].concat();
    all.sort_by(f64::total_cmp);
    let whole = welch(one, other).abs();
    let cut = |number: i32| {
        let share = 1.0 - 0.5f64.powf(10.0 * f64::from(number + 1) / f64::from(CUTS));
        let height = all[((all.len() - 1) as f64 * share) as usize];
        let below = |times: &[f64]| times.partition_point(|&t| t < height);
        let (one, other) = (&one[..below(one)], &other[..below(other)]);
        (one.len().min(other.len()) >= ENOUGH).then(|| welch(one, other).abs())
    };
    (0..CUTS).filter_map(cut).fold(whole, f64::max)
}

/// Welch's t.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let ((mean_one, error_one), (mean_other, error_other)) = (mean_and_error(one), mean_and_error(other));
    let error = (error_one + error_other).sqrt();
    if error == 0.0 { 0.0 } else { (mean_one - mean_other) / error }
}

/// The mean, and the square of its standard error.
fn mean_and_error(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

/// Of what is sorted.
pub(super) fn median(times: &[f64]) -> f64 {
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40,000 times around `middle`, with a tail.
    fn times(middle: f64) -> Vec<f64> {
        let mut times: Vec<f64> = (0..40_000u32)
            .map(|i| middle + f64::from(i * 7919 % 101) + if i % 50 == 0 { f64::from(i) } else { 0.0 })
            .collect();
        times.sort_by(f64::total_cmp);
        times
    }

    #[test]
    fn two_classes_that_take_as_long_are_not_told_apart() {
        assert!(largest(&times(1000.0), &times(1000.0)) < 1.0);
    }

    #[test]
    fn a_difference_that_the_tails_hide_is_found_below_them() {
        let (one, other) = (times(1000.0), times(1003.0));
        assert!(welch(&one, &other).abs() < 4.5);
        assert!(largest(&one, &other) > 10.0);
    }

    #[test]
    fn the_formula_gives_what_a_table_does() {
        // Welch 1947 as in most textbooks: means 3 and 6, variances 2.5 and 10, five of each.
        let (one, other) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert!((welch(&one, &other) + 1.897_366_596).abs() < 1e-6);
    }
}
