//! The log itself: what is appended is read back, by fold, by reader, after a restart.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_appended_is_folded_after_a_restart(batches in prop::collection::vec(prop::collection::vec(0..3_u8, 0..12), 1..8)) {
        let scratch = Scratch::new();
        let mut opened = open(&scratch.dir());
        let key = register(&mut opened.store, sweep(7));
        let mut wanted = folded(&opened.store, Log::Sweep(sweep(7)));
        let (mut n, mut seq) = (2, 1);
        for kinds in batches {
            let mut batch = Batch::default();
            for kind in kinds {
                if kind == 0 {
                    named(&mut opened.store, &mut batch, n, sweep(7));
                    n += 1;
                } else {
                    let pos = opened.store.next_pos();
                    batch.report(key, report(pos, seq));
                    seq += 1;
                }
            }
            for item in &batch.items {
                wanted.push(match item {
                    crate::store::batch::Item::Report(_, report) => format!("{:?}", Entry::Report(report.clone())),
                    crate::store::batch::Item::Sweep(_, event) => format!("{:?}", Entry::Event(event.clone())),
                    crate::store::batch::Item::Store(event) => format!("{:?}", Entry::Store(event.clone())),
                });
            }
            opened.store.append(&batch).unwrap();
        }
        prop_assert_eq!(&folded(&opened.store, Log::Sweep(sweep(7))), &wanted);
        drop(opened);
        let opened = open(&scratch.dir());
        prop_assert_eq!(&folded(&opened.store, Log::Sweep(sweep(7))), &wanted);
        prop_assert_eq!(verify(&scratch.dir().join("store.db")).unwrap().bad, vec![]);
    }
}

#[test]
fn f01_a_second_process_with_an_old_epoch_is_fenced() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    opened.store.db.execute("update head set epoch = epoch + 1", []).unwrap();
    assert!(matches!(append_reports(&mut opened.store, key, 1..3), Err(AppendError::Fenced)));
    assert!(matches!(append_reports(&mut opened.store, key, 1..3), Err(AppendError::Broken(_))));
    assert_eq!(folded(&opened.store, Log::Sweep(sweep(7))).len(), 1);
}

#[test]
fn every_start_has_a_higher_epoch_and_a_mere_reader_writes_nothing() {
    let scratch = Scratch::new();
    assert_eq!(open(&scratch.dir()).store.epoch(), 1);
    let last = open(&scratch.dir()).store.last_pos();
    let reader = try_open(&scratch.dir(), &Options::default()).unwrap();
    assert_eq!((reader.store.epoch(), reader.store.last_pos()), (2, last));
    assert!(!reader.store.secret_is_new());
}

#[test]
fn live_reports_are_those_of_runs_that_have_not_ended() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..4).unwrap();
    let count = |store: &Store| {
        let mut count = 0;
        let take = |entry| count += u32::from(matches!(entry, Entry::Report(_)));
        store.fold(Log::Sweep(sweep(7)), Reports::Live, Pos(0), take).unwrap();
        count
    };
    assert_eq!(count(&opened.store), 3);
    let mut batch = Batch::default();
    let pos = opened.store.next_pos();
    let ended = serde_json::from_str(
        r#"{"kind":"RunEnded","run":{"trial":1,"attempt":1},"outcome":"succeeded","ended":{"exit":{"code":0},"reports":3,"lastSeq":3,"wallMs":1},"marks":{"value":null,"best":null,"constraints":[],"atBest":[],"step":null}}"#,
    );
    batch.event(sweep(7), Event { pos, n: 2, at: Timestamp(9), actor: Actor(0), body: ended.unwrap() });
    opened.store.append(&batch).unwrap();
    assert_eq!(count(&opened.store), 0);
}

#[test]
fn rows_beside_the_log_are_read_back() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..4).unwrap();
    let store = &mut opened.store;
    let mut batch = Batch::default();
    let ana = store.actor("ana", &mut batch).unwrap();
    assert_eq!(store.actor("ana", &mut batch).unwrap(), ana);
    let text =
        Text { id: store.next_text(), log: Log::Sweep(sweep(7)), salt: [1; 16], body: "note".to_owned() };
    batch.text(text.clone());
    let asked = Request { caller: ana, id: b"r1".to_vec(), args: [5; 32], pos: key, at: Timestamp(100) };
    batch.request(asked.clone());
    for (k, state) in [(1, "running"), (2, "ended")] {
        let (name, project, body) = (format!("s{k}"), "p".to_owned(), "{}".to_owned());
        let (state, created) = (state.to_owned(), Timestamp(k as i64));
        batch.sweep_row(SweepRow {
            id: sweep(k),
            name,
            project,
            state,
            hidden: false,
            created,
            body: body.into(),
        });
        let (state, value, body) = ("ended".to_owned(), Some(0.5), "{}".to_owned());
        batch.trial_row(TrialRow {
            sweep: sweep(7),
            trial: k as u32,
            state,
            value,
            ranked: value,
            seconds: 1.0,
            body: body.into(),
        });
    }
    store.append(&batch).unwrap();
    assert_eq!(store.request(ana, b"r1", Timestamp(200)).unwrap(), Some(asked));
    assert_eq!(store.request(ana, b"r1", Timestamp(8 * 24 * 3600 * 1_000_000)).unwrap(), None);
    let reader = store.readers().get().unwrap();
    let all = SweepFilter { limit: 10, ..SweepFilter::default() };
    let names = |filter| reader.sweeps(&filter).unwrap().into_iter().map(|row| row.name).collect::<Vec<_>>();
    assert_eq!(names(all.clone()), ["s2", "s1"]);
    assert_eq!(names(SweepFilter { after: Some((Timestamp(2), sweep(2))), ..all.clone() }), ["s1"]);
    assert_eq!(names(SweepFilter { states: vec!["ended".to_owned()], ..all }), ["s2"]);
    let trials =
        reader.trials(sweep(7), &TrialFilter { after: Some(1), limit: 10, ..TrialFilter::default() });
    assert_eq!(trials.unwrap().len(), 1);
    let reports = reader.reports(key, RUN, 1, 10).unwrap();
    assert_eq!(reports.iter().map(|report| report.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(reader.text(text.id).unwrap().as_deref(), Some("note"));
    assert_eq!(reader.actor(ana).unwrap().as_deref(), Some("ana"));
    assert_eq!(reader.events(Log::Sweep(sweep(7)), 0, 10).unwrap().len(), 1);
    assert_eq!(reader.events_from(None, key, 10).unwrap().len(), 0);
}

#[test]
fn a_sweep_is_unfinished_until_its_last_turn_is_an_end() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    register(&mut opened.store, sweep(7));
    let turns = [
        (Body::SweepChanged { version: 2, patch: vec![] }, vec![sweep(7)]),
        (Body::SweepEnded { why: crate::sweep::EndWhy::RunCap, best: None }, vec![]),
        (Body::SweepResumed { home: None, keep_going: false }, vec![sweep(7)]),
    ];
    for (n, (body, unfinished)) in (2..).zip(turns) {
        let mut batch = Batch::default();
        let pos = opened.store.next_pos();
        batch.event(sweep(7), Event { pos, n, at: Timestamp(10), actor: Actor(0), body });
        opened.store.append(&batch).unwrap();
        assert_eq!(opened.store.unfinished().unwrap(), unfinished);
    }
    assert_eq!(opened.store.last_at().unwrap(), Timestamp(10));
}
