//! Starts a run's command: its files, its environment, its program, its process.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ended::Fault;
use super::environment::{self, Environment};
use super::folder::Folder;
use super::processes;
use super::program::{self, NoStart, Program};
use super::record::Process;
use super::spec::Spec;

/// A command ready to be spawned.
pub(crate) struct Prepared {
    program: Program,
    environment: Environment,
    workdir: PathBuf,
}

/// A command that was spawned.
pub(crate) struct Launched {
    pub(crate) command: Process,
    /// Its stdout and stderr.
    pub(crate) pipes: [OwnedFd; 2],
    /// What was changed about it, for the user.
    pub(crate) note: Option<String>,
}

/// Writes the run's files and finds its program.
pub(crate) fn prepare(spec: &Spec, folder: &Folder) -> Result<Prepared, NoStart> {
    let environment = environment::build(spec, folder, std::env::vars_os().collect());
    write_files(spec, folder).map_err(|error| NoStart {
        fault: Fault::Infrastructure,
        code: 125,
        message: format!("writing the run's files into {}: {error}", folder.path().display()),
    })?;
    let workdir = spec.workdir.clone().unwrap_or_else(|| folder.path().to_owned());
    let path = environment.get(OsStr::new("PATH")).map(|path| path.as_os_str());
    let program = program::find(&spec.argv, path, &workdir)?;
    Ok(Prepared { program, environment, workdir })
}

fn write_files(spec: &Spec, folder: &Folder) -> io::Result<()> {
    write(&folder.params(), &spec.params_json)?;
    if spec.collect.wandb {
        write(&folder.wandb_config(), &spec.wandb_config)?;
        copy_netrc(folder)?;
    }
    if let Some(checkpoints) = &spec.checkpoint_dir {
        fs::create_dir_all(checkpoints)?;
    }
    Ok(())
}

/// Writes a file, over an earlier run's in a folder that is used again. It is shortened afterwards, since ext4 brings a
/// file that was emptied first to the disk when it is closed.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    if file.metadata()?.len() > text.len() as u64 {
        file.set_len(text.len() as u64)?;
    }
    Ok(())
}

/// Removes what must not outlive the run: the copied keys are the user's own.
pub(crate) fn clean_up(folder: &Folder) {
    // Absent, as for most; in a folder that is the user's alone.
    let _ = fs::remove_file(folder.netrc());
}

/// `wandb.login(key=..)` writes into this copy instead of the user's own file.
fn copy_netrc(folder: &Folder) -> io::Result<()> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".netrc"));
    let Some(own) = std::env::var_os("NETRC").map(PathBuf::from).or_else(home) else { return Ok(()) };
    // Whatever makes it unreadable: the command would not have read it either.
    let Ok(text) = fs::read(own) else { return Ok(()) };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(folder.netrc())?.write_all(&text)
}

impl Prepared {
    /// Spawns the command at the head of a process group of its own. `by_hand`: our stdin is its stdin, unless that is
    /// a terminal, which a group in the background may not read.
    pub(crate) fn start(self, by_hand: bool) -> Result<Launched, NoStart> {
        let Prepared { program: Program { path, argv, note }, environment, workdir } = self;
        let mut command = Command::new(&path);
        if let Some((name, arguments)) = argv.split_first() {
            command.arg0(name).args(arguments);
        }
        let stdin = if by_hand && !io::stdin().is_terminal() { Stdio::inherit() } else { Stdio::null() };
        command.env_clear().envs(environment).current_dir(workdir).process_group(0);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| NoStart::from_spawn(&error, &path))?;
        let pid = child.id() as i32;
        // Not reaped yet, so it is there even when it has ended.
        let command = processes::identify(pid).unwrap_or(Process { pid, start: 0 });
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let pipes = [stdout.expect("stdout was piped").into(), stderr.expect("stderr was piped").into()];
        Ok(Launched { command, pipes, note })
    }
}
