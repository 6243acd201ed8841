//! The fit that is in force: the last recorded one, or a new one where that is due, and the factors that follow from it.

use std::collections::BTreeMap;

use crate::search::bayes::record::ENGINE;
use crate::search::bayes::target::{Facts, Target};
use crate::search::bayes::{Bayes, Eager, Fit, Model, ModelFit, Modelled, Scale, schedule, transfer};
use crate::search::gp::evidence::Evidence;
use crate::search::gp::fit::{self, Fitted};
use crate::search::gp::kernel::{Hyper, Layout, Rows};
use crate::search::gp::posterior::{Hint, Posterior};
use crate::search::gp::warp::{Bend, Warp};
use crate::search::{Hindrance, History};

impl Bayes {
    /// Makes the fit that is in force, and its factors, ready.
    pub(super) fn model(&mut self, history: &History<'_>) -> Result<Model, Hindrance> {
        let facts = Facts::new(&self.problem, history.observations);
        let count = history.observations.len();
        if let Some(recorded) = self.recorded.clone() {
            let targets = facts.targets(recorded.count);
            let usable = recorded.count <= count && self.is_usable(&recorded, &targets);
            let own = count - facts.foreign;
            if usable && !schedule::is_due(recorded.count.saturating_sub(facts.foreign), own) {
                let before = std::mem::take(&mut self.posteriors);
                self.posteriors = self.factors(before, &recorded, &targets)?;
                if !self.is_surprised(&recorded, count, own, &targets) {
                    return Ok(Model { fit: recorded, is_new: false, targets });
                }
            }
        }
        let targets = facts.targets(count);
        let fit = match self.eager.take_if(|eager| eager.from == self.recorded && eager.targets == targets) {
            Some(eager) => eager.fit,
            None => self.fit(count, &targets),
        };
        self.eager = Some(Eager { from: self.recorded.clone(), targets: targets.clone(), fit: fit.clone() });
        let fit = fit?;
        let before = std::mem::take(&mut self.posteriors);
        self.posteriors = self.factors(before, &fit, &targets)?;
        Ok(Model { fit, is_new: true, targets })
    }

    /// Whether a fit has all models that are needed, of this space.
    fn is_usable(&self, fit: &Fit, targets: &[Target]) -> bool {
        let length = self.embedding.axes().len() + 5;
        let fits = |target: &Target| {
            fit.model(target.of).is_some_and(|model| {
                let hinted = usize::from(self.hint(target.of, &model.scale).is_some());
                model.theta.len() == length + hinted && model.theta.iter().all(|t| t.is_finite())
            })
        };
        fit.engine == ENGINE && targets.iter().all(fits)
    }

    /// Whether what came since the fit disagrees with it.
    fn is_surprised(&self, recorded: &Fit, count: usize, own: usize, targets: &[Target]) -> bool {
        targets.iter().any(|target| {
            let Some((posterior, model)) = self.posteriors.get(&target.of).zip(recorded.model(target.of))
            else {
                return false;
            };
            let values = target.seen(&model.scale);
            let mut told = posterior.clone();
            told.tell(&values);
            schedule::is_surprised(recorded.count, count, own, &target.indexes, &values, &told)
        })
    }

    /// The fit of these targets, from the last recorded one.
    fn fit(&self, count: usize, targets: &[Target]) -> Result<Fit, Hindrance> {
        let serial = self.recorded.as_ref().map_or(1, |fit| fit.serial.saturating_add(1));
        let models = targets.iter().map(|target| self.fit_target(target)).collect::<Result<_, _>>()?;
        Ok(Fit { engine: ENGINE, serial, count, models })
    }

    /// The fit of one model: with the hint of earlier sweeps, as long as that explains the values better than none.
    fn fit_target(&self, target: &Target) -> Result<ModelFit, Hindrance> {
        let scale = self.scale(target);
        let values = target.seen(&scale);
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Hindrance::Values);
        }
        let rows = self.rows(target);
        let plain = || self.fit_values(target.of, &scale.without_hint(), &rows, &values, None);
        let hint = self.hint(target.of, &scale);
        let hinted =
            hint.and_then(|hint| self.fit_values(target.of, &scale, &rows, &values, Some(&hint)).ok());
        match hinted {
            None => plain(),
            Some(hinted) if values.is_empty() => Ok(hinted),
            Some(hinted) => {
                let plain = plain()?;
                Ok(if hinted.evidence + transfer::burden(values.len()) <= plain.evidence {
                    hinted
                } else {
                    plain
                })
            }
        }
    }

    fn fit_values(
        &self,
        of: Modelled,
        scale: &Scale,
        rows: &Rows,
        values: &[f64],
        hint: Option<&Hint>,
    ) -> Result<ModelFit, Hindrance> {
        let hints = hint.map(|hint| hint.at(rows));
        let bowl = bowl(of);
        let expected = |i: usize| hints.as_ref().map_or_else(|| bowl * rows.bowl(i), |hints| hints[i]);
        let left: Vec<f64> = values.iter().enumerate().map(|(i, value)| value - expected(i)).collect();
        let evidence = Evidence::new(rows, &left, hints.as_deref());
        let last = self.recorded.as_ref().and_then(|fit| fit.model(of)).map(|model| &model.theta);
        let last = last.filter(|theta| theta.len() == evidence.dimensions());
        let starts = starts(&evidence, last);
        let Fitted { theta, f } = fit::fit(&evidence, &starts).ok_or(Hindrance::Fit)?;
        let hyper = self.hyper(of, &theta);
        let posterior = Posterior::new(rows, hint, &hyper).map_err(|_| Hindrance::Factor)?;
        Ok(ModelFit { of, theta, scale: *scale, evidence: f, jitter: posterior.jitter() })
    }

    fn hyper(&self, of: Modelled, theta: &[f64]) -> Hyper {
        Hyper { bowl: bowl(of), ..Hyper::of(theta, self.embedding.axes().len()) }
    }

    fn scale(&self, target: &Target) -> Scale {
        match target.of {
            Modelled::Objective(j) => {
                let earlier = self.earlier.get(j).and_then(|earlier| earlier.model.as_ref());
                let there = earlier.map_or(Vec::new(), |model| model.means(&self.rows(target)));
                let (offset, factor) = transfer::alignment(&there);
                Scale::Objective { warp: Warp::fit(&target.values), offset, factor }
            }
            Modelled::Constraint(_) => Scale::Constraint(Bend::fit(&target.values)),
            Modelled::Failure => Scale::Failure,
        }
    }

    pub(super) fn rows(&self, target: &Target) -> Rows {
        let mut rows = Rows::new(Layout::of(&self.embedding));
        for index in &target.indexes {
            rows.push(&self.ground.rows[*index]);
        }
        rows
    }

    /// The factors of the targets under a fit, grown from those there were.
    fn factors(
        &self,
        mut before: BTreeMap<Modelled, Posterior>,
        fit: &Fit,
        targets: &[Target],
    ) -> Result<BTreeMap<Modelled, Posterior>, Hindrance> {
        let mut factors = BTreeMap::new();
        for target in targets {
            let model = fit.model(target.of).ok_or(Hindrance::Fit)?;
            let hyper = self.hyper(target.of, &model.theta);
            let rows = self.rows(target);
            let hint = self.hint(target.of, &model.scale);
            let grown = before
                .remove(&target.of)
                .filter(|posterior| posterior.begins(&rows, hint.as_ref(), &hyper))
                .and_then(|posterior| posterior.extend(&rows).ok());
            let posterior = match grown {
                Some(posterior) => posterior,
                None => Posterior::new(&rows, hint.as_ref(), &hyper).map_err(|_| Hindrance::Factor)?,
            };
            factors.insert(target.of, posterior);
        }
        Ok(factors)
    }
}

/// c of an objective's mean mu, in standard deviations of its values. 0.2 to 0.4 were measured to be alike.
const BOWL: f64 = 0.25;

fn bowl(of: Modelled) -> f64 {
    match of {
        Modelled::Objective(_) => BOWL,
        Modelled::Constraint(_) | Modelled::Failure => 0.0,
    }
}

/// Where the fit begins: the last theta and the default; with many observations the last theta alone.
fn starts(evidence: &Evidence<'_>, last: Option<&Vec<f64>>) -> Vec<Vec<f64>> {
    match last {
        Some(theta) if evidence.rows.len() > fit::LARGE => vec![theta.clone()],
        Some(theta) => vec![theta.clone(), evidence.default_start()],
        None => vec![evidence.default_start()],
    }
}
