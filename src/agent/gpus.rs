//! The GPUs that runs may get: those NVML shows, of them those that swath's own `CUDA_VISIBLE_DEVICES` names, of them
//! those that `--gpus` picks.
//!
//! NVML is loaded when it is asked, and the library's absence means no GPUs, not an error: most machines have none.
//! `SWATH_NVML_LIBRARY` names another library than the system's, as the tests do, whose own plays 8 GPUs.

use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// Names the NVML library to load in place of the system's.
pub const LIBRARY_VARIABLE: &str = "SWATH_NVML_LIBRARY";

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// `GPU-..`, the same after each boot.
    pub uuid: String,
    /// As `nvidia-smi` numbers it.
    pub index: u32,
    /// Its model.
    pub name: String,
}

/// `--gpus`: which of the usable ones are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Every one.
    #[default]
    All,
    /// None, as on a machine without.
    None,
    /// Those of these indexes.
    Indexes(Vec<u32>),
}

/// A `--gpus` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--gpus {0}: say all, none, or the indexes that nvidia-smi shows, as in 0,2")]
pub struct BadChoice(String);

/// Why the GPUs cannot be given out.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// There is a driver and it does not answer.
    #[error("NVIDIA's driver does not answer: {0}; try nvidia-smi, or go on without GPUs: --gpus none")]
    Driver(#[from] NvmlError),
    /// `--gpus` names one that is not there.
    #[error("--gpus names GPU {index}, and the usable ones are {usable}")]
    Absent {
        /// The one named.
        index: u32,
        /// What there is.
        usable: Usable,
    },
}

/// Indexes in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usable(Vec<u32>);

impl fmt::Display for Usable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let texts: Vec<_> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&texts.join(", "))
    }
}

impl FromStr for Choice {
    type Err = BadChoice;

    fn from_str(text: &str) -> Result<Choice, BadChoice> {
        match text.trim() {
            "all" => Ok(Choice::All),
            "none" => Ok(Choice::None),
            list => list
                .split(',')
                .map(|index| index.trim().parse())
                .collect::<Result<_, _>>()
                .map(Choice::Indexes)
                .map_err(|_| BadChoice(text.to_owned())),
        }
    }
}

/// The GPUs that runs may get. `visible` is swath's own `CUDA_VISIBLE_DEVICES`, `library` the NVML to load.
pub fn usable(choice: &Choice, visible: Option<&str>, library: Option<&OsStr>) -> Result<Vec<Gpu>, GpuError> {
    if *choice == Choice::None {
        return Ok(Vec::new());
    }
    let visible = match visible {
        Some(list) => pick_visible(present(library)?, list),
        None => present(library)?,
    };
    pick(visible, choice)
}

/// All GPUs of the machine.
fn present(library: Option<&OsStr>) -> Result<Vec<Gpu>, NvmlError> {
    let nvml = match library {
        Some(path) => Nvml::builder().lib_path(path).init(),
        None => Nvml::init(),
    };
    let nvml = match nvml {
        // No library, or a library without a driver: a machine without GPUs.
        Err(NvmlError::LibloadingError(_) | NvmlError::DriverNotLoaded | NvmlError::LibraryNotFound) => {
            return Ok(Vec::new());
        }
        nvml => nvml?,
    };
    (0..nvml.device_count()?)
        .map(|index| {
            let device = nvml.device_by_index(index)?;
            Ok(Gpu { uuid: device.uuid()?, index, name: device.name()? })
        })
        .collect()
}

/// CUDA's own reading of the list: entries are indexes or UUIDs, which may be cut short where that leaves no doubt;
/// the first one that names nothing ends it.
fn pick_visible(gpus: Vec<Gpu>, list: &str) -> Vec<Gpu> {
    let mut picked: Vec<Gpu> = Vec::new();
    for entry in list.split(',').map(str::trim) {
        match named(&gpus, entry) {
            Some(gpu) if !picked.contains(gpu) => picked.push(gpu.clone()),
            Some(_) => {}
            None => break,
        }
    }
    picked
}

fn named<'a>(gpus: &'a [Gpu], entry: &str) -> Option<&'a Gpu> {
    if let Ok(index) = entry.parse::<u32>() {
        return gpus.iter().find(|gpu| gpu.index == index);
    }
    if !entry.starts_with("GPU-") {
        return None;
    }
    let mut matching = gpus.iter().filter(|gpu| gpu.uuid.starts_with(entry));
    matching.next().filter(|_| matching.next().is_none())
}

fn pick(gpus: Vec<Gpu>, choice: &Choice) -> Result<Vec<Gpu>, GpuError> {
    let indexes = match choice {
        Choice::All => return Ok(gpus),
        Choice::None => return Ok(Vec::new()),
        Choice::Indexes(indexes) => indexes,
    };
    let there: Vec<u32> = gpus.iter().map(|gpu| gpu.index).collect();
    if let Some(index) = indexes.iter().find(|index| !there.contains(index)) {
        return Err(GpuError::Absent { index: *index, usable: Usable(there) });
    }
    Ok(gpus.into_iter().filter(|gpu| indexes.contains(&gpu.index)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus() -> Vec<Gpu> {
        ["GPU-aa01", "GPU-aa02", "GPU-bb01"]
            .iter()
            .zip(0..)
            .map(|(uuid, index)| Gpu { uuid: (*uuid).to_owned(), index, name: "H100".to_owned() })
            .collect()
    }

    fn visible(list: &str) -> Vec<u32> {
        pick_visible(gpus(), list).iter().map(|gpu| gpu.index).collect()
    }

    #[test]
    fn cuda_visible_devices_is_read_as_cuda_does() {
        assert_eq!(visible("0,2"), [0, 2]);
        assert_eq!(visible(" 2 , 0 "), [2, 0]);
        assert_eq!(visible("GPU-bb01,GPU-aa01"), [2, 0]);
        assert_eq!(visible("GPU-b"), [2]);
        assert_eq!(visible("GPU-aa"), [] as [u32; 0], "two match");
        assert_eq!(visible(""), [] as [u32; 0]);
        assert_eq!(visible("-1"), [] as [u32; 0]);
        assert_eq!(visible("1,-1,0"), [1], "what follows -1 is hidden");
        assert_eq!(visible("1,1"), [1]);
        assert_eq!(visible("MIG-1"), [] as [u32; 0]);
    }

    #[test]
    fn gpus_are_chosen_by_index_and_an_absent_one_is_named() {
        assert_eq!("all".parse(), Ok(Choice::All));
        assert_eq!("none".parse(), Ok(Choice::None));
        assert_eq!("0, 2".parse(), Ok(Choice::Indexes(vec![0, 2])));
        assert!("0,x".parse::<Choice>().is_err());
        assert_eq!(pick(gpus(), &Choice::Indexes(vec![2])).unwrap().len(), 1);
        let error = pick(gpus(), &Choice::Indexes(vec![0, 5])).unwrap_err();
        assert_eq!(error.to_string(), "--gpus names GPU 5, and the usable ones are 0, 1, 2");
        let error = pick(Vec::new(), &Choice::Indexes(vec![0])).unwrap_err();
        assert_eq!(error.to_string(), "--gpus names GPU 0, and the usable ones are none");
    }

    #[test]
    fn a_machine_without_the_library_has_no_gpus() {
        let none = usable(&Choice::All, None, Some(OsStr::new("/nonexistent/libnvidia-ml.so.1")));
        assert_eq!(none.unwrap(), []);
    }
}
