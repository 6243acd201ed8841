//! What a file may say, and `run` does not carry out yet: each with the way round.

use crate::spec::code::Code;
use crate::spec::definition::{Definition, Gpus};

/// One thing that is refused when the sweep is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Path of the key.
    pub field: String,
    /// One sentence that names it and the way round.
    pub message: String,
}

impl Unsupported {
    /// The code of all of them.
    pub const CODE: Code = Code::NotYet;
}

/// Everything of a definition that this release refuses to run.
pub fn unsupported(definition: &Definition) -> Vec<Unsupported> {
    let mut found = Vec::new();
    let mut refuse =
        |field: &str, message: String| found.push(Unsupported { field: field.to_owned(), message });
    if definition.kept.contains_key("early_terminate.promote") {
        let message = "'early_terminate.promote' comes with a later release; delete it, or --set early_terminate.promote=false";
        refuse("early_terminate.promote", message.to_owned());
    }
    if let Some(Gpus::Share(_)) = definition.resources.gpus {
        refuse(
            "resources.gpus",
            "a share of a GPU comes with a later release; give whole ones: --set resources.gpus=1".to_owned(),
        );
    }
    if definition.resources.gpu_memory.is_some() {
        refuse("resources.gpu_memory", "'resources.gpu_memory' comes with a later release; delete it and give whole GPUs: resources.gpus".to_owned());
    }
    for channel in &definition.collect.later {
        refuse(
            &format!("collect.{channel}"),
            format!(
                "collecting from {channel} comes with a later release; set collect.{channel} to off, and print name=value lines or append to SWATH_METRICS"
            ),
        );
    }
    found
}
