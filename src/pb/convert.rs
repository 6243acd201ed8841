//! Between the words of the API and the pure rooms' own: out always, in with an error that names the field.

use std::time::Duration;

use crate::pb;
use crate::space::{Assignment, Value};
use crate::spec::Overrides;
use crate::sweep::{
    Device, Ended, Exit, Fence, GpuGrant, LostWhy, Placement, Run, Started, SweepId, Timestamp, Told, Trial,
};

/// A message that cannot be what its sender meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct BadMessage {
    /// Path of the field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

const fn bad(field: &'static str, problem: &'static str) -> BadMessage {
    BadMessage { field, problem }
}

/// Which run a message speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct RunId {
    pub sweep: SweepId,
    pub run: Run,
    pub fence: Fence,
}

impl From<RunId> for pb::RunKey {
    fn from(id: RunId) -> Self {
        pb::RunKey {
            sweep: id.sweep.to_string(),
            trial: id.run.trial.0,
            attempt: id.run.attempt,
            fence: id.fence.0,
        }
    }
}

impl TryFrom<Option<pb::RunKey>> for RunId {
    type Error = BadMessage;

    fn try_from(key: Option<pb::RunKey>) -> Result<Self, BadMessage> {
        let key = key.ok_or(bad("run", "is missing"))?;
        Ok(RunId {
            sweep: key.sweep.parse().map_err(|_| bad("run.sweep", "is not a sweep id"))?,
            run: Run { trial: Trial(key.trial), attempt: key.attempt },
            fence: Fence(key.fence),
        })
    }
}

impl From<&Value> for pb::Value {
    fn from(value: &Value) -> Self {
        use pb::value::Kind;
        let kind = match value {
            Value::Null => Kind::Null(0),
            Value::Bool(flag) => Kind::Flag(*flag),
            Value::Int(integer) => Kind::Integer(*integer),
            Value::Float(number) => Kind::Number(*number),
            Value::Text(text) => Kind::Text(text.clone()),
            Value::BigInt(_) | Value::List(_) | Value::Map(_) => {
                Kind::Json(serde_json::to_string(value).expect("a value has text keys only"))
            }
        };
        pb::Value { kind: Some(kind) }
    }
}

impl TryFrom<&pb::Value> for Value {
    type Error = BadMessage;

    fn try_from(value: &pb::Value) -> Result<Self, BadMessage> {
        use pb::value::Kind;
        Ok(match value.kind.as_ref().ok_or(bad("params.value", "is missing"))? {
            Kind::Null(_) => Value::Null,
            Kind::Flag(flag) => Value::Bool(*flag),
            Kind::Integer(integer) => Value::Int(*integer),
            Kind::Number(number) => Value::Float(*number),
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Json(json) => {
                serde_json::from_str(json).map_err(|_| bad("params.value.json", "is not JSON"))?
            }
        })
    }
}

impl From<&Assignment> for pb::Assignment {
    fn from(assignment: &Assignment) -> Self {
        let entry = |(name, value): &(String, Value)| pb::assignment::Entry {
            name: name.clone(),
            value: Some(value.into()),
        };
        pb::Assignment { entries: assignment.0.iter().map(entry).collect() }
    }
}

impl TryFrom<&pb::Assignment> for Assignment {
    type Error = BadMessage;

    fn try_from(assignment: &pb::Assignment) -> Result<Self, BadMessage> {
        let entry = |entry: &pb::assignment::Entry| {
            let value = entry.value.as_ref().ok_or(bad("params.value", "is missing"))?;
            Ok((entry.name.clone(), value.try_into()?))
        };
        assignment.entries.iter().map(entry).collect::<Result<_, _>>().map(Assignment)
    }
}

impl From<&pb::create_sweep_request::Overrides> for Overrides {
    fn from(overrides: &pb::create_sweep_request::Overrides) -> Overrides {
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        Overrides {
            method_unless_named: None,
            set: overrides.set.clone(),
            name: text(&overrides.name),
            seed: overrides.seed,
            parallel: overrides.parallel,
            trials: overrides.trials,
            budget: overrides.budget.clone(),
            program: text(&overrides.program),
            command: overrides.command.clone(),
            tags: overrides.tags.clone(),
            note: text(&overrides.note),
        }
    }
}

impl From<&Device> for pb::Device {
    fn from(device: &Device) -> Self {
        pb::Device { uuid: device.uuid.clone(), index: device.index, name: device.name.clone() }
    }
}

impl From<&pb::Device> for Device {
    fn from(device: &pb::Device) -> Self {
        Device { uuid: device.uuid.clone(), index: device.index, name: device.name.clone() }
    }
}

impl From<&Placement> for pb::Placement {
    fn from(placement: &Placement) -> Self {
        use pb::placement::GpuGrant as Wire;
        let gpus = match placement.gpus {
            GpuGrant::Untouched => Wire::Untouched,
            GpuGrant::Hidden => Wire::Hidden,
            GpuGrant::Devices => Wire::Devices,
        };
        pb::Placement {
            agent: placement.agent.clone(),
            machine: placement.machine.clone(),
            host: placement.host.clone(),
            devices: placement.devices.iter().map(Into::into).collect(),
            share: 1.0,
            rank: 0,
            gpus: gpus.into(),
        }
    }
}

/// UTC microseconds as the API has times.
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000_000) * 1000).expect("below 10^9");
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000_000), nanos }
}

/// The API's time in UTC microseconds; none is 1970, and what lies outside the range is cut to it.
pub fn from_timestamp(at: Option<&prost_types::Timestamp>) -> Timestamp {
    let at = at.copied().unwrap_or_default();
    Timestamp(at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1000))
}

/// A duration as the API has it.
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).expect("below 10^9"),
    }
}

impl From<&pb::Started> for Started {
    fn from(started: &pb::Started) -> Self {
        Started {
            nonce: started.nonce.clone(),
            runner_pid: started.runner_pid,
            command_pid: started.command_pid,
            boot: started.boot.clone(),
            argv: started.argv.clone(),
            notes: started.notes.clone(),
            facts: started.facts.clone().into_iter().collect(),
            at: from_timestamp(started.time.as_ref()),
        }
    }
}

impl TryFrom<&pb::Ended> for Ended {
    type Error = BadMessage;

    /// Without what the controller adds: digest, GPUs, the stored tail.
    fn try_from(ended: &pb::Ended) -> Result<Self, BadMessage> {
        use pb::ended::Exit as Wire;
        let exit = match ended.exit.as_ref().ok_or(bad("ended.exit", "is missing"))? {
            Wire::Code(code) => Exit::Code(*code),
            Wire::Signal(signal) => Exit::Signal(*signal),
            Wire::NotStarted(why) => Exit::NotStarted { why: why.clone() },
            Wire::NotStartedHere(why) => Exit::NotStartedHere { why: why.clone() },
            Wire::Lost(why) if *why == i32::from(pb::ended::LostWhy::Machine) => Exit::Lost(LostWhy::Machine),
            Wire::Lost(_) => Exit::Lost(LostWhy::Runner),
        };
        Ok(Ended {
            exit,
            signalled: ended.signalled,
            killed: ended.killed,
            timed_out: ended.timed_out,
            reports: ended.reports,
            last_seq: ended.seq,
            digest: String::new(),
            wall_ms: ended.wall_ms,
            cpu_ms: ended.cpu_ms,
            peak_memory: ended.peak_memory_bytes,
            gpus: 0,
            tail: None,
            notes: ended.notes.clone(),
        })
    }
}

/// How a run ended, as the API shows it.
pub fn exit(ended: &Ended) -> pb::run::Exit {
    let mut exit = pb::run::Exit { killed: ended.killed, timed_out: ended.timed_out, ..Default::default() };
    match &ended.exit {
        Exit::Code(code) => exit.code = Some(*code),
        Exit::Signal(signal) => exit.signal = Some(*signal),
        Exit::NotStarted { why } | Exit::NotStartedHere { why } => exit.why.clone_from(why),
        Exit::Told(told) => told_as(*told).clone_into(&mut exit.why),
        Exit::Lost(why) => lost(*why).clone_into(&mut exit.why),
    }
    exit
}

/// Why nobody saw a run end, in words.
pub fn lost(why: LostWhy) -> &'static str {
    match why {
        LostWhy::Runner => "its runner was killed",
        LostWhy::Machine => "its machine went down",
        LostWhy::Gone => "its agent came back without it",
        LostWhy::Replaced => "its agent was silent, and another took the trial",
        LostWhy::Silent => "its agent was silent when the run had to end",
        LostWhy::Lease => "its caller said nothing for as long as its lease was",
        LostWhy::Ended => "the sweep ended before its caller told its end",
    }
}

/// How a caller ended its run, in words.
fn told_as(told: Told) -> &'static str {
    match told {
        Told::Succeeded => "told as succeeded",
        Told::Failed => "told as failed",
        Told::Stopped => "told as stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_survives_the_wire() {
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Int(64),
            Value::Float(64.0),
            Value::Float(f64::INFINITY),
            Value::Text("a\0'\"$ é".into()),
            Value::BigInt("123456789012345678901234567890".into()),
            Value::List(vec![Value::Int(1), Value::Float(f64::NEG_INFINITY)]),
            Value::Map(vec![("z".into(), Value::Null), ("a".into(), Value::Text(String::new()))]),
        ];
        let assignment =
            Assignment(values.into_iter().enumerate().map(|(k, v)| (format!("p{k}"), v)).collect());
        assert_eq!(Assignment::try_from(&pb::Assignment::from(&assignment)), Ok(assignment));
    }

    #[test]
    fn times_before_1970_survive_too() {
        for at in [-1, 0, 1, -1_000_001, 1_700_000_000_123_456] {
            assert_eq!(from_timestamp(Some(&timestamp(Timestamp(at)))), Timestamp(at));
        }
    }

    #[test]
    fn a_bad_run_names_its_field() {
        let key = pb::RunKey { sweep: "no".into(), trial: 1, attempt: 1, fence: 1 };
        assert_eq!(RunId::try_from(Some(key)).unwrap_err().to_string(), "run.sweep is not a sweep id");
        assert_eq!(RunId::try_from(None).unwrap_err().field, "run");
        assert_eq!(Ended::try_from(&pb::Ended::default()).unwrap_err().field, "ended.exit");
    }
}
