//! What is taken of the agents: slots by agent, GPUs by (machine, UUID), and the trials that wait a while because a
//! machine could not start them. Follows from the live runs; nothing of it is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::sweep::{Device, Placement, SweepId, Trial};

/// The first wait after a machine could not start a run; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fleet {
    runs: BTreeMap<(SweepId, Trial), Vec<Placement>>,
    slots: BTreeMap<String, BTreeSet<(SweepId, Trial)>>,
    devices: BTreeMap<(String, String), (SweepId, Trial)>,
    waits: BTreeMap<(SweepId, Trial), Wait>,
}

#[derive(Clone, Debug, PartialEq)]
struct Wait {
    until: Instant,
    failures: u32,
}

impl Fleet {
    /// A run is put on its slots and GPUs.
    pub(super) fn occupy(&mut self, sweep: SweepId, trial: Trial, placements: &[Placement]) {
        for placement in placements {
            self.slots.entry(placement.agent.clone()).or_default().insert((sweep, trial));
            for device in &placement.devices {
                self.devices.insert((placement.machine.clone(), device.uuid.clone()), (sweep, trial));
            }
        }
        self.runs.insert((sweep, trial), placements.to_vec());
    }

    /// Its run is over. Returns the machines that have room now.
    pub(super) fn release(&mut self, sweep: SweepId, trial: Trial) -> Vec<String> {
        let placements = self.runs.remove(&(sweep, trial)).unwrap_or_default();
        for placement in &placements {
            if let Some(taken) = self.slots.get_mut(&placement.agent) {
                taken.remove(&(sweep, trial));
                if taken.is_empty() {
                    self.slots.remove(&placement.agent);
                }
            }
            for device in &placement.devices {
                let key = (placement.machine.clone(), device.uuid.clone());
                if self.devices.get(&key) == Some(&(sweep, trial)) {
                    self.devices.remove(&key);
                }
            }
        }
        placements.into_iter().map(|placement| placement.machine).collect()
    }

    /// The sweep is dropped from memory.
    pub(super) fn release_all(&mut self, sweep: SweepId) {
        let trials: Vec<Trial> =
            self.runs.keys().filter(|(of, _)| *of == sweep).map(|(_, trial)| *trial).collect();
        for trial in trials {
            self.release(sweep, trial);
        }
        self.waits.retain(|(of, _), _| *of != sweep);
    }

    pub(super) fn runs_of(&self, agent: &str) -> usize {
        self.slots.get(agent).map_or(0, BTreeSet::len)
    }

    /// The runs that were given to an agent.
    pub(super) fn given_to(&self, agent: &str) -> Vec<(SweepId, Trial)> {
        self.slots.get(agent).map(|runs| runs.iter().copied().collect()).unwrap_or_default()
    }

    /// Those of a machine's GPUs that no run has.
    pub(super) fn free<'a>(&self, machine: &str, devices: &'a [Device]) -> Vec<&'a Device> {
        let is_free =
            |device: &&Device| !self.devices.contains_key(&(machine.to_owned(), device.uuid.clone()));
        devices.iter().filter(is_free).collect()
    }

    /// A machine could not start a run of this trial: it waits, longer each time.
    pub(super) fn wait(&mut self, sweep: SweepId, trial: Trial, now: Instant) {
        let failures = self.waits.get(&(sweep, trial)).map_or(0, |wait| wait.failures);
        let length = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
        let wait = Wait { until: now + length, failures: failures + 1 };
        self.waits.insert((sweep, trial), wait);
    }

    /// It started, or nobody waits for it any more.
    pub(super) fn stop_waiting(&mut self, sweep: SweepId, trial: Trial) {
        self.waits.remove(&(sweep, trial));
    }

    /// Trials of a sweep that may not take a slot yet.
    pub(super) fn waiting(&self, sweep: SweepId, now: Instant) -> BTreeSet<Trial> {
        let of_sweep = self.waits.range((sweep, Trial(0))..=(sweep, Trial(u32::MAX)));
        of_sweep.filter(|(_, wait)| wait.until > now).map(|((_, trial), _)| *trial).collect()
    }

    /// The next end of a wait after `now`.
    pub(super) fn next_end_of_wait(&self, now: Instant) -> Option<Instant> {
        self.waits.values().map(|wait| wait.until).filter(|until| *until > now).min()
    }

    /// Sweeps with a wait that ended in (`from`, `to`].
    pub(super) fn waits_over(&self, from: Instant, to: Instant) -> BTreeSet<SweepId> {
        let over = self.waits.iter().filter(|(_, wait)| from < wait.until && wait.until <= to);
        over.map(|((sweep, _), _)| *sweep).collect()
    }

    /// What must hold after every step; the first thing that does not.
    #[cfg(test)]
    pub(super) fn check(&self, live: &BTreeMap<(SweepId, Trial), Vec<Placement>>) -> Result<(), String> {
        if self.runs != *live {
            return Err(format!("the fleet has {:?}, the states have {:?}", self.runs, live));
        }
        let devices: usize = live.values().flatten().map(|placement| placement.devices.len()).sum();
        if devices != self.devices.len() {
            return Err(format!(
                "{devices} GPUs are given out, {} are taken: one was given twice",
                self.devices.len()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_belongs_to_its_machine_whoever_gives_it() {
        let mut fleet = Fleet::default();
        let device = Device { uuid: "GPU-1".into(), ..Device::default() };
        let devices = [device.clone()];
        let sweep = SweepId::from_bits(1);
        let placement = Placement {
            agent: "a".into(),
            machine: "m".into(),
            devices: vec![device],
            ..Placement::default()
        };
        fleet.occupy(sweep, Trial(1), &[placement]);
        assert!(fleet.free("m", &devices).is_empty());
        assert_eq!(fleet.free("n", &devices).len(), 1);
        assert_eq!(fleet.release(sweep, Trial(1)), ["m"]);
        assert_eq!(fleet.free("m", &devices).len(), 1);
    }
}
