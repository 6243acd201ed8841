//! The recorded logs of real packages, whole, in pieces, cut and broken.

use std::collections::BTreeMap;

use serde_json::Value;

use super::WandbLog;
use crate::runner::channels::notes::Notes;
use crate::runner::channels::reading::Reading;
use crate::runner::channels::tail::WandbSeen;
use crate::runner::channels::testing::{fixture, same, values};

const LOGS: [&str; 5] = ["run-0.15.12", "run-0.19.11", "run-0.31.0", "run-0.31.0-typed", "run-0.31.0-died"];

#[derive(Default)]
struct Outcome {
    readings: Vec<Reading>,
    seen: WandbSeen,
    notes: Vec<String>,
}

fn read<'b>(chunks: impl IntoIterator<Item = &'b [u8]>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut notes = Notes::default();
    let mut log = WandbLog::new(0);
    for chunk in chunks {
        log.feed(chunk, &mut outcome.seen, &mut notes, &mut |reading| outcome.readings.push(reading));
    }
    log.finish(&mut |reading| outcome.readings.push(reading));
    outcome.notes = notes.take();
    outcome
}

fn log(name: &str) -> Option<Vec<u8>> {
    fixture(&format!("wandb-offline/{name}.wandb"))
}

#[test]
fn every_log_of_the_corpus() {
    for name in LOGS {
        let Some(bytes) = log(name) else { return };
        let expected = fixture(&format!("wandb-offline/{name}.EXPECTED.json")).expect("expected values");
        let expected: Value = serde_json::from_slice(&expected).expect("JSON");
        let found = read([bytes.as_slice()]);
        let rows: Vec<_> = expected["history"]
            .as_array()
            .expect("rows")
            .iter()
            .filter(|row| row["metrics"].as_object().is_some_and(|metrics| !metrics.is_empty()))
            .collect();
        for (reading, row) in found.readings.iter().zip(&rows) {
            assert_eq!(Some(reading.step), row["step"].as_i64(), "{name}");
            assert!(same(&reading.metrics, &values(&row["metrics"])), "{name}: {reading:?} is not {row}");
        }
        // What is left is what only the summary says.
        let logged: Vec<_> =
            rows.iter().flat_map(|row| values(&row["metrics"])).map(|(name, _)| name).collect();
        let mut summary = values(&expected["summary"]);
        summary.retain(|(name, _)| !logged.contains(name));
        let last = &found.readings[rows.len()..];
        assert_eq!(last.len(), usize::from(!summary.is_empty()), "{name}");
        assert!(last.iter().all(|reading| same(&reading.metrics, &summary)), "{name}: {last:?}");
        assert_eq!(found.seen.exit_code.map(i64::from), expected["exit_code"].as_i64(), "{name}");
        assert_eq!(found.seen.run_id.as_deref(), expected["run_id"].as_str(), "{name}");
        assert!(name.contains(found.seen.version.as_deref().expect("a version")), "{name}");
        let config: BTreeMap<String, Value> = found
            .seen
            .config
            .iter()
            .map(|(k, v)| (k.clone(), serde_json::from_str(v).expect("JSON")))
            .collect();
        assert_eq!(serde_json::to_value(config).expect("JSON"), expected["config"], "{name}");
        assert_eq!(found.notes, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn any_split_gives_the_same() {
    for name in LOGS {
        let Some(bytes) = log(name) else { return };
        let whole = read([bytes.as_slice()]);
        for size in [1, 7, 4096, 32_768] {
            let split = read(bytes.chunks(size));
            assert_eq!(format!("{:?}", split.readings), format!("{:?}", whole.readings), "{name} by {size}");
            assert_eq!(split.seen, whole.seen);
        }
    }
}

#[test]
fn a_damaged_block_costs_itself_alone() {
    let Some(mut bytes) = log("run-0.31.0-died") else { return };
    let whole = read([bytes.as_slice()]);
    bytes[40_000] ^= 1;
    let broken = read([bytes.as_slice()]);
    assert!(broken.readings.len() < whole.readings.len());
    assert_eq!(broken.readings[0], whole.readings[0]);
    assert_eq!(broken.readings.last().map(|r| r.step), whole.readings.last().map(|r| r.step));
    assert_eq!(broken.notes.len(), 1);
}

#[test]
fn a_foreign_file_is_named_and_not_read() {
    let found = read([b"#!/bin/sh\nloss=1".as_slice()]);
    assert_eq!((found.readings.len(), found.notes.len()), (0, 1));
}

#[test]
fn cut_and_mutated_logs_never_panic() {
    for name in ["run-0.15.12", "run-0.31.0-typed"] {
        let Some(bytes) = log(name) else { return };
        for at in 0..bytes.len() {
            read([&bytes[..at]]);
            let mut broken = bytes.clone();
            broken[at] ^= 0x81;
            read([broken.as_slice()]);
        }
    }
}

/// A right checksum around any payload, so that protobuf and JSON meet what the framing would keep from them.
#[test]
fn mutated_records_never_panic() {
    let Some(bytes) = log("run-0.31.0-typed") else { return };
    let mut records = Vec::new();
    super::blocks::Blocks::default()
        .feed(&bytes, &mut Notes::default(), &mut |record| records.push(record.to_vec()));
    assert!(records.len() > 10);
    for record in records {
        for at in 0..record.len() {
            let mut broken = record.clone();
            broken[at] ^= 0x55;
            read([framed(&broken).as_slice()]);
        }
    }
}

fn framed(record: &[u8]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend_from_slice(record);
    let length = u16::try_from(record.len()).expect("a short record");
    let mut bytes = vec![0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0];
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}
