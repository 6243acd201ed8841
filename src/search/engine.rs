//! All methods behind one question: what becomes this trial, given what is known?
//!
//! The answer is a function of the problem, the history and the trial's number. What an engine keeps besides is a cache:
//! one that was made anew answers the same, bit for bit.

use crate::search::{
    Cmaes, Given, GridOrderError, GridSearch, History, Problem, Proposal, Reason, SobolSearch,
};
use crate::search::{Tpe, UsedUp, random};

/// A method at work on a problem.
#[derive(Clone, Debug)]
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

    /// What becomes `trial`.
    pub fn propose(&mut self, trial: u32, history: &History<'_>) -> Result<Proposal, UsedUp> {
        match self {
            Engine::Random(problem) => {
                let point = random(&problem.space, problem.seed, trial);
                Ok(Proposal { point, reason: Reason::Random })
            }
            Engine::Grid(grid) => {
                let mut given = Given::default();
                history.points().for_each(|point| given.enqueued(grid, point));
                let (index, point) = grid.propose(&given).ok_or(UsedUp)?;
                Ok(Proposal { point, reason: Reason::Grid { index } })
            }
            Engine::Sobol(sobol) => sobol.propose(trial, history),
            Engine::Tpe(tpe) => tpe.propose(trial, history),
            Engine::Cmaes(cmaes) => cmaes.propose(trial, history),
        }
    }
}
