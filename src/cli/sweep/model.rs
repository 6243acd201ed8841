//! What a sweep's method believes, as `sweep show --model` says it.

use std::io::{self, Write};

use crate::cli::format::{count, escape, short};
use crate::cli::words;
use crate::pb;

/// Parameters shown of a model; the JSON has all.
const LENGTHS: usize = 12;
/// Within its whole range a parameter so long makes little difference, but for a trend.
const LONG: f64 = 2.0;

/// Writes what is believed, below the sweep's summary.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(super) fn write(sweep: &pb::Sweep, model: &pb::Model, out: &mut dyn Write) -> io::Result<()> {
    for part in &model.parts {
        write_part(part, out)?;
    }
    if !model.note.is_empty() {
        writeln!(out, " model    {}", escape(&model.note))?;
    }
    if let Some(next) = &model.next {
        writeln!(out, " next     trial {}: {}", next.trial, words::parameters(next.params.as_ref()))?;
        writeln!(out, "          {}", escape(&next.why))?;
    }
    if let Some(advice) = &model.recommended {
        let expected = expectations(&advice.expected);
        if advice.best {
            writeln!(
                out,
                " advice   the best trial, {}: another run there is expected to have {expected}",
                advice.trial
            )?;
        } else {
            writeln!(
                out,
                " advice   trial {} ({}/{0}), though another has the better value: another run there is expected to have {expected}",
                advice.trial, sweep.sweep
            )?;
        }
    }
    Ok(())
}

fn write_part(part: &pb::model::Part, out: &mut dyn Write) -> io::Result<()> {
    let shares = [
        ("noise", part.noise),
        ("straight lines", part.linear),
        ("parabolas", part.quadratic),
        ("categories", part.categories),
        ("the rest", part.signal),
    ];
    let shares = shares.iter().filter(|(_, share)| *share >= 0.005);
    let shares: Vec<String> = shares.map(|(what, share)| format!("{what} {:.0} %", 100.0 * share)).collect();
    writeln!(
        out,
        " model    {}, from {}: {}",
        escape(&part.of),
        count(part.fitted, "trial"),
        shares.join(", ")
    )?;
    if let Some(believed) = part.earlier {
        writeln!(out, "          of what earlier sweeps say {} is believed", belief(believed))?;
    }
    let mut lengths: Vec<&pb::model::Length> = part.lengths.iter().collect();
    lengths.sort_by(|a, b| a.length.total_cmp(&b.length));
    let widest = lengths.iter().take(LENGTHS).map(|one| escape(&one.parameter).len()).max().unwrap_or(0);
    for one in lengths.iter().take(LENGTHS) {
        let meaning = if one.length > LONG { "   hardly matters, or only as a trend" } else { "" };
        let parameter = escape(&one.parameter);
        writeln!(
            out,
            "          {parameter:widest$}  changes within {} of its range{meaning}",
            short(one.length)
        )?;
    }
    if lengths.len() > LENGTHS {
        writeln!(out, "          and {} more parameters: -o json shows all", lengths.len() - LENGTHS)?;
    }
    Ok(())
}

fn belief(believed: f64) -> String {
    match believed {
        b if b > 0.005 => format!("{:.0} %", 100.0 * b),
        b if b < -0.005 => "the opposite".to_owned(),
        _ => "nothing".to_owned(),
    }
}

fn expectations(expected: &[pb::model::Expectation]) -> String {
    let one = |one: &pb::model::Expectation| {
        format!("{} {} ± {}", escape(&one.objective), short(one.mean), short(one.sd))
    };
    expected.iter().map(one).collect::<Vec<_>>().join(", ")
}
