//! How the controller itself stands: its store, its health, its agents.

use crate::controller::core::Core;
use crate::controller::links::Agent;
use crate::pb;

impl Core {
    pub(super) fn status(&self) -> pb::StatusResponse {
        let mut health = Vec::new();
        health.extend(
            self.slow_commit
                .map(|took| format!("the disk is slow: the last commit took {:.1} s", took.as_secs_f64())),
        );
        health.extend(self.leap.map(|by| {
            format!("the wall clock has leapt by {:.0} s; stored times go on evenly", by.as_secs_f64())
        }));
        if self.is_pressed {
            health.push("the disk is full: nothing but stops and ends is taken".to_owned());
        }
        let agent = |(id, agent): (&String, &Agent)| pb::status_response::Agent {
            agent: id.clone(),
            host: agent.host.clone(),
            slots: agent.slots,
            runs: u32::try_from(self.fleet.runs_of(id)).unwrap_or(u32::MAX),
            alive: self.links.is_alive(id),
        };
        pb::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: format!("{:016x}", self.store.id()),
            epoch: self.store.epoch(),
            pos: self.store.last_pos().0,
            pid: std::process::id(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            data_dir: self.data_dir.display().to_string(),
            health,
            agents: self.links.agents().map(agent).collect(),
            damaged: self.damaged.iter().map(|(id, why)| format!("{id}: {why}")).collect(),
        }
    }
}
