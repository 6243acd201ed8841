//! All methods behind one question: what becomes this trial, given what is known?
//!
//! The answer is a function of the problem, the history, the trial's number and, for `bayes`, the last fit that was
//! recorded. What an engine keeps besides is a cache: one that was made anew answers the same, bit for bit.

use crate::search::{
    Bayes, Cmaes, Fit, Given, GridOrderError, GridSearch, History, Outlook, Problem, Proposal, Proposed,
    Reason, SobolSearch, Tpe, UsedUp, random,
};

/// A method at work on a problem.
#[derive(Debug)]
pub enum Engine {
    /// Every leaf drawn on its own.
    Random(Problem),
    /// Every point once.
    Grid(Box<GridSearch>),
    /// A low-discrepancy sequence.
    Sobol(Box<SobolSearch>),
    /// Tree-structured Parzen estimators.
    Tpe(Box<Tpe>),
    /// The covariance matrix adaptation evolution strategy.
    Cmaes(Box<Cmaes>),
    /// Gaussian processes.
    Bayes(Box<Bayes>),
}

impl Engine {
    /// `random`.
    pub fn random(problem: &Problem) -> Engine {
        Engine::Random(problem.clone())
    }

    /// `grid`, in the file's order or shuffled by the seed.
    pub fn grid(problem: &Problem, shuffled: bool) -> Result<Engine, GridOrderError> {
        let grid = GridSearch::new(&problem.space, shuffled.then_some(problem.seed))?;
        Ok(Engine::Grid(Box::new(grid)))
    }

    /// `sobol`.
    pub fn sobol(problem: &Problem) -> Engine {
        Engine::Sobol(Box::new(SobolSearch::new(problem)))
    }

    /// `tpe`.
    pub fn tpe(problem: &Problem) -> Engine {
        Engine::Tpe(Box::new(Tpe::new(problem)))
    }

    /// `cmaes`.
    pub fn cmaes(problem: &Problem) -> Engine {
        Engine::Cmaes(Box::new(Cmaes::new(problem)))
    }

    /// `bayes`, of which no fit was recorded.
    pub fn bayes(problem: &Problem) -> Engine {
        Engine::Bayes(Box::new(Bayes::new(problem.clone())))
    }

    /// What becomes `trial`, and the fit to be recorded with it.
    pub fn propose(&mut self, trial: u32, history: &History<'_>) -> Result<Proposed, UsedUp> {
        let proposal = match self {
            Engine::Random(problem) => {
                let point = random(&problem.space, problem.seed, trial);
                Proposal { point, reason: Reason::Random }
            }
            Engine::Grid(grid) => {
                let mut given = Given::default();
                history.points().for_each(|point| given.enqueued(grid, point));
                let (index, point) = grid.propose(&given).ok_or(UsedUp)?;
                Proposal { point, reason: Reason::Grid { index } }
            }
            Engine::Sobol(sobol) => sobol.propose(trial, history)?,
            Engine::Tpe(tpe) => tpe.propose(trial, history)?,
            Engine::Cmaes(cmaes) => cmaes.propose(trial, history)?,
            Engine::Bayes(bayes) => return bayes.propose(trial, history),
        };
        Ok(Proposed { proposal, fit: None })
    }

    /// A fit that came with a proposal was recorded: later ones start from it.
    pub fn record(&mut self, fit: Fit) {
        if let Engine::Bayes(bayes) = self {
            bayes.record(fit);
        }
    }

    /// What is believed, for people to look at; none: the method has no model, or none yet.
    pub fn outlook(&mut self, history: &History<'_>) -> Option<Outlook> {
        match self {
            Engine::Bayes(bayes) => bayes.outlook(history),
            Engine::Random(_) | Engine::Grid(_) | Engine::Sobol(_) | Engine::Tpe(_) | Engine::Cmaes(_) => {
                None
            }
        }
    }

    /// Does ahead what the next proposal would have to do first. It never changes what is proposed.
    pub fn prepare(&mut self, history: &History<'_>) {
        if let Engine::Bayes(bayes) = self {
            bayes.prepare(history);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Observation;
    use crate::search::testing::{coordinates, failed, leaf, measured, mixed, pending, problem, words};
    use crate::space::Space;

    type Make = fn(&Problem) -> Engine;
    const METHODS: [Make; 5] = [Engine::random, Engine::sobol, Engine::tpe, Engine::cmaes, Engine::bayes];

    /// `n` trials with three pending, told out of order, some failed; an engine made anew for each where `anew`.
    fn run(make: Make, anew: bool, n: u32) -> Vec<Proposed> {
        let problem = problem(mixed(), 4);
        let mut engine = make(&problem);
        let mut told: Vec<Observation> = Vec::new();
        let (mut running, mut proposed) = (Vec::new(), Vec::<Proposed>::new());
        for trial in 1..=n {
            if anew {
                engine = make(&problem);
                proposed.iter().filter_map(|one| one.fit.clone()).for_each(|fit| engine.record(fit));
            }
            let one = engine.propose(trial, &History { observations: &told, pending: &running }).unwrap();
            if let Some(fit) = one.fit.clone() {
                engine.record(fit);
            }
            running.push(pending(trial, one.proposal.point.clone()));
            proposed.push(one);
            if running.len() > 3 {
                let ended: crate::search::Pending = running.remove(trial as usize % 3);
                let value: f64 = coordinates(&ended.point).iter().sum();
                told.push(if trial % 7 == 0 {
                    failed(ended.trial, ended.point)
                } else {
                    measured(ended.trial, ended.point, &[value])
                });
            }
        }
        proposed
    }

    #[test]
    fn an_engine_made_anew_proposes_the_same() {
        for make in METHODS {
            let kept = run(make, false, 30);
            assert_eq!(run(make, true, 30), kept);
            for (k, one) in kept.iter().enumerate() {
                assert!(mixed().contains(&one.proposal.point), "{:?}", one.proposal);
                assert!(kept[..k].iter().all(|before| before.proposal.point != one.proposal.point));
            }
        }
    }

    #[test]
    fn a_grid_gives_what_is_left() {
        let space =
            Space::new(vec![leaf("a", words(&["x", "y", "z"])), leaf("b", words(&["u", "v"]))]).unwrap();
        for shuffled in [false, true] {
            let problem = problem(space.clone(), 1);
            let mut engine = Engine::grid(&problem, shuffled).unwrap();
            let told = [measured(1, space.at(&[0.5, 0.9]), &[1.0])];
            let mut running = Vec::new();
            for trial in 2..=6 {
                let history = History { observations: &told, pending: &running };
                let point = engine.propose(trial, &history).unwrap().proposal.point;
                assert!(history.points().all(|known| *known != point));
                running.push(pending(trial, point));
            }
            let history = History { observations: &told, pending: &running };
            assert_eq!(engine.propose(7, &history), Err(UsedUp));
        }
    }
}
