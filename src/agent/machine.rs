//! Which machine this is, and what it has.
//!
//! The id tells machines apart that share one home directory; it is not the machine's own id but a hash of it and the
//! user, so that it says nothing to anybody else. Two users of one machine never see each other's files, so they may
//! count as two machines.

use std::fs;
use std::io;
use std::path::Path;

/// A machine as its agent describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Stable over boots: 16 hex digits.
    pub id: String,
    /// Another one after each boot.
    pub boot: String,
    /// Its name as people know it.
    pub host: String,
    /// Cores this process may use.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl Machine {
    /// Looks at the machine. Where the system has no id of its own, one is drawn and kept in `data_dir`.
    pub fn here(data_dir: &Path) -> io::Result<Machine> {
        let own = match fs::read_to_string("/etc/machine-id") {
            Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
            Ok(_) | Err(_) => kept_id(&data_dir.join("machine"))?,
        };
        Ok(Machine {
            id: hashed(&own, rustix::process::getuid().as_raw()),
            boot: crate::runner::boot_id(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
            memory_bytes: memory_bytes(),
        })
    }
}

fn hashed(machine: &str, user: u32) -> String {
    let key = blake3::derive_key("swath machine id v1", format!("{machine} {user}").as_bytes());
    blake3::Hash::from_bytes(key).to_hex()[..16].to_owned()
}

/// The id in `path`; where there is none, a drawn one is put there. Of several that try at once, one wins.
fn kept_id(path: &Path) -> io::Result<String> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let drawn = format!("{:032x}", rand::random::<u128>());
    match super::files::write_new(path, drawn.as_bytes()) {
        Ok(()) => Ok(drawn),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::read_to_string(path).map(|text| text.trim().to_owned())
        }
        Err(error) => Err(error),
    }
}

/// What the kernel may give out.
fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_and_two_machines_have_other_ids() {
        let id = hashed("1b2c", 1000);
        assert_eq!(id.len(), 16);
        assert_eq!(id, hashed("1b2c", 1000));
        assert_ne!(id, hashed("1b2c", 1001));
        assert_ne!(id, hashed("1b2d", 1000));
    }

    #[test]
    fn a_machine_without_an_id_keeps_the_drawn_one() {
        let dir = std::env::temp_dir().join(format!("swath-machine-{}", std::process::id()));
        let file = dir.join("data/machine");
        let first = kept_id(&file).unwrap();
        assert_eq!(kept_id(&file).unwrap(), first);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn this_machine_has_cores_and_memory() {
        let machine = Machine::here(&std::env::temp_dir()).unwrap();
        assert!(machine.cpus > 0 && machine.memory_bytes > 1 << 20, "{machine:?}");
        assert_eq!(machine, Machine::here(&std::env::temp_dir()).unwrap());
    }
}
