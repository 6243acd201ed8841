//! What stays on a machine of runs that are over: their output, up to a bound.
//!
//! The oldest goes first, when an agent enters its place. A deleted sweep can be brought back, so its output and its
//! checkpoints are treated like any other's; checkpoints are the scripts' own and are never removed here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Bytes of output of runs that are over that a machine keeps for a store.
pub(crate) const KEPT_BYTES: u64 = 4 << 30;

/// Removes the oldest folders in `logs` until the rest holds at most `most` bytes.
pub(crate) fn tidy(logs: &Path, most: u64) -> io::Result<()> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(logs)? {
        let folder = entry?.path();
        // One that another agent removes meanwhile is what is wanted.
        if let Ok((newest, size)) = weigh(&folder) {
            runs.push((newest, size, folder));
        }
    }
    runs.sort();
    let mut total: u64 = runs.iter().map(|(_, size, _)| size).sum();
    for (_, size, folder) in runs {
        if total <= most {
            break;
        }
        total -= size;
        remove(folder)?;
    }
    Ok(())
}

/// When a folder's newest file was written, and how much its files hold.
fn weigh(folder: &Path) -> io::Result<(SystemTime, u64)> {
    let mut weight = (SystemTime::UNIX_EPOCH, 0);
    for entry in fs::read_dir(folder)? {
        let about = entry?.metadata()?;
        weight = (weight.0.max(about.modified()?), weight.1 + about.len());
    }
    Ok(weight)
}

fn remove(folder: PathBuf) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_output_goes_first_and_no_more_than_must() {
        let logs = std::env::temp_dir().join(format!("swath-kept-{}", std::process::id()));
        for (age, name) in ["c", "a", "b"].into_iter().enumerate() {
            fs::create_dir_all(logs.join(name)).unwrap();
            fs::write(logs.join(name).join("out.log"), [0; 100]).unwrap();
            let file = File::options().write(true).open(logs.join(name).join("out.log")).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(age as u64)).unwrap();
        }
        let left = || {
            let mut names: Vec<_> = fs::read_dir(&logs).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        tidy(&logs, 300).unwrap();
        assert_eq!(left(), ["a", "b", "c"]);
        tidy(&logs, 250).unwrap();
        assert_eq!(left(), ["a", "b"]);
        tidy(&logs, 0).unwrap();
        assert!(left().is_empty());
        fs::remove_dir_all(&logs).unwrap();
    }
}
