//! The table of lines, the recorded logs, and what no input may do.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{LineReader, LineRules, PatternError};
use crate::runner::channels::limits::LINE_BYTES;
use crate::runner::channels::reading::Reading;
use crate::runner::channels::testing::{fixture, same, values};
use crate::spec::CollectStdout;

fn rules(collect: &CollectStdout, wanted: &[&str]) -> Arc<LineRules> {
    LineRules::new(collect, &wanted.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("rules")
}

fn read_in(rules: &Arc<LineRules>, chunks: &[&[u8]]) -> Vec<Reading> {
    let mut reader = LineReader::new(Arc::clone(rules));
    let mut found = Vec::new();
    for chunk in chunks {
        reader.feed(chunk, &mut |reading| found.push(reading));
    }
    reader.finish(&mut |reading| found.push(reading));
    found
}

fn read(text: &str) -> Vec<Reading> {
    read_in(&rules(&CollectStdout::On, &["my_metric", "Val Loss"]), &[text.as_bytes()])
}

/// One line's reading as `step: name=value, ..`, or `none`.
fn told(text: &str) -> String {
    let found = read(text);
    assert!(found.len() < 2, "{text}");
    found.first().map_or("none".to_owned(), |reading| {
        let pairs: Vec<_> = reading.metrics.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}: {}", reading.step, pairs.join(", "))
    })
}

#[test]
fn lines_that_count() {
    for (line, expected) in [
        ("loss=0.3", "0: loss=0.3"),
        ("epoch 3 loss 0.2 acc 0.91", "3: loss=0.2, acc=0.91"),
        ("Epoch 3/10 - loss: 0.52 - val_loss: 0.61", "3: loss=0.52, val_loss=0.61"),
        ("{'loss': 0.3, 'epoch': 1.0}", "0: loss=0.3, epoch=1"),
        ("{'loss': '0.31', 'epoch': '0.02'}", "0: loss=0.31, epoch=0.02"),
        (r#"{"step": 7, "loss": 0.25, "val": {"acc": 0.9}}"#, "7: loss=0.25, val.acc=0.9"),
        ("2026-01-02 03:04:05,678 INFO train: step=120 loss=1.5e-3 lr=1e-4", "120: loss=0.0015, lr=0.0001"),
        ("\x1b[32mINFO\x1b[0m epoch=4, val/acc=0.875", "4: val/acc=0.875"),
        ("\r10%|#  | 1/10 [00:01<00:09, loss=0.9]\r100%|###| 10/10 [00:10<00:00, loss=0.4]", "0: loss=0.4"),
        ("[12]\ttrain-rmse:0.5321\tvalidation-rmse:0.6123", "12: train-rmse=0.5321, validation-rmse=0.6123"),
        (
            "[5]\ttraining's binary_logloss: 0.43\tvalid_1's auc: 0.91",
            "5: training_binary_logloss=0.43, valid_1_auc=0.91",
        ),
        ("Epoch: [3][ 10/100]\tTime 0.2 (0.3)\tLoss 1.5 (1.6)\tAcc@1 45.0 (44.1)", "3: Loss=1.5, Acc@1=45"),
        ("Test set: Average loss: 0.0312, Accuracy: 9876/10000 (99%)", "0: loss=0.0312"),
        ("Train Epoch: 2 [640/60000 (1%)]\tLoss: 1.234", "2: Loss=1.234"),
        ("val_loss = nan", "0: val_loss=NaN"),
        ("loss=-Infinity", "0: loss=-inf"),
        ("acc: 92.5%", "0: acc=92.5"),
        ("loss=1,234.5", "0: loss=1234.5"),
        ("loss=0.3,acc=0.5", "0: loss=0.3, acc=0.5"),
        ("loss=tensor(0.3, device='cuda:0')", "0: loss=0.3"),
        ("auc_score: 0.91 (best 0.93)", "0: auc_score=0.91"),
        ("step 100 | reward -12.5 | ep_len 200", "100: reward=-12.5"),
        ("my_metric 0.7", "0: my_metric=0.7"),
        ("Val Loss: 0.45", "0: Val Loss=0.45"),
    ] {
        assert_eq!(told(line), expected, "{line:?}");
    }
}

#[test]
fn lines_that_do_not_count() {
    for line in [
        " 1/32 [..............] - loss: 0.9\x08\x08\x08\x080.8",
        "loss=0,35",
        "loss: 0.3s",
        "loss=0x1f",
        "loss=0.3.4",
        "cuda=12.1 torch=2.3.0",
        "seed=42 lr=0.01",
        "Listening on port: 8080",
        "time: 12:30:45",
        "lossy=0.3",
        "FID 12.5 | IS 8.1",
        "Objective value: 0.125",
        "http://host:8080/loss=0.3",
        "total parameters: 1,234,567",
        "loss=1e999",
        "ok",
        "",
    ] {
        assert_eq!(told(line), "none", "{line:?}");
    }
}

#[test]
fn every_line_of_the_corpus() {
    let Some(lines) = fixture("stdout/lines.jsonl") else { return };
    let lines = String::from_utf8(lines).expect("UTF-8");
    for line in lines.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let found = read(case["line"].as_str().expect("a line"));
        match case["report"].as_object() {
            None => assert_eq!(found, [], "{line}"),
            Some(report) => {
                assert_eq!(found.len(), 1, "{line}");
                assert_eq!(Some(found[0].step), report["step"].as_i64(), "{line}");
                assert!(same(&found[0].metrics, &values(&report["metrics"])), "{line}: {found:?}");
            }
        }
    }
    assert!(lines.lines().count() >= 52);
}

#[test]
fn every_log_of_the_corpus() {
    for name in ["hf", "json", "keras", "pytorch", "xgboost"] {
        let Some(log) = fixture(&format!("stdout/{name}.log")) else { return };
        let expected = fixture(&format!("stdout/{name}.EXPECTED.json")).expect("expected values");
        let expected: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
        let wanted: Vec<_> =
            expected["wanted"].as_array().expect("names").iter().filter_map(|n| n.as_str()).collect();
        let found = read_in(&rules(&CollectStdout::On, &wanted), &[&log]);
        let reports = expected["reports"].as_array().expect("reports");
        assert_eq!(found.len(), reports.len(), "{name}: {found:?}");
        for (found, report) in found.iter().zip(reports) {
            assert_eq!(Some(found.step), report["step"].as_i64(), "{name}");
            assert!(same(&found.metrics, &values(&report["metrics"])), "{name}: {found:?} is not {report}");
        }
    }
}

#[test]
fn a_heading_gives_its_step_until_it_is_used_up() {
    let steps: Vec<_> = read("Epoch 2/3\nloss: 0.5\nloss: 0.4\nacc: 0.1\n").iter().map(|r| r.step).collect();
    assert_eq!(steps, [2, 3, 2]);
}

#[test]
fn a_pattern_replaces_the_rules() {
    let pattern = |text: &str| CollectStdout::Pattern(text.to_owned());
    let own = rules(&pattern(r"(?P<step>\d+) (?P<name>\w+)->(?P<value>\S+)"), &["x"]);
    let found = read_in(&own, &[b"7 foo->1.5 8 bar->nope\nloss=1\n9 foo->nan"]);
    assert_eq!((found[0].step, found[0].metrics.as_slice()), (7, [("foo".to_owned(), 1.5)].as_slice()));
    assert_eq!((found.len(), found[1].step), (2, 9));
    let unnamed = read_in(&rules(&pattern(r"= (?P<value>.*)"), &["x"]), &[b"= 1\n= 2"]);
    assert_eq!((unnamed[1].step, unnamed[1].metrics[0].0.as_str()), (1, "x"));
    let refused = |text: &str| LineRules::new(&pattern(text), &[]).map(drop);
    assert!(matches!(refused("("), Err(PatternError::Syntax(_))));
    assert!(matches!(refused("a"), Err(PatternError::NoValue)));
    assert!(matches!(refused("(?P<value>.)"), Err(PatternError::NoName)));
}

#[test]
fn names_and_off_are_ways_out() {
    let names = CollectStdout::Names(vec!["foo".to_owned()]);
    let found = read_in(&rules(&names, &["loss"]), &[b"loss=1 foo=2\nloss=3\n"]);
    assert_eq!((found.len(), found[0].metrics.as_slice()), (1, [("foo".to_owned(), 2.0)].as_slice()));
    assert_eq!(read_in(&rules(&CollectStdout::Off, &["loss"]), &[b"loss=1\n"]), []);
}

#[test]
fn f23_an_endless_line_is_not_held_and_the_next_one_counts() {
    let mut reader = LineReader::new(rules(&CollectStdout::On, &[]));
    let mut found = Vec::new();
    let chunk = [b'x'; 8192];
    for _ in 0..1_000 {
        reader.feed(&chunk, &mut |reading| found.push(reading));
        assert!(reader.held.capacity() <= 4 * LINE_BYTES);
    }
    reader.feed(b" loss=1\nloss=2\n", &mut |reading| found.push(reading));
    assert_eq!((found.len(), found[0].metrics[0].1), (1, 2.0));
}

proptest! {
    #[test]
    fn any_split_of_any_bytes_gives_the_same(
        pieces in prop::collection::vec(prop_oneof![
            Just("loss=0.3".to_owned()), Just("\n".to_owned()), Just("\r".to_owned()), Just("\x1b[1m".to_owned()),
            Just("epoch 3 ".to_owned()), Just("{'loss': 1}".to_owned()), Just("{\"acc\": NaN}".to_owned()),
            Just("\x08".to_owned()), Just("x".repeat(LINE_BYTES - 3)), ".{0,8}",
        ], 0..30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = pieces.concat().into_bytes();
        let on = rules(&CollectStdout::On, &["my_metric", "Val Loss"]);
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<_> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (whole, split) = (read_in(&on, &[&bytes]), read_in(&on, &chunks));
        prop_assert_eq!(format!("{whole:?}"), format!("{split:?}"));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_in(&rules(&CollectStdout::On, &["a b"]), &[&bytes]);
    }

    #[test]
    fn arbitrary_text_near_the_forms_never_panics(text in "[a-zA-Z_'\"{}:=\\[\\]()0-9., %/\\-néßſ\\x1b\\\\]{0,80}") {
        read_in(&rules(&CollectStdout::On, &["loss", "é"]), &[b"loss ", text.as_bytes()]);
    }
}

#[test]
fn mutated_logs_never_panic() {
    for path in ["hf", "json", "keras", "pytorch", "xgboost"].map(|name| format!("stdout/{name}.log")) {
        let Some(log) = fixture(Path::new(&path).to_str().expect("UTF-8")) else { return };
        for at in 0..log.len() {
            let mut broken = log.clone();
            broken[at] ^= 0x5b;
            read_in(&rules(&CollectStdout::On, &["loss"]), &[&broken]);
        }
    }
}
