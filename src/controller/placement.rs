//! Where the next run of a sweep would be put: a free slot of its home, and the GPUs that it is to have.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::controller::fleet::Fleet;
use crate::controller::links::{Agent, Link, Links};
use crate::controller::loaded::Loaded;
use crate::spec::{Definition, Gpus};
use crate::sweep::{Device, GpuGrant, Offer, Placement, RunView, Trial};

/// How long a run that was told to stop is waited for where the sweep waits for ever: no slot will ever come for it, and
/// its sweep has to end.
const STOPPED: Duration = Duration::from_secs(300);

/// What a run gets of the GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// None is reserved, and the variable stays as it is.
    Untouched,
    /// None, and the variable is set to nothing.
    Hidden,
    /// So many whole ones.
    Whole(u32),
}

/// What each run of a sweep gets on a machine with `usable` GPUs.
pub(super) fn wish(definition: &Definition, usable: u32) -> Wish {
    match definition.resources.gpus {
        Some(Gpus::Whole(0)) => Wish::Hidden,
        Some(Gpus::Whole(gpus)) => Wish::Whole(gpus),
        // Refused when the sweep is created.
        Some(Gpus::Share(_)) => Wish::Untouched,
        None if usable > 0 && parallel(definition, usable) <= usable => Wish::Whole(1),
        None => Wish::Untouched,
    }
}

/// Runs at once.
pub(super) fn parallel(definition: &Definition, usable: u32) -> u32 {
    definition.parallel.unwrap_or(usable.max(1))
}

/// A slot for the sweep's next run; none: nothing is free, or nobody may start it.
pub(super) fn offer(loaded: &Loaded, links: &Links, fleet: &Fleet, now: Instant) -> Option<Offer> {
    let state = &loaded.state;
    let home = state.home()?;
    let agent = links.agent(home).filter(|_| links.is_alive(home))?;
    let wanted = agent.only.is_none_or(|only| only == state.id());
    let has_slot = fleet.runs_of(home) < agent.slots as usize;
    if agent.is_draining || !wanted || !has_slot {
        return None;
    }
    let usable = usable(agent);
    let (devices, gpus) = match wish(state.definition(), usable) {
        Wish::Untouched => (Vec::new(), GpuGrant::Untouched),
        Wish::Hidden => (Vec::new(), GpuGrant::Hidden),
        Wish::Whole(wanted) => (whole(agent, fleet, wanted as usize)?, GpuGrant::Devices),
    };
    let placement = Placement {
        agent: home.to_owned(),
        machine: agent.machine.clone(),
        host: agent.host.clone(),
        devices,
        gpus,
    };
    Some(Offer {
        placements: vec![placement],
        lease: None,
        parallel: usable.max(1),
        held_back: fleet.waiting(state.id(), now),
        silent: silent(loaded, links, now),
        has_suggestion: loaded.has_suggestion(),
    })
}

fn usable(agent: &Agent) -> u32 {
    u32::try_from(agent.devices.len()).unwrap_or(u32::MAX)
}

fn whole(agent: &Agent, fleet: &Fleet, wanted: usize) -> Option<Vec<Device>> {
    let free = fleet.free(&agent.machine, &agent.devices);
    (free.len() >= wanted).then(|| free.into_iter().take(wanted).cloned().collect())
}

/// Trials whose run has been silent for longer than the sweep waits.
pub(super) fn silent(loaded: &Loaded, links: &Links, now: Instant) -> BTreeSet<Trial> {
    if all_are_there(links) {
        return BTreeSet::new();
    }
    let runs = loaded.state.live_runs();
    let is_silent = |run: &RunView| silent_from(loaded, run, links).is_some_and(|from| from <= now);
    runs.filter(is_silent).map(|run| run.run.trial).collect()
}

/// Nobody is waited for: the common case, and cheap to see.
fn all_are_there(links: &Links) -> bool {
    links.agents().all(|(_, agent)| !matches!(agent.link, Link::Over { .. }))
}

/// When the next run of the sweep becomes silent, of those that become so after `last`.
pub(super) fn next_silent(loaded: &Loaded, links: &Links, last: Instant) -> Option<Instant> {
    if all_are_there(links) {
        return None;
    }
    let times = loaded.state.live_runs().filter_map(|run| silent_from(loaded, &run, links));
    times.filter(|time| *time > last).min()
}

/// From when on a run counts as silent; none: its agent is there, or it is waited for without end.
fn silent_from(loaded: &Loaded, run: &RunView, links: &Links) -> Option<Instant> {
    let patience = match (loaded.state.definition().on_silence.replace_after, run.phase.stop()) {
        (Some(patience), _) => patience,
        (None, Some(_)) => STOPPED,
        (None, None) => return None,
    };
    let agents = run.placements.iter().map(|placement| placement.agent.as_str());
    agents.filter_map(|agent| links.gone_since(agent)).map(|since| since + patience).min()
}

/// What people should know of where the sweep's runs go.
pub(super) fn remark(loaded: &Loaded, links: &Links) -> Option<String> {
    let definition = loaded.state.definition();
    let agent = loaded.state.home().filter(|home| links.is_alive(home)).and_then(|home| links.agent(home))?;
    let usable = usable(agent);
    match wish(definition, usable) {
        Wish::Whole(wanted) if wanted > usable => Some(format!(
            "cannot be placed: a run wants {wanted} GPUs, and {} has {usable} usable ones",
            agent.host
        )),
        Wish::Untouched if usable > 0 => Some(format!(
            "no GPU is reserved: parallel is {}, and {} has {usable} usable GPUs",
            parallel(definition, usable),
            agent.host
        )),
        Wish::Whole(_) | Wish::Untouched | Wish::Hidden => None,
    }
}
