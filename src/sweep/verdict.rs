//! The stopping rule's verdict on one run: hyperband, against the present threshold of the latest band it passed.

use crate::spec::{Definition, Rule};
use crate::sweep::Evidence;
use crate::sweep::curve::{Curve, Watched};
use crate::sweep::rungs::Rungs;

/// The numbers on which a run is condemned; none: it may go on.
pub(super) fn verdict(
    definition: &Definition,
    watched: &Watched,
    rungs: &Rungs,
    curve: &Curve,
) -> Option<Evidence> {
    let stopping = definition.early_terminate.as_ref()?;
    let Rule::Hyperband { bands, eta, strict } = &stopping.rule else { return None };
    let passed = curve.bands().len().checked_sub(1)?;
    let at_band = *curve.bands().get(passed)?;
    let value = if *strict { at_band } else { curve.judged_best(watched)? };
    let values = rungs.values(passed);
    let threshold = *values.get(((1.0 / eta) * values.len() as f64) as usize)?;
    stopping.goal.better(threshold, value).then(|| Evidence {
        rule: "hyperband".into(),
        band: bands[passed],
        value,
        threshold,
        count: values.len() as u64,
    })
}
