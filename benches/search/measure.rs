//! Medians, intervals, memory, processor time.

use rustix::time::{ClockId, clock_gettime};
use swath::space::{stream, uniform};

const RESAMPLES: u64 = 2_000;

/// The value below which so large a share lies; NaN of none.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    values.get((share * last).round() as usize).copied().unwrap_or(f64::NAN)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The 95 % interval of the mean, by resampling.
pub(crate) fn interval(values: &[f64]) -> (f64, f64) {
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|round| {
            let mut rng = stream(1, "bench resample", round);
            let drawn = (0..values.len()).map(|_| values[(uniform(&mut rng) * values.len() as f64) as usize]);
            mean(&drawn.collect::<Vec<_>>())
        })
        .collect();
    (quantile(&mut means, 0.025), quantile(&mut means, 0.975))
}

/// Processor time of this process so far.
pub(crate) fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// What this process holds in memory.
pub(crate) fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
