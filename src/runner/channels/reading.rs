//! A reading: what one channel gave at one step.

use std::fmt;

/// A way metrics leave a script. The order is ownership: of two that give one name, the lesser keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The file that `SWATH_METRICS` names.
    Json,
    /// W&B's transaction log.
    Wandb,
    /// Lines of stdout and stderr.
    Stdout,
}

impl Channel {
    /// Every channel, in the order of ownership.
    pub const ALL: [Channel; 3] = [Channel::Json, Channel::Wandb, Channel::Stdout];
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Json => "SWATH_METRICS",
            Channel::Wandb => "W&B",
            Channel::Stdout => "stdout",
        })
    }
}

/// Metrics of one step, as one channel gave them. NaN and infinities are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which of the channel's sections: a file that began anew or a second `wandb.init` counts steps from 0 again.
    pub section: u32,
    /// Not negative.
    pub step: i64,
    /// Seconds since 1970, where the script said it.
    pub time: Option<f64>,
    /// In the order of the source; a name may be there twice, the last one counts.
    pub metrics: Vec<(String, f64)>,
    /// Where it came from.
    pub source: Channel,
}
