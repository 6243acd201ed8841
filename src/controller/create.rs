//! A sweep begins: its file is parsed and judged, what is drawn is drawn, what may have to be erased is set apart.

use crate::controller::clock::Now;
use crate::controller::core::{Core, Who, internal};
use crate::controller::draw;
use crate::controller::lessons::Pupil;
use crate::controller::loaded::Loaded;
use crate::controller::{Problem, Refused, RefusedKind};
use crate::pb;
use crate::spec::{self, Code, Definition, Diagnostic, Severity};
use crate::store::{Entry, Log, Reports, StoreBody};
use crate::sweep::{Body, Creation, Origin, Pos, State, SweepId, create as created};

pub(super) fn create(
    core: &mut Core,
    pupil: Pupil,
    who: &Who,
    now: Now,
) -> Result<pb::CreateSweepResponse, Refused> {
    let Pupil { request, definition, notes, lessons, learned } = pupil;
    let id = fresh_id(core);
    let key = draw::array(&mut *core.draw);
    core.pending.batch.key(id, key);
    let env = serde_json::to_string(&definition.env).expect("text keys only");
    let seed = definition.seed.or(request.seed).unwrap_or_else(|| draw::seed(&mut *core.draw));
    let creation = Creation {
        file: Some(core.text(id, &request.file)),
        env: (!definition.env.is_empty()).then(|| core.text(id, &env)),
        notes: definition.notes.as_ref().map(|notes| core.text(id, notes)),
        project: request.project.clone(),
        seed,
        home: (!request.home.is_empty()).then(|| request.home.clone()),
        paused: request.paused,
        keep_going: request.keep_going,
        origin: (!request.origin_file.is_empty()).then(|| Origin {
            file: request.origin_file.clone(),
            folder: request.origin_folder.clone(),
            hash: request.origin_hash.clone(),
        }),
        definition: definition.clone(),
        lessons,
    };
    let first = core.take_first(id, created(creation)?, who, now)?;
    core.own_event(StoreBody::SweepRegistered { sweep: id }, who.actor, now)
        .map_err(|e| internal(&e.to_string()))?;
    let state = State::begin(id, &first).map_err(|damaged| internal(&damaged.to_string()))?;
    let mut loaded = Loaded::new(state, who.name.to_string(), now.mono);
    loaded.env = definition.env;
    loaded.notes = definition.notes.unwrap_or_default();
    core.adopt(id, loaded, now.mono);
    Ok(pb::CreateSweepResponse { sweep: Some(core.message(id, now)?), notes, learned })
}

/// The answer to a creation that was stored before.
pub(super) fn repeat(core: &mut Core, pos: Pos, now: Now) -> Result<pb::CreateSweepResponse, Refused> {
    let wrong = |error: crate::store::ReadError| internal(&error.to_string());
    let reader = core.readers.get().map_err(wrong)?;
    let events = reader.events_from(None, Pos(pos.0 - 1), 1).map_err(wrong)?;
    let Some(Log::Sweep(id)) = events.first().map(|event| event.log) else {
        return Err(internal("the sweep of an earlier request is not there"));
    };
    let sweep = match core.sweeps.contains_key(&id) {
        true => core.message(id, now)?,
        false => {
            let row = reader.sweep(id).map_err(wrong)?.ok_or_else(|| internal("the sweep has no row"))?;
            prost::Message::decode(row.body.as_slice()).map_err(|_| internal("the sweep's row is damaged"))?
        }
    };
    Ok(pb::CreateSweepResponse { sweep: Some(sweep), ..Default::default() })
}

/// The first `count` trials that were proposed from `pos` on.
pub(super) fn proposed_from(core: &Core, id: SweepId, pos: Pos, count: usize) -> Result<Vec<u32>, Refused> {
    let mut reader = core.readers.get().map_err(|error| internal(&error.to_string()))?;
    let mut trials = Vec::new();
    reader
        .fold(Log::Sweep(id), Reports::None, Pos(pos.0 - 1), |entry| {
            if let Entry::Event(event) = entry
                && let Body::TrialProposed { trial, .. } = event.body
                && trials.len() < count
            {
                trials.push(trial.0);
            }
        })
        .map_err(|error| internal(&error.to_string()))?;
    Ok(trials)
}

fn fresh_id(core: &mut Core) -> SweepId {
    loop {
        let id = draw::sweep_id(&mut *core.draw);
        if id.bits() != 0 && !core.directory.contains(id) {
            return id;
        }
    }
}

/// What the file and the options say, and the notes that are worth showing.
pub(super) fn read(request: &pb::CreateSweepRequest) -> Result<(Definition, Vec<String>), Refused> {
    let overrides: spec::Overrides = request.overrides.as_ref().map(Into::into).unwrap_or_default();
    let parsed = spec::parse(&request.file, &request.path, &overrides);
    let problems: Vec<Problem> = parsed.diagnostics.iter().map(problem).collect();
    let Some(definition) = parsed.definition else { return Err(wrong_file(&request.path, problems)) };
    if let Some(not_yet) = spec::unsupported(&definition).into_iter().next() {
        let refused = Refused::new(RefusedKind::InvalidArgument, Code::NotYet, not_yet.message);
        return Err(refused.at(not_yet.field));
    }
    let notes = parsed
        .diagnostics
        .iter()
        .map(|found| format!("{} {}: {}", found.severity.word(), found.code, found.message));
    Ok((definition, notes.collect()))
}

fn wrong_file(path: &str, problems: Vec<Problem>) -> Refused {
    let errors = problems.iter().filter(|problem| !problem.is_warning);
    let first = errors.clone().next().cloned();
    let message = match &first {
        Some(first) => format!(
            "{path}:{}:{}: {} ({} errors in all)",
            first.line,
            first.column,
            first.message,
            errors.count()
        ),
        None => format!("{path} is not a sweep file"),
    };
    let refused = Refused::new(
        RefusedKind::InvalidArgument,
        first.as_ref().map_or(Code::NoSweep, |first| first.code),
        message,
    );
    Refused { problems, field: first.map(|first| first.field), ..refused }
}

fn problem(found: &Diagnostic) -> Problem {
    let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    Problem {
        code: found.code,
        is_warning: found.severity != Severity::Error,
        field: found.field.clone(),
        line: found.place.as_ref().map_or(0, |place| number(place.line)),
        column: found.place.as_ref().map_or(0, |place| number(place.column)),
        message: found.message.clone(),
        help: found.help.clone(),
    }
}
