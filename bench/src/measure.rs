//! Rounds: every subject takes its turn in each of them, so that what disturbs the machine disturbs
//! all of them alike, and ratios are formed round by round.

/// How many rounds are taken; the medians of so many are steady on a machine with other work.
pub(crate) const ROUNDS: usize = 21;

/// What one round of one subject took of each side, in microseconds an operation. A subject with
/// one side only leaves the client's at zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) server: f64,
    pub(crate) client: f64,
}

/// A subject: runs one batch and says what each operation took.
pub(crate) type Subject<'a> = Box<dyn FnMut() -> anyhow::Result<Cost> + 'a>;

/// One value a round.
#[derive(Clone, Debug)]
pub(crate) struct Samples(Vec<f64>);

/// What all rounds of one subject took.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    pub(crate) server: Samples,
    pub(crate) client: Samples,
}

/// Runs all subjects in turn, [`ROUNDS`] times after one round to warm up.
pub(crate) fn interleaved<const N: usize>(mut subjects: [Subject<'_>; N]) -> anyhow::Result<[Costs; N]> {
    let mut all: [Vec<Cost>; N] = std::array::from_fn(|_| Vec::new());
    for round in 0..=ROUNDS {
        for (subject, costs) in subjects.iter_mut().zip(&mut all) {
            let cost = subject()?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    Ok(all.map(|costs| Costs {
        server: Samples(costs.iter().map(|c| c.server).collect()),
        client: Samples(costs.iter().map(|c| c.client).collect()),
    }))
}

impl Samples {
    pub(crate) const fn new(values: Vec<f64>) -> Self {
        Self(values)
    }

    /// All of them, round by round.
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The value below which `share` of the rounds lie.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// Each round of this by the same round of `other`.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}
