//! A full disk, and one that fails.

use super::*;

const MIB: u64 = 1 << 20;

fn open_on(scratch: &Scratch, disk: &Arc<Says>) -> Opened {
    let options = Options { disk: disk.clone(), ..Options::default() };
    let mut opened = try_open(&scratch.dir(), &options).unwrap();
    opened.store.begin(Timestamp(1), Actor(0), "test").unwrap();
    opened
}

#[test]
fn f35_a_full_disk_takes_stops_alone_until_there_is_room() {
    let scratch = Scratch::new();
    let disk = Says::free(1 << 40);
    let mut opened = open_on(&scratch, &disk);
    let key = register(&mut opened.store, sweep(7));
    let reserve = scratch.dir().join("reserve");
    assert!(reserve.exists());
    disk.free.store(MIB, Ordering::Relaxed);
    let error = append_reports(&mut opened.store, key, 1..3).unwrap_err();
    assert!(matches!(error, AppendError::Full { free: MIB, .. }), "{error}");
    assert!(!reserve.exists() && opened.store.is_pressed());
    let mut batch = Batch::default();
    named(&mut opened.store, &mut batch, 2, sweep(7));
    batch.mark_essential();
    opened.store.append(&batch).unwrap();
    disk.free.store(63 * MIB, Ordering::Relaxed);
    assert!(append_reports(&mut opened.store, key, 1..3).is_err());
    disk.free.store(64 * MIB, Ordering::Relaxed);
    append_reports(&mut opened.store, key, 1..3).unwrap();
    assert!(reserve.exists() && !opened.store.is_pressed());
}

#[test]
fn f65_a_start_on_a_full_disk_releases_the_reserve_first() {
    let scratch = Scratch::new();
    let disk = Says::free(1 << 40);
    drop(open_on(&scratch, &disk));
    disk.free.store(0, Ordering::Relaxed);
    let mut opened = open_on(&scratch, &disk);
    assert!(!scratch.dir().join("reserve").exists());
    let mut batch = Batch::default();
    named(&mut opened.store, &mut batch, 1, sweep(7));
    assert!(matches!(opened.store.append(&batch), Err(AppendError::Full { .. })));
    disk.free.store(1 << 40, Ordering::Relaxed);
    register(&mut opened.store, sweep(7));
}

#[test]
fn f35_sqlite_that_runs_full_takes_nothing_back_of_what_it_said() {
    let scratch = Scratch::new();
    let disk = Says::free(1 << 40);
    let mut opened = open_on(&scratch, &disk);
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..10).unwrap();
    let before = folded(&opened.store, Log::Sweep(sweep(7)));
    let pages: i64 = opened.store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |store: &Store, pages: i64| {
        store.db.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&opened.store, pages);
    let last = opened.store.last_pos();
    let error = append_reports(&mut opened.store, key, 10..3000).unwrap_err();
    assert!(matches!(error, AppendError::Full { .. }), "{error}");
    assert_eq!(opened.store.last_pos(), last);
    assert_eq!(folded(&opened.store, Log::Sweep(sweep(7))), before);
    limit(&opened.store, 1 << 20);
    append_reports(&mut opened.store, key, 10..3000).unwrap();
    assert_eq!(verify(&scratch.dir().join("store.db")).unwrap().bad, vec![]);
}
