//! What a command sees, and what keeps it from starting.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use swath::runner::{self, Fault, How};

use super::{Live, Runs, a_run, python, run, shell, start_by};
use crate::support::binary;

#[test]
fn the_command_sees_what_a_run_should_see() {
    let mut spec = python("import os, json; print(json.dumps(dict(os.environ)))");
    spec.env.insert("MINE".into(), "a=b\nc".into());
    spec.env.insert("SWATH_FENCE".into(), "stolen".into());
    spec.unset.push("HOME".into());
    let finished = run(&spec);
    let seen: BTreeMap<String, String> = serde_json::from_str(&finished.file("out.log")).unwrap();
    let folder = finished.folder.path().to_str().unwrap();
    for (name, value) in [
        ("SWATH_SWEEP", "q7k2m9xa"),
        ("SWATH_TRIAL", "17"),
        ("SWATH_RUN", "q7k2m9xa/17.2"),
        ("SWATH_ATTEMPT", "2"),
        ("SWATH_SEED", "4711"),
        ("SWATH_FENCE", &spec.run.fence.to_string()),
        ("SWATH_PARAMS", &format!("{folder}/params.json")),
        ("PYTHONUNBUFFERED", "1"),
        ("MINE", "a=b\nc"),
        ("WANDB_MODE", "offline"),
        ("WANDB_DIR", folder),
    ] {
        assert_eq!(seen.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!seen.contains_key("HOME"));
    assert_eq!(finished.file("params.json"), spec.params_json);
    let wandb = fs::read_to_string(&seen["WANDB_SWEEP_PARAM_PATH"]).unwrap();
    assert_eq!(wandb, spec.wandb_config);
}

#[test]
fn s07_b25_ten_thousand_values_arrive_byte_for_byte() {
    let echo =
        "import os, sys\nopen('argv', 'wb').write(b''.join(os.fsencode(a) + b'\\0' for a in sys.argv[1:]))";
    let values = awkward_values(10_000);
    for values in values.chunks(2_500) {
        let mut spec = python(echo);
        spec.argv.extend(values.iter().map(|value| OsString::from_vec(value.clone())));
        let finished = run(&spec);
        assert_eq!(finished.ended().how, How::Exited(0));
        let seen = fs::read(finished.folder.path().join("argv")).unwrap();
        let seen: Vec<&[u8]> = seen.split(|byte| *byte == 0).collect();
        assert_eq!(seen.len(), values.len() + 1);
        for (seen, value) in seen.iter().zip(values) {
            assert_eq!(*seen, &value[..], "{:?}", OsString::from_vec(value.clone()).as_os_str().as_bytes());
        }
    }
}

/// Random values of every awkward kind, none with a NUL.
fn awkward_values(count: usize) -> Vec<Vec<u8>> {
    let pieces: [&[u8]; 16] = [
        b" ",
        b"; rm -rf ~",
        b"$(id)",
        b"`id`",
        b"' OR 1=1 --",
        b"\n",
        b"-",
        b"--x=y",
        b"$HOME",
        b"\"",
        b"\\",
        b"*",
        "\u{1f600}é\u{202e}".as_bytes(),
        b"\xff\xfe\x80",
        b"\r\t",
        b"${args}",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count)
        .map(|_| {
            let mut value = Vec::new();
            for _ in 0..next() % 5 {
                match next() % 2 {
                    0 => value.extend_from_slice(pieces[next() as usize % pieces.len()]),
                    _ => value.push((next() % 255 + 1) as u8),
                }
            }
            value
        })
        .collect()
}

#[test]
fn f27_a_command_that_cannot_start_says_whose_fault_it_is() {
    let runs = Runs::new();
    let file = |name: &str, text: &str, mode: u32| {
        fs::write(runs.path(name), text).unwrap();
        fs::set_permissions(runs.path(name), fs::Permissions::from_mode(mode)).unwrap();
        runs.path(name).display().to_string()
    };
    let plain = file("plain", "x", 0o644);
    let interpreter = file("interpreter", "#!/no/such/thing -x\n", 0o755);
    let text = file("text", "just text", 0o755);
    for (argv, words) in [
        (&["no-such-program-anywhere"][..], "no program `no-such-program-anywhere` on PATH"),
        (&[&plain], "is not executable"),
        (&[&interpreter], "bad interpreter `/no/such/thing -x`"),
        (&[&text], "neither a binary of this machine nor a script"),
        (&["true", &"x".repeat(3 << 20)], "too long for this system"),
    ] {
        let finished = run(&a_run(argv));
        let How::NeverStarted { fault, message } = &finished.ended().how else {
            panic!("{:?}", finished.ended())
        };
        assert_eq!(*fault, Fault::User, "{message}");
        assert!(message.contains(words), "{message}");
        assert_eq!((finished.ended().last_seq, finished.entries.len()), (0, 2), "no start is told");
    }
    let mut spec = a_run(&["true"]);
    spec.workdir = Some(runs.path("nowhere"));
    let finished = run(&spec);
    assert!(
        matches!(&finished.ended().how, How::NeverStarted { message, .. } if message.contains("nowhere"))
    );
}

#[test]
fn f68_a_runner_goes_on_when_its_binary_is_replaced() {
    let runs = Runs::new();
    let copy = runs.path("swath");
    fs::copy(binary(), &copy).unwrap();
    let spec = shell("touch ready; while [ ! -e go ]; do sleep 0.01; done; echo loss=0.5");
    let spool = runner::create_locked(&runs.0, &spec).unwrap();
    let folder = spool.folder().clone();
    let runner = start_by(&copy, spool);
    let live = Live { folder, run: spec.run.clone(), runner };
    live.has_made("ready");
    fs::remove_file(&copy).unwrap();
    fs::write(&copy, "something else").unwrap();
    fs::write(live.folder.path().join("go"), "").unwrap();
    let finished = live.finish();
    assert_eq!((&finished.ended().how, finished.values("loss")), (&How::Exited(0), vec![(0, 0.5)]));
}

#[test]
fn f69_neither_runner_nor_command_holds_a_descriptor_of_ours() {
    let mine = fs::File::open("/proc/self/exe").unwrap();
    let finished = run(&shell("ls -l /proc/self/fd /proc/$PPID/fd"));
    drop(mine);
    let targets: Vec<&str> =
        finished.ended().tail.lines().filter_map(|line| line.split_once(" -> ").map(|(_, to)| to)).collect();
    assert!(targets.len() >= 8, "{:?}", finished.ended().tail);
    let folder = finished.folder.path().to_str().unwrap();
    let runners = finished.folder.runner_log().to_str().unwrap().to_owned();
    for target in targets {
        let own = ["pipe:", "socket:", "anon_inode:", "/dev/null", "/proc/", folder, &runners];
        assert!(own.iter().any(|own| target.starts_with(own)), "{target}");
    }
    let stdout = fs::read_link("/proc/self/fd/1").unwrap();
    assert!(stdout == Path::new("/dev/null") || !finished.ended().tail.contains(stdout.to_str().unwrap()));
}
