//! Notes, tags, and what the search is not to learn from.

use crate::sweep::{Body, Refusal, State, TextRef, Trial};

/// Tags that one object may have.
const TAGS: usize = 100;
/// Longest tag, in characters.
const TAG_CHARS: usize = 100;

pub(super) fn annotate(
    state: &State,
    trial: Option<Trial>,
    step: Option<i64>,
    text: &TextRef,
) -> Result<Vec<Body>, Refusal> {
    if let Some(trial) = trial {
        state.known(trial)?;
    }
    Ok(vec![Body::Annotated { trial, step, text: text.clone() }])
}

/// Adds and takes away tags; only what changes is recorded.
pub(super) fn tag(
    state: &State,
    trial: Option<Trial>,
    add: &[String],
    remove: &[String],
) -> Result<Vec<Body>, Refusal> {
    let has = match trial {
        Some(trial) => &state.known(trial)?.tags,
        None => &state.tags,
    };
    check_tags(add)?;
    let remove: Vec<String> = remove.iter().filter(|tag| has.contains(tag)).cloned().collect();
    let mut add: Vec<String> = add.iter().filter(|tag| !has.contains(tag)).cloned().collect();
    add.sort();
    add.dedup();
    if has.len() - remove.len().min(has.len()) + add.len() > TAGS {
        return Err(Refusal::Limit { what: "tags", limit: TAGS as u64 });
    }
    let changes = !add.is_empty() || !remove.is_empty();
    Ok(changes.then_some(Body::Tagged { trial, add, remove }).into_iter().collect())
}

pub(super) fn check_tags(tags: &[String]) -> Result<(), Refusal> {
    let allowed = "1 to 100 characters, none of them a control character";
    let fine = |tag: &str| {
        !tag.trim().is_empty() && tag.chars().count() <= TAG_CHARS && !tag.chars().any(char::is_control)
    };
    match tags.iter().find(|tag| !fine(tag)) {
        Some(tag) => Err(Refusal::OutOfRange { what: "a tag", given: format!("{tag:?}"), allowed }),
        None if tags.len() > TAGS => Err(Refusal::Limit { what: "tags", limit: TAGS as u64 }),
        None => Ok(()),
    }
}

pub(super) fn exclude(state: &State, trial: Trial) -> Result<Vec<Body>, Refusal> {
    let excluded = state.known(trial)?.excluded;
    Ok((!excluded).then_some(Body::Excluded { trial }).into_iter().collect())
}

pub(super) fn include(state: &State, trial: Trial) -> Result<Vec<Body>, Refusal> {
    let excluded = state.known(trial)?.excluded;
    Ok(excluded.then_some(Body::Included { trial }).into_iter().collect())
}
