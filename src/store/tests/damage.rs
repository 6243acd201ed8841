//! What was stored and is no longer there, or no longer the same.

use rusqlite::Connection;

use super::*;

/// A store of 20 commits, copied as a power cut would leave it: with its WAL, never closed.
fn crashed(scratch: &Scratch) -> PathBuf {
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    for k in 0..20 {
        append_reports(&mut opened.store, key, 1 + 5 * k..6 + 5 * k).unwrap();
    }
    let image = scratch.0.join("image");
    copy_dir(&scratch.dir(), &image);
    image
}

/// The files of a store at one moment, and what it had acknowledged by then.
struct Moment {
    db: Vec<u8>,
    wal: Vec<u8>,
    mark: Vec<u8>,
    acknowledged: Vec<String>,
}

impl Moment {
    fn of(dir: &Path, store: &Store) -> Moment {
        let read = |name: &str| std::fs::read(dir.join(name)).unwrap_or_default();
        let acknowledged = folded(store, Log::Sweep(sweep(7)));
        Moment { db: read("store.db"), wal: read("store.db-wal"), mark: read("mark"), acknowledged }
    }
}

/// A store's life: commits into the WAL, a checkpoint, a commit into the WAL that begins anew.
fn moments(scratch: &Scratch) -> Vec<Moment> {
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    let mut moments = Vec::new();
    for step in 0..6 {
        match step {
            3 => opened
                .store
                .db
                .query_row("pragma wal_checkpoint(restart)", [], |row| {
                    let is_busy: i64 = row.get(0)?;
                    assert_eq!(is_busy, 0);
                    Ok(())
                })
                .unwrap(),
            _ => {
                append_reports(&mut opened.store, key, 1 + 40 * step..6 + 47 * step).unwrap();
            }
        }
        moments.push(Moment::of(&scratch.dir(), &opened.store));
    }
    moments
}

/// A file on its way from one content to another when power is lost: each block is the old or the new one, and so is
/// the length.
fn torn(old: &[u8], new: &[u8], draw: &mut impl FnMut(u64) -> u64) -> Vec<u8> {
    let share = draw(5);
    let mut torn = old.to_vec();
    if draw(4) > 0 {
        torn.resize(new.len(), 0);
    }
    for (block, bytes) in new.chunks(512).enumerate() {
        let there = torn.get_mut(block * 512..block * 512 + bytes.len());
        if let Some(there) = there.filter(|_| draw(4) < share) {
            there.copy_from_slice(bytes);
        }
    }
    torn
}

/// `SWATH_CRASH_SEEDS` says how many images; `A..B` which ones.
#[test]
fn f37_power_loss_keeps_every_acknowledged_commit() {
    let scratch = Scratch::new();
    let moments = moments(&scratch);
    let number = |text: &str| text.parse::<u64>().expect("SWATH_CRASH_SEEDS is N or A..B");
    let seeds = std::env::var("SWATH_CRASH_SEEDS").unwrap_or_else(|_| "200".to_owned());
    let (from, to) = seeds.split_once("..").map_or((0, number(&seeds)), |(a, b)| (number(a), number(b)));
    let mut survived = [0; 2];
    for seed in from..to {
        let mut random = seed;
        let mut draw = |below: u64| {
            random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 31)) % below
        };
        let at = draw(moments.len() as u64 - 1) as usize;
        let (before, after) = (&moments[at], &moments[at + 1]);
        let image = scratch.0.join("crash");
        std::fs::create_dir_all(&image).unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(image.join(name), bytes).unwrap();
        write("store.db", &torn(&before.db, &after.db, &mut draw));
        write("store.db-wal", &torn(&before.wal, &after.wal, &mut draw));
        write("mark", &moments[draw(at as u64 + 1) as usize].mark); // nobody syncs it at once
        let opened =
            try_open(&image, &Options::default()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let entries = folded(&opened.store, Log::Sweep(sweep(7)));
        let whole = entries == after.acknowledged;
        assert!(whole || entries == before.acknowledged, "seed {seed}: {} entries", entries.len());
        survived[usize::from(whole)] += 1;
        drop(opened);
        std::fs::remove_dir_all(&image).unwrap();
    }
    println!("{survived:?} of {} images held the state before, and after, what was under way", to - from);
    assert!(to - from < 100 || survived.iter().all(|images| *images > 0), "{survived:?}");
}

#[test]
fn f38_a_cut_or_flipped_wal_is_refused_with_the_first_lost_position() {
    let scratch = Scratch::new();
    let image = crashed(&scratch);
    let wal = std::fs::read(image.join("store.db-wal")).unwrap();
    for (k, length) in [1, 24, 512, 4095, 4096].into_iter().enumerate() {
        for flip in [false, true] {
            let copy = scratch.0.join(format!("cut{k}{flip}"));
            copy_dir(&image, &copy);
            let _ = std::fs::remove_file(copy.join("store.db-shm"));
            let mut bytes = wal.clone();
            let end = bytes.len() - length;
            if flip {
                bytes[end] ^= 0x40;
            } else {
                bytes.truncate(end);
            }
            std::fs::write(copy.join("store.db-wal"), bytes).unwrap();
            match try_open(&copy, &Options::default()) {
                Err(OpenError::Lost { first_lost, last, .. }) => assert_eq!((first_lost, last), (99, 103)),
                other => panic!("{:?}", other.map(|opened| opened.store.last_pos())),
            }
        }
    }
}

#[test]
fn f66_accepted_loss_uses_no_fence_or_position_twice_and_is_recorded() {
    let scratch = Scratch::new();
    let image = crashed(&scratch);
    let _ = std::fs::remove_file(image.join("store.db-shm"));
    let wal = std::fs::read(image.join("store.db-wal")).unwrap();
    std::fs::write(image.join("store.db-wal"), &wal[..wal.len() - 1]).unwrap();
    let options = Options { accept_loss: Some(5), ..Options::default() };
    let mut opened = try_open(&image, &options).unwrap();
    let epoch = opened.store.begin(Timestamp(9), Actor(0), "test").unwrap();
    assert_eq!((epoch, opened.store.last_pos()), (1 + 4096 + 5, Pos(105)));
    let own = folded(&opened.store, Log::Store);
    assert!(
        own.iter().any(|entry| entry.contains("LossAccepted { first: Pos(99), last: Pos(103)")),
        "{own:?}"
    );
    drop(opened);
    assert_eq!(verify(&image.join("store.db")).unwrap().bad, vec![]);
    assert_eq!(open(&image).store.epoch(), epoch + 1);
}

#[test]
fn f38_a_lost_mark_or_database_is_refused() {
    let scratch = Scratch::new();
    drop(open(&scratch.dir()));
    std::fs::remove_file(scratch.dir().join("mark")).unwrap();
    assert!(matches!(try_open(&scratch.dir(), &Options::default()), Err(OpenError::Mark { .. })));
    std::fs::write(scratch.dir().join("mark"), [7; 64]).unwrap();
    assert!(matches!(try_open(&scratch.dir(), &Options::default()), Err(OpenError::Mark { .. })));
    let options = Options { accept_loss: Some(0), ..Options::default() };
    try_open(&scratch.dir(), &options).unwrap().store.begin(Timestamp(3), Actor(0), "test").unwrap();
    drop(open(&scratch.dir()));
    std::fs::remove_file(scratch.dir().join("store.db")).unwrap();
    let error = try_open(&scratch.dir(), &Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Lost { first_lost: 1, .. }), "{error}");
}

#[test]
fn f39_a_damaged_sweep_is_refused_and_the_others_load() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    for number in [7, 8] {
        let key = register(&mut opened.store, sweep(number));
        append_reports(&mut opened.store, key, 1..4).unwrap();
    }
    for column in ["at = at + 1", "actor = 9", "kind = 'RunEnded'", "body = replace(body, '1', '2')"] {
        let sql = format!("update event set {column} where log = 7 and n = 1");
        opened.store.db.execute_batch(&format!("begin; {sql};")).unwrap();
        let error = opened.store.fold(Log::Sweep(sweep(7)), Reports::None, Pos(0), |_| ()).unwrap_err();
        assert!(
            matches!(error, FoldError::Damaged { log: Log::Sweep(id), n: 1, .. } if id == sweep(7)),
            "{error}"
        );
        assert_eq!(folded(&opened.store, Log::Sweep(sweep(8))).len(), 4);
        let bad = crate::store::verify::verify_open(&opened.store.db).bad;
        assert_eq!((bad[0].log, bad[0].n), (Some(Log::Sweep(sweep(7))), 1), "{column}");
        opened.store.db.execute_batch("rollback").unwrap();
    }
    for change in
        ["update report set seq = 9 where seq = 2", "delete from event where log = 8", "delete from report"]
    {
        opened.store.db.execute_batch(&format!("begin; {change};")).unwrap();
        assert_ne!(crate::store::verify::verify_open(&opened.store.db).bad, vec![], "{change}");
        opened.store.db.execute_batch("rollback").unwrap();
    }
    assert_eq!(crate::store::verify::verify_open(&opened.store.db).bad, vec![]);
}

#[test]
fn f39_a_flipped_page_is_found() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..300).unwrap();
    let root: u64 = opened
        .store
        .db
        .query_row(
            "select pageno from dbstat where name = 'report' and pagetype = 'leaf' limit 1",
            [],
            |row| row.get(0),
        )
        .unwrap_or(5);
    drop(opened);
    let file = scratch.dir().join("store.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let page = (root as usize - 1) * 4096;
    bytes[page + 4000..page + 4090].iter_mut().for_each(|byte| *byte ^= 0xff);
    std::fs::write(&file, bytes).unwrap();
    let found = verify(&file);
    assert!(!found.is_ok_and(|found| found.bad.is_empty()));
}

#[test]
fn f41_a_backup_taken_while_writing_restores_with_a_new_epoch_and_secret() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..100).unwrap();
    let (readers, to) = (opened.store.readers(), scratch.0.join("backup.db"));
    let file = to.clone();
    let copying = std::thread::spawn(move || backup(&mut readers.get().unwrap(), &file).unwrap());
    for k in 1..50 {
        append_reports(&mut opened.store, key, 100 * k..100 * k + 20).unwrap();
    }
    let taken = copying.join().unwrap();
    assert_eq!(verify(&to).unwrap(), taken.verified);
    let (id, epoch, secret) = (opened.store.id(), opened.store.epoch(), *opened.store.secret());
    let new = scratch.0.join("new");
    restore(&to, &new, 77, Timestamp(5), &Options::default()).unwrap();
    assert!(matches!(
        restore(&to, &new, 77, Timestamp(5), &Options::default()),
        Err(OpenError::Dir(DirError::NotEmpty(_)))
    ));
    let mut restored = open(&new);
    assert_eq!((restored.store.id(), restored.store.epoch()), (id, epoch + 4096 + 77 + 1));
    assert!(restored.store.secret_is_new() && *restored.store.secret() != secret);
    append_reports(&mut restored.store, key, 90_000..90_003).unwrap();
    assert_eq!(verify(&new.join("store.db")).unwrap().bad, vec![]);
}

#[test]
fn f41_a_damaged_or_foreign_backup_is_refused_before_anything_is_written() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    register(&mut opened.store, sweep(7));
    let to = scratch.0.join("backup.db");
    backup(&mut opened.store.readers().get().unwrap(), &to).unwrap();
    let foreign = scratch.0.join("foreign");
    std::fs::write(&foreign, "no database").unwrap();
    Connection::open(&to).unwrap().execute("update event set at = 1 where log = 7", []).unwrap();
    for file in [to, foreign] {
        assert!(restore(&file, &scratch.0.join("new"), 0, Timestamp(5), &Options::default()).is_err());
        assert!(!scratch.0.join("new").exists());
    }
}
