//! `swath help`: a command, a topic, or an error code.

use std::io::Write;

use crate::cli::exit::{self, Exit};
use crate::cli::failure::Failure;
use crate::spec::Code;

/// Explain a command, a topic (files, channels, exit-codes), or an error code such as SW1003
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A command, a topic or a code
    topic: Vec<String>,
}

const FILES: &str = "\
A sweep file is W&B's sweep configuration, whole, with W&B's meaning:

  program: train.py
  method: random              # random, grid
  metric: {name: val_loss, goal: minimize}
  parameters:
    lr: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
    batch_size: {values: [32, 64, 128]}
    epochs: {value: 20}
  early_terminate: {type: hyperband, min_iter: 3}
  run_cap: 40

and these keys, all optional: parallel, seed, order, retries, timeout, grace, stop_signal, budget, enqueue,
constraints, resources, collect, env, workdir, tags, notes; and `when` in a parameter.
`swath check FILE` says what a file means, and everything that is wrong with it.";

const CHANNELS: &str = "\
How metrics leave a training script, with no change to it:

  stdout and stderr   lines like `epoch 3 loss=0.31 acc=0.9`, JSON lines, Python dicts
  SWATH_METRICS       a file: append {\"step\": 3, \"loss\": 0.31} a line
  wandb               a script with wandb.init and wandb.log runs offline, without an account; its log is read

Where two channels give one name, the later of stdout, wandb, SWATH_METRICS owns it.
What a run sees: SWATH_SWEEP, SWATH_TRIAL, SWATH_RUN, SWATH_ATTEMPT, SWATH_PARAMS (a JSON file with the parameters),
SWATH_METRICS, SWATH_CHECKPOINT_DIR (kept across attempts), SWATH_SEED, CUDA_VISIBLE_DEVICES.";

/// Prints it.
///
/// # Errors
///
/// There is no such command, topic or code.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let topic = args.topic.join(" ");
    match topic.as_str() {
        "" => writeln!(out, "{}", super::grammar().render_long_help())?,
        "files" => writeln!(out, "{FILES}")?,
        "channels" => writeln!(out, "{CHANNELS}")?,
        "exit-codes" => writeln!(out, "{}", exit::TABLE)?,
        code if code.to_ascii_uppercase().starts_with("SW") => return explain(code, out),
        _ => return command(&args.topic, out),
    }
    Ok(Exit::Done)
}

fn explain(text: &str, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Some(code) = Code::named(text) else {
        return Err(
            Failure::usage(format!("there is no error code {text}")).help("docs/errors.md lists them all")
        );
    };
    writeln!(out, "{code}: {}\n\n{}\n\n{}", code.title(), code.cause(), code.cure())?;
    Ok(Exit::Done)
}

fn command(path: &[String], out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut grammar = super::grammar();
    grammar.build();
    let mut found = &mut grammar;
    for name in path {
        found = found.find_subcommand_mut(name).ok_or_else(|| {
            Failure::usage(format!("there is no command or topic '{name}'"))
                .help("swath --help lists the commands; topics are files, channels, exit-codes")
        })?;
    }
    writeln!(out, "{}", found.render_long_help())?;
    Ok(Exit::Done)
}
