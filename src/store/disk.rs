//! What the store asks of the disk beside reading and writing; tests put their own answers in.

use std::io;
use std::path::Path;

/// Answers about the disk that a path lies on.
pub trait Disk: Send + Sync {
    /// Bytes that this user may still write.
    fn free(&self, dir: &Path) -> io::Result<u64>;
    /// The name of the network file system it is, if it is one.
    fn network(&self, dir: &Path) -> io::Result<Option<String>>;
}

/// The machine's own answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn free(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    #[cfg(target_os = "linux")]
    fn network(&self, dir: &Path) -> io::Result<Option<String>> {
        let magic = rustix::fs::statfs(dir)?.f_type as u64 & 0xffff_ffff;
        Ok(NETWORK.iter().find(|(known, _)| *known == magic).map(|(_, name)| (*name).to_owned()))
    }

    #[cfg(not(target_os = "linux"))]
    fn network(&self, _: &Path) -> io::Result<Option<String>> {
        Ok(None)
    }
}

/// Magic numbers of statfs(2) whose locks or shared memory SQLite cannot rely on.
#[cfg(target_os = "linux")]
const NETWORK: &[(u64, &str)] = &[
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0bd0_0bd0, "lustre"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x0102_1997, "9p"),
    (0x4750_4653, "gpfs"),
    (0x6573_5546, "fuse"),
    (0x1983_0326, "beegfs"),
];
