//! Finds the program of a command, and says why it could not be started.
//!
//! It is looked up here, on the command's own PATH and from its own folder, so that the error can name what is
//! missing. `python`, also behind `env`, becomes `python3` where only that exists.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::ended::Fault;

/// A command that can be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The file.
    pub(crate) path: PathBuf,
    /// All of argv, the program's own name first.
    pub(crate) argv: Vec<OsString>,
    /// What was changed, for the user.
    pub(crate) note: Option<String>,
}

/// A command that cannot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoStart {
    pub(crate) fault: Fault,
    /// What a shell's exit code says: 126 found and not executable, 127 not found, 125 anything else.
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl NoStart {
    fn user(code: u8, message: String) -> NoStart {
        NoStart { fault: Fault::User, code, message }
    }

    /// What a failed `spawn` of `program` means.
    pub(crate) fn from_spawn(error: &io::Error, program: &Path) -> NoStart {
        let shown = program.display();
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        match errno {
            Some(Errno::NOENT) => NoStart::user(126, missing_interpreter(program)),
            Some(Errno::NOEXEC) => NoStart::user(
                126,
                format!(
                    "{shown} is neither a binary of this machine nor a script with a `#!` line: add the line, or name its interpreter in `command`"
                ),
            ),
            Some(Errno::ACCESS | Errno::PERM) => {
                NoStart::user(126, format!("{shown} may not be executed: {error}"))
            }
            Some(Errno::TOOBIG) => NoStart::user(
                126,
                format!(
                    "the arguments of {shown} are too long for this system: pass large values in a file (SWATH_PARAMS has them all)"
                ),
            ),
            Some(Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::ISDIR) => {
                NoStart::user(127, format!("{shown}: {error}"))
            }
            None if error.kind() == io::ErrorKind::InvalidInput => {
                NoStart::user(126, format!("an argument or variable for {shown} holds a NUL byte"))
            }
            _ => NoStart {
                fault: Fault::Infrastructure,
                code: 125,
                message: format!("{shown} could not be started here: {error}"),
            },
        }
    }
}

/// Finds the program of `argv` on `path`, seen from `workdir`.
pub(crate) fn find(argv: &[OsString], path: Option<&OsStr>, workdir: &Path) -> Result<Program, NoStart> {
    if !workdir.is_dir() {
        return Err(NoStart::user(
            127,
            format!("no folder {}: `workdir` must exist where the run starts", workdir.display()),
        ));
    }
    let (mut argv, note) = with_python(argv, path, workdir);
    let name = argv.first_mut().ok_or_else(|| NoStart::user(127, "the command is empty".to_owned()))?;
    let shown = name.to_string_lossy().into_owned();
    if name.as_encoded_bytes().contains(&b'/') {
        let file = workdir.join(&*name);
        return match is_executable(&file) {
            Some(true) => Ok(Program { path: file, argv, note }),
            Some(false) => Err(NoStart::user(
                126,
                format!("{shown} is not executable: chmod +x it, or name its interpreter in `command`"),
            )),
            None => Err(NoStart::user(127, format!("no program {shown} (from {})", workdir.display()))),
        };
    }
    match on_path(name, path, workdir) {
        Found::Program(file) => Ok(Program { path: file, argv, note }),
        Found::NotExecutable(file) => {
            Err(NoStart::user(126, format!("{} is not executable", file.display())))
        }
        Found::Nothing => Err(NoStart::user(
            127,
            format!("no program `{shown}` on PATH: install it, or name it by its path in `command`"),
        )),
    }
}

enum Found {
    Program(PathBuf),
    NotExecutable(PathBuf),
    Nothing,
}

fn on_path(name: &OsStr, path: Option<&OsStr>, workdir: &Path) -> Found {
    let path = path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    let mut unfit = None;
    for folder in std::env::split_paths(path) {
        let file = workdir.join(folder).join(name);
        match is_executable(&file) {
            Some(true) => return Found::Program(file),
            Some(false) => unfit = unfit.or(Some(file)),
            None => {}
        }
    }
    unfit.map_or(Found::Nothing, Found::NotExecutable)
}

/// `None`: no such file.
fn is_executable(file: &Path) -> Option<bool> {
    let about = file.metadata().ok()?;
    Some(about.is_file() && about.permissions().mode() & 0o111 != 0)
}

fn with_python(argv: &[OsString], path: Option<&OsStr>, workdir: &Path) -> (Vec<OsString>, Option<String>) {
    let mut argv = argv.to_vec();
    let is_env = argv.first().is_some_and(|name| name == "/usr/bin/env" || name == "env");
    let Some(interpreter) = argv.get_mut(usize::from(is_env)).filter(|name| *name == "python") else {
        return (argv, None);
    };
    let is_there = |name: &str| matches!(on_path(OsStr::new(name), path, workdir), Found::Program(_));
    if is_there("python") || !is_there("python3") {
        return (argv, None);
    }
    *interpreter = "python3".into();
    (argv, Some("there is no `python` on PATH: `python3` was taken".to_owned()))
}

/// The file is there, so what `exec` missed is its interpreter.
fn missing_interpreter(program: &Path) -> String {
    let mut head = [0; 256];
    let read = std::fs::File::open(program).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let line = String::from_utf8_lossy(&head[..read]);
    match line.strip_prefix("#!").and_then(|rest| rest.lines().next()) {
        Some(interpreter) => format!(
            "{}: bad interpreter `{}`: no such program{}",
            program.display(),
            interpreter.trim_end_matches('\r').trim(),
            if interpreter.ends_with('\r') { " (the line ends with a carriage return)" } else { "" }
        ),
        None => format!("{}: its loader or a library of it is missing", program.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::testing::TempDir;

    fn file(dir: &TempDir, name: &str, mode: u32) {
        let path = dir.path().join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn find_in(dir: &TempDir, argv: &[&str]) -> Result<Program, NoStart> {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        find(&argv, Some(dir.path().as_os_str()), dir.path())
    }

    #[test]
    fn python3_is_taken_for_python_where_only_that_exists() {
        let dir = TempDir::new();
        file(&dir, "python3", 0o755);
        file(&dir, "env", 0o755);
        for argv in [&["python", "x.py"][..], &["env", "python", "x.py"]] {
            let program = find_in(&dir, argv).unwrap();
            assert!(program.argv.iter().any(|word| word == "python3"), "{program:?}");
            assert_eq!(program.note.as_deref(), Some("there is no `python` on PATH: `python3` was taken"));
        }
        assert_eq!(find_in(&dir, &["python3", "python"]).unwrap().argv, ["python3", "python"]);
        file(&dir, "python", 0o755);
        let program = find_in(&dir, &["python", "x.py"]).unwrap();
        assert_eq!((program.argv[0].to_str(), program.note), (Some("python"), None));
    }

    #[test]
    fn f27_a_program_that_cannot_be_started_is_named() {
        let dir = TempDir::new();
        file(&dir, "plain", 0o644);
        let code_and_message =
            |argv: &[&str]| find_in(&dir, argv).map_err(|no| (no.code, no.message)).unwrap_err();
        assert_eq!(
            code_and_message(&["absent"]),
            (127, "no program `absent` on PATH: install it, or name it by its path in `command`".to_owned())
        );
        assert_eq!(code_and_message(&["plain"]).0, 126);
        assert_eq!(
            code_and_message(&["./plain"]),
            (126, "./plain is not executable: chmod +x it, or name its interpreter in `command`".to_owned())
        );
        assert_eq!(code_and_message(&["./none"]).0, 127);
        let no = find(&["sh".into()], None, Path::new("/no/such/folder")).unwrap_err();
        assert_eq!(no.message, "no folder /no/such/folder: `workdir` must exist where the run starts");
    }

    #[test]
    fn f27_what_another_machine_could_do_is_infrastructure() {
        let fault = |errno: Errno| NoStart::from_spawn(&errno.into(), Path::new("/bin/x")).fault;
        for errno in [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::IO, Errno::TXTBSY] {
            assert_eq!(fault(errno), Fault::Infrastructure, "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::NOEXEC, Errno::ACCESS, Errno::TOOBIG] {
            assert_eq!(fault(errno), Fault::User, "{errno:?}");
        }
    }
}
