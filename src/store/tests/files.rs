//! The data directory, its files and who may hold them.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::*;

#[test]
fn b50_a_directory_that_holds_something_else_is_refused() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.dir()).unwrap();
    std::fs::write(scratch.dir().join("thesis.tex"), "x").unwrap();
    let error = try_open(&scratch.dir(), &Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Dir(DirError::Foreign { .. })), "{error}");
    assert_eq!(std::fs::read_dir(scratch.dir()).unwrap().count(), 1);
    let file = scratch.0.join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(try_open(&file, &Options::default()), Err(OpenError::Dir(DirError::NotADirectory(_)))));
}

#[test]
fn f02_a_creation_that_was_cut_off_anywhere_is_taken_up() {
    for left in ["secret.new", "reserve.new", "store.db.new", "store.db.new-journal"] {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.dir()).unwrap();
        std::fs::write(scratch.dir().join(left), "half").unwrap();
        drop(open(&scratch.dir()));
        assert!(!scratch.dir().join(left).exists(), "{left}");
    }
}

#[test]
fn b50_a_store_that_another_process_is_making_is_nothing_foreign() {
    let scratch = Scratch::new();
    let dirs: Vec<PathBuf> = (0..32).map(|n| scratch.0.join(n.to_string())).collect();
    std::thread::scope(|scope| {
        let maker = scope.spawn(|| dirs.iter().for_each(|dir| drop(open(dir))));
        while !maker.is_finished() {
            for dir in dirs.iter().filter(|dir| dir.exists()) {
                DataDir::prepare(dir, &SystemDisk, NetworkRule::Allow).unwrap();
            }
        }
    });
}

#[test]
fn b50_a_foreign_database_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.dir()).unwrap();
    let file = scratch.dir().join("store.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch("create table mine(x)").unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(matches!(try_open(&scratch.dir(), &Options::default()), Err(OpenError::NotAStore { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn f11_a_newer_format_is_refused_with_its_number() {
    let scratch = Scratch::new();
    let opened = open(&scratch.dir());
    opened.store.db.execute("update meta set value = 9 where key = 'format'", []).unwrap();
    drop(opened);
    let error = try_open(&scratch.dir(), &Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 9, known: 1, .. }), "{error}");
}

#[test]
fn f40_a_network_file_system_is_refused_unless_allowed() {
    let scratch = Scratch::new();
    let disk = Says { free: (1 << 40).into(), network: Some("nfs") };
    let error = DataDir::prepare(&scratch.dir(), &disk, NetworkRule::Refuse).unwrap_err();
    assert!(matches!(&error, DirError::Network { kind, .. } if kind == "nfs"), "{error}");
    DataDir::prepare(&scratch.dir(), &disk, NetworkRule::Allow).unwrap();
}

#[test]
fn s24_the_directory_is_0700_and_every_file_0600() {
    let scratch = Scratch::new();
    let mut opened = open(&scratch.dir());
    let key = register(&mut opened.store, sweep(7));
    append_reports(&mut opened.store, key, 1..4).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scratch.dir()), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(scratch.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    assert!(
        ["store.db", "store.db-wal", "mark", "secret", "lock"]
            .iter()
            .all(|name| names.iter().any(|n| n == name))
    );
    drop(opened);
    std::fs::set_permissions(scratch.dir().join("secret"), PermissionsExt::from_mode(0o644)).unwrap();
    assert!(matches!(
        try_open(&scratch.dir(), &Options::default()),
        Err(OpenError::Exposed { mode: 0o644, .. })
    ));
}

/// Not a test of its own: the second process of the one below.
#[test]
fn f08_helper_holds_the_lock() {
    let Some(dir) = std::env::var_os("SWATH_TEST_HOLD") else { return };
    let _opened = open(Path::new(&dir));
    println!("\nholding");
    std::io::Read::read(&mut std::io::stdin(), &mut [0]).unwrap();
}

#[test]
fn f08_a_second_process_is_told_who_holds_the_store() {
    let scratch = Scratch::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::files::f08_helper_holds_the_lock", "--nocapture"])
        .env("SWATH_TEST_HOLD", scratch.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap() == "holding"));
    let dir = DataDir::prepare(&scratch.dir(), &SystemDisk, NetworkRule::Allow).unwrap();
    match Lock::take(&dir) {
        Err(LockError::Held(held)) => {
            assert_eq!(held.pid, Some(child.id()));
            assert!(!held.host.is_empty());
        }
        other => panic!("{other:?}"),
    }
    child.kill().unwrap(); // SIGKILL gives the lock back
    child.wait().unwrap();
    assert_eq!(open(&scratch.dir()).store.epoch(), 2);
}
