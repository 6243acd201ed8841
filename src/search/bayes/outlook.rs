//! What the engine believes, for people to look at.

use serde::{Deserialize, Serialize};

use crate::search::bayes::beliefs::Beliefs;
use crate::search::bayes::{Bayes, Modelled};
use crate::search::gp::kernel::Hyper;
use crate::search::{Expected, History};

/// What is believed after a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// One a model.
    pub models: Vec<ModelOutlook>,
    /// The trial to be recommended; none while none was measured and kept the constraints. With several objectives: the
    /// one with the least sum of what the models see.
    pub recommended: Option<Recommended>,
}

/// Hyperparameters, in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelOutlook {
    /// Of what.
    pub of: Modelled,
    /// How many observations the last fit saw.
    pub fitted: usize,
    /// Of each parameter, by its dotted path: how far one must go, in units of its range, for the value to be another.
    /// Short: it matters, in many places. Long: it hardly does, or only as a trend.
    pub lengths: Vec<(String, f64)>,
    /// The share of the values' variance that is noise.
    pub noise: f64,
    /// The variance of what is not a trend.
    pub signal: f64,
    /// The variances of the linear, the quadratic and the categories' trend.
    pub trend: [f64; 3],
    /// How much of what earlier sweeps say is believed: 1 is all of it, 0 nothing, less than 0 the opposite; none where
    /// there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<f64>,
}

/// The trial with the best posterior mean, which need not be the one with the luckiest value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommended {
    /// Its number.
    pub trial: u32,
    /// What another trial there is expected to have of each objective.
    pub expected: Vec<Expected>,
}

impl Bayes {
    /// How much of what earlier sweeps say of an objective is believed.
    fn trust(&self, of: Modelled, beliefs: &Beliefs) -> Option<f64> {
        let Modelled::Objective(j) = of else { return None };
        self.earlier.get(j)?.model.as_ref()?;
        Some(beliefs.trust(j).unwrap_or(0.0))
    }

    /// What is believed after a history; none while the design lasts, and where the models cannot be used.
    pub fn outlook(&mut self, history: &History<'_>) -> Option<Outlook> {
        self.follow(history);
        if self.design_point(history).is_some() {
            return None;
        }
        let model = self.model(history).ok()?;
        let beliefs = self.beliefs(&model, 0, history).ok()?;
        let name = |axis: usize| {
            let leaf = self.embedding.axes()[axis].leaf;
            self.problem.space.leaves()[leaf].name()
        };
        let models = model.fit.models.iter().map(|fitted| {
            let hyper = Hyper::of(&fitted.theta, self.embedding.axes().len());
            let length = |(axis, weight): (usize, &f64)| (name(axis), 1.0 / weight.sqrt());
            ModelOutlook {
                of: fitted.of,
                fitted: model.fit.count,
                lengths: hyper.weights.iter().enumerate().map(length).collect(),
                noise: hyper.noise,
                signal: hyper.signal,
                trend: hyper.trend,
                earlier: self.trust(fitted.of, &beliefs),
            }
        });
        let recommended = beliefs.recommended.and_then(|index| {
            let trial = history.observations[index].trial?;
            Some(Recommended { trial, expected: beliefs.expected(&self.ground.rows[index]) })
        });
        Some(Outlook { models: models.collect(), recommended })
    }
}
