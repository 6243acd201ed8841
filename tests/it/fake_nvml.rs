//! GPUs as NVML shows them, played by a library of a few lines that `cc` builds.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use swath::agent::gpus::{Choice, Gpu, usable};

use crate::support::Home;

/// Builds the library in `folder`; `None` (with a message) where there is no C compiler.
pub(crate) fn library(folder: &Path) -> Option<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_nvml/nvml.c");
    let built = folder.join("libfake-nvml.so");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&built).arg(source).status();
    match compiled {
        Ok(status) if status.success() => Some(built),
        result => {
            println!("skipped: no C compiler builds {source}: {result:?}");
            None
        }
    }
}

fn indexes(gpus: &[Gpu]) -> Vec<u32> {
    gpus.iter().map(|gpu| gpu.index).collect()
}

#[test]
fn eight_gpus_are_found_and_narrowed() {
    let home = Home::new();
    let Some(library) = library(&home.dir) else { return };
    let find = |choice: Choice, visible| usable(&choice, visible, Some(library.as_os_str()));
    let all = find(Choice::All, None).unwrap();
    assert_eq!(indexes(&all), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(all[3].uuid, "GPU-00000000-0000-0000-0000-000000000003");
    assert_eq!(all[3].name, "Fake H100");
    assert_eq!(indexes(&find(Choice::All, Some(&all[5].uuid)).unwrap()), [5]);
    assert_eq!(indexes(&find(Choice::Indexes(vec![2]), Some("1,2")).unwrap()), [2]);
    assert_eq!(indexes(&find(Choice::All, Some("")).unwrap()), [] as [u32; 0]);
    assert_eq!(indexes(&find(Choice::None, None).unwrap()), [] as [u32; 0]);
    let error = find(Choice::Indexes(vec![0]), Some("1,2")).unwrap_err();
    assert_eq!(error.to_string(), "--gpus names GPU 0, and the usable ones are 1, 2");
}

#[test]
fn a_file_that_is_no_library_is_as_none() {
    let no_library = OsStr::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_nvml/nvml.c"));
    assert_eq!(usable(&Choice::All, None, Some(no_library)).unwrap(), []);
}
