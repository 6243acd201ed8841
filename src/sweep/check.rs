//! What always holds of a state, looked at after every step of the tests and the simulation.
//!
//! - a trial is queued, has one live run, or is final (I2, I3), and the lists beside the trials agree with them;
//! - a run's fence is higher than any of its trial's earlier ones (I2);
//! - no more losses than the limit (I6); nothing is open when a sweep is over;
//! - what is kept beside the trials (lists, front, counts) is what the trials make it (L6, L7).

use std::collections::BTreeSet;

use crate::sweep::decide::stops_runs;
use crate::sweep::outcome::LOSSES_SURVIVED;
use crate::sweep::state::{Ends, SweepPhase};
use crate::sweep::trial::{Kept, Live, Status};
use crate::sweep::{AfterStop, PauseHow, State, Trial};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Broken {
    #[error("the queue is not the queued trials")]
    Queue,
    #[error("the live runs are not the running trials")]
    Live,
    #[error("two runs share a fence, or trial {0}'s is not above its last")]
    Fence(Trial),
    #[error("trial {0} was lost more often than the limit lets it be")]
    Losses(Trial),
    #[error("trial {0} keeps a curve though it is final, or marks though it is not")]
    Kept(Trial),
    #[error("the counts of ended trials are not the trials'")]
    Counts,
    #[error("the trials that no other beats are not those")]
    Front,
    #[error("trials are open though the sweep is over, or run though it stops them")]
    Open,
}

impl State {
    /// Names an invariant that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        self.check_lists()?;
        self.check_trials()?;
        self.check_derived()?;
        self.check_phase()
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (Trial, &crate::sweep::trial::TrialState)> {
        (1..).map(Trial).zip(&self.trials)
    }

    fn check_lists(&self) -> Result<(), Broken> {
        let queue: BTreeSet<_> = self.numbered().filter_map(|(trial, t)| Some((t.rank()?, trial))).collect();
        let live: BTreeSet<_> =
            self.numbered().filter(|(_, t)| t.live().is_some()).map(|(trial, _)| trial).collect();
        let mut ends = Ends::default();
        self.trials.iter().for_each(|trial| ends.count(None, trial.ending()));
        let asked = self.live().filter(|(_, _, live)| live.lease.is_some()).map(|(trial, _, _)| trial);
        let asked: BTreeSet<_> = asked.collect();
        if queue != self.queue {
            Err(Broken::Queue)
        } else if live != self.live || asked != self.asked {
            Err(Broken::Live)
        } else if ends != self.ends {
            Err(Broken::Counts)
        } else {
            Ok(())
        }
    }

    fn check_trials(&self) -> Result<(), Broken> {
        let mut fences = BTreeSet::new();
        for (number, trial) in self.numbered() {
            if let Some(live) = trial.live()
                && (!fences.insert(live.fence) || trial.past.is_some_and(|past| past.fence >= live.fence))
            {
                return Err(Broken::Fence(number));
            }
            if trial.losses > LOSSES_SURVIVED {
                return Err(Broken::Losses(number));
            }
            let marked = matches!(trial.status, Status::Succeeded | Status::Stopped(_) | Status::Failed(_));
            // a withdrawn trial may have been final before, and may not
            let free = matches!(trial.status, Status::Withdrawn(_));
            if !free && marked != matches!(trial.kept, Kept::Marks(_)) {
                return Err(Broken::Kept(number));
            }
        }
        Ok(())
    }

    fn check_derived(&self) -> Result<(), Broken> {
        if self.whole_front() != self.front { Err(Broken::Front) } else { Ok(()) }
    }

    fn check_phase(&self) -> Result<(), Broken> {
        let told = |at_least: AfterStop| {
            let of_callers = |live: &Live| at_least == AfterStop::Requeue && live.lease.is_some();
            self.live().all(|(_, _, l)| of_callers(l) || l.phase.stop().is_some_and(|(t, _)| t >= at_least))
        };
        let holds = match &self.phase {
            SweepPhase::Ended(_) => self.live.is_empty() && self.queue.is_empty(),
            SweepPhase::Ending(why) if stops_runs(*why) => self.queue.is_empty() && told(AfterStop::End),
            SweepPhase::Paused { how: PauseHow::Requeue, .. } => told(AfterStop::Requeue),
            SweepPhase::Ending(_) | SweepPhase::Paused { how: PauseHow::Drain, .. } | SweepPhase::Running => {
                true
            }
        };
        if holds { Ok(()) } else { Err(Broken::Open) }
    }
}
