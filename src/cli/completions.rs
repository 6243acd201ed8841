//! `swath completions`: what the grammar says, and in bash the ids and names of the last listing.
//!
//! A shell asks for words at each press of a key, so it reads a small file that `sweep list`, or `ask`, leaves in the data
//! directory and starts nothing. Only words that no shell takes for more than a word are written there.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use clap_complete::Shell;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::pb;

/// The file of ids and names, one a line.
const LISTED: &str = "listed";
/// The file of runs that were asked for, one a line.
const ASKED: &str = "asked";
/// Runs kept there.
const MOST_ASKED: usize = 200;

/// After clap's own function: what stands for a sweep or a trial may be one of the last listing.
const BASH: &str = r#"
_swath_with_sweeps() {
    _swath "$@"
    local data="${SWATH_DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/swath}"
    local listed="$data/listed"
    [[ ${COMP_WORDS[1]} == tell ]] && listed="$data/asked"
    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
        "sweep create"|"sweep list") return ;;
        sweep\ ?*|trial\ ?*|watch\ *|run\ *|ask\ *|tell\ *) ;;
        *) return ;;
    esac
    [[ ${COMP_WORDS[1]} == run && $3 != --resume ]] && return
    [[ ${COMP_WORDS[1]} == tell && $COMP_CWORD -gt 2 ]] && return
    [[ $COMP_CWORD -lt 3 && ${COMP_WORDS[1]} != @(watch|ask|tell) ]] && return
    [[ $2 == -* || ! -r $listed ]] && return
    local word
    while read -r word; do
        [[ $word == "$2"* ]] && COMPREPLY+=("$word")
    done < "$listed"
}
complete -F _swath_with_sweeps -o nosort -o bashdefault -o default swath
"#;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// bash, zsh, fish, powershell, elvish
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints it.
///
/// # Errors
///
/// When stdout cannot be written to.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::grammar(), "swath", &mut script);
    out.write_all(&script)?;
    if args.shell == Shell::Bash {
        out.write_all(BASH.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// Notes what was listed, for the shell.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn note_listed(dir: &Path, sweeps: &[pb::Sweep]) -> io::Result<()> {
    let is_word = |name: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
    };
    let mut words: Vec<&str> = Vec::new();
    for word in sweeps.iter().flat_map(|sweep| [sweep.sweep.as_str(), &sweep.name]).filter(is_word) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    write(dir, LISTED, &words)
}

/// Notes which runs were asked for, the newest first.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn note_asked(dir: &Path, trials: &[pb::AskedTrial]) -> io::Result<()> {
    let before = fs::read_to_string(dir.join(ASKED)).unwrap_or_default();
    let new = trials.iter().rev().map(|trial| trial.run.as_str());
    write(dir, ASKED, &new.chain(before.lines()).take(MOST_ASKED).collect::<Vec<_>>())
}

fn write(dir: &Path, name: &str, words: &[&str]) -> io::Result<()> {
    let draft = dir.join(format!("{name}.{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all((words.join("\n") + "\n").as_bytes())?;
    fs::rename(draft, dir.join(name))
}
