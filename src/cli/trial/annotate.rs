//! `swath trial annotate`: notes, stars, tags, and what the search should not learn from.

use crate::cli::failure::Failure;
use crate::cli::reference::TrialRef;
use crate::cli::session::{Session, request_id};
use crate::pb;

/// Note something on a trial or a sweep
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// SWEEP/17, or a sweep
    object: String,
    /// The note
    text: Option<String>,
    /// Mark it with a star
    #[arg(long)]
    star: bool,
    /// Add a tag
    #[arg(long)]
    tag: Vec<String>,
    /// Take a tag away
    #[arg(long)]
    untag: Vec<String>,
    /// Keep and show it, but let the search not learn from it
    #[arg(long, conflicts_with = "include")]
    exclude: bool,
    /// Let the search learn from it again
    #[arg(long)]
    include: bool,
    /// The step that the note is about
    #[arg(long, value_name = "N")]
    step: Option<i64>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let (sweep, trial) = object(&args.object, session).await?;
    let mut add_tags = args.tag;
    if args.star {
        add_tags.push("*".to_owned());
    }
    let excluded = if args.exclude { Some(true) } else { args.include.then_some(false) };
    if args.text.is_none() && add_tags.is_empty() && args.untag.is_empty() && excluded.is_none() {
        return Err(Failure::usage("there is nothing to note")
            .help("give a text, --star, --tag, --exclude or --include"));
    }
    let request = pb::AnnotateRequest {
        request_id: request_id(),
        sweep,
        trial,
        text: args.text.unwrap_or_default(),
        step: args.step,
        add_tags,
        remove_tags: args.untag,
        excluded,
    };
    let response = session.client.trials().annotate(request).await?.into_inner();
    if let Some(trial) = response.trial {
        if !session.print_data(&trial)? {
            writeln!(session.out, "{}/{}", trial.sweep, trial.trial)?;
        }
    } else if let Some(sweep) = response.sweep
        && !session.print_data(&sweep)?
    {
        writeln!(session.out, "{}", sweep.sweep)?;
    }
    Ok(())
}

/// `SWEEP/17` is a trial; everything else is a sweep.
async fn object(text: &str, session: &Session<'_>) -> Result<(String, Option<u32>), Failure> {
    let trial = match text.parse::<TrialRef>() {
        Ok(TrialRef { sweep: Some(sweep), which, attempt: None }) => (sweep, which),
        _ => return Ok((text.to_owned(), None)),
    };
    let request = match trial.1 {
        crate::cli::reference::Which::Number(number) => return Ok((trial.0, Some(number))),
        crate::cli::reference::Which::Best => pb::GetTrialRequest { sweep: trial.0, trial: 0, best: true },
    };
    let best = session.client.trials().get(request).await?.into_inner();
    Ok((best.sweep, Some(best.trial)))
}
