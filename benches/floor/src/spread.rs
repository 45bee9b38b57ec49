//! What several measurements of one thing say: median, least and most.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of no measurement: not a number.
    pub(crate) fn of(measured: &[f64]) -> Self {
        let mut sorted = measured.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        Self { median: at(sorted.len() / 2), min: at(0), max: at(sorted.len().saturating_sub(1)) }
    }

    /// The ratios of what was measured together.
    pub(crate) fn of_ratios(measured: &[f64], floor: &[f64]) -> Self {
        Self::of(&measured.iter().zip(floor).map(|(measured, floor)| measured / floor).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_what_was_measured_together() {
        assert_eq!(
            Spread::of_ratios(&[8.0, 3.0, 6.0], &[10.0, 4.0, 10.0]),
            Spread { median: 0.75, min: 0.6, max: 0.8 }
        );
    }
}
