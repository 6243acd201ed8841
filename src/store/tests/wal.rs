//! The WAL: written again at a start, short beside readers.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::*;

fn wal_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("store.db-wal")).map_or(0, |meta| meta.len())
}

#[test]
fn f61_a_start_writes_the_last_pages_again_before_anything_else() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..50).unwrap();
    let image = scratch.0.join("image");
    copy_dir(&scratch.dir(), &image);
    assert!(wal_bytes(&image) > 0);
    let reopened = try_open(&image, &Options::default()).unwrap();
    assert_eq!(wal_bytes(&image), 0);
    // and the main file alone holds it all
    let alone = scratch.0.join("alone.db");
    std::fs::copy(image.join("store.db"), &alone).unwrap();
    assert_eq!(reopened.store.last_pos(), opened.store.last_pos());
    assert_eq!(verify(&alone).unwrap().last, opened.store.last_pos());
}

#[test]
fn f62_overlapping_readers_do_not_let_the_wal_grow() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    register(&mut opened.store, sweep(7));
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4)
        .map(|k| {
            let (readers, stop) = (opened.store.readers(), stop.clone());
            std::thread::spawn(move || {
                let mut reads = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let mut reader = readers.get().unwrap();
                    let db = reader.unlimited().unwrap();
                    db.execute_batch("begin; select count(*) from event").unwrap();
                    let until = Instant::now() + Duration::from_millis(15 + 3 * k);
                    while Instant::now() < until {
                        std::thread::yield_now();
                    }
                    db.execute_batch("commit").unwrap();
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    let mut worst = 0;
    let body = "x".repeat(1 << 20);
    for k in 0..200 {
        let mut batch = Batch::default();
        let id = opened.store.next_text();
        batch.text(Text { id, log: Log::Store, salt: [0; 16], body: body.clone() });
        assert!(opened.store.append(&batch).is_ok(), "commit {k}");
        worst = worst.max(wal_bytes(&scratch.dir()));
    }
    stop.store(true, Ordering::Relaxed);
    let reads: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(reads > 20, "readers starved: {reads}");
    assert!(worst < 96 * (1 << 20), "the WAL grew to {worst} bytes");
}
