//! Everything that only reads what is stored: lists, one trial with its curves, export. On blocking threads,
//! beside the core.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::controller::ask::no_best;
use crate::controller::core::{SELF_NAME, internal};
use crate::controller::feed::{Feed, event_message};
use crate::controller::handle::{Answer, Message};
use crate::controller::loaded::Loaded;
use crate::controller::mailbox::Mailbox;
use crate::controller::pending::Job;
use crate::controller::{Refused, beliefs, recovery};
use crate::pb;
use crate::spec::Code;
use crate::store::{
    Entry, Log, ReadError, Reader, Readers, Reports, SweepFilter, TrialFilter, TrialOrder, backup, verify,
};
use crate::sweep::{Body, Pos, Report, Run, SweepId, Timestamp, Trial};

/// Rows a page.
const PAGE: usize = 500;
/// Chunks that wait for a slow receiver.
const AHEAD: usize = 4;
/// Points of a series.
const POINTS: usize = 200;

/// What a reader needs.
#[derive(Clone)]
pub(super) struct Library {
    pub(super) readers: Readers,
    pub(super) feed: Arc<Feed>,
    pub(super) mailbox: Mailbox<Message>,
    pub(super) database: Arc<Path>,
    /// Places for those who watch.
    pub(super) watchers: Arc<Semaphore>,
}

impl Library {
    /// Begins the work: what waits for news is a task, what reads has a thread.
    pub(super) fn begin(&self, job: Job, pool: &tokio::runtime::Handle) {
        let library = self.clone();
        match job {
            Job::Watch { sweep, request, metrics, reply } => {
                drop(pool.spawn(library.watch(sweep, request, metrics, reply)));
            }
            Job::Relay { number, outlet, reply } => drop(pool.spawn(library.relay(number, outlet, reply))),
            job => drop(pool.spawn_blocking(move || library.work(job))),
        }
    }

    fn work(&self, job: Job) {
        match job {
            Job::Watch { .. } | Job::Relay { .. } => {}
            Job::ListSweeps { request, caller, alive, reply } => {
                answer(reply, self.list_sweeps(&request, &caller, &alive).map(Answer::ListSweeps))
            }
            Job::ListTrials { sweep, request, reply } => {
                answer(reply, self.list_trials(sweep, &request).map(Answer::ListTrials))
            }
            Job::GetSweep { sweep, model, reply } => {
                answer(reply, self.sweep(sweep, model).map(Answer::GetSweep))
            }
            Job::Teach { pupil, from, asked } => self.teach(pupil, &from, asked),
            Job::Believe { sweep, whole, reply } => {
                let model = self.loaded(sweep).map(|loaded| beliefs::of(&loaded.state));
                let whole = model.map(|model| pb::Sweep { model: Some(model), ..*whole });
                answer(reply, whole.map(Answer::GetSweep))
            }
            Job::GetTrial { sweep, trial, metrics, reply } => {
                let trial = trial.map_or_else(|| self.best(sweep), Ok);
                answer(reply, trial.and_then(|trial| self.trial(sweep, trial, metrics)).map(Answer::GetTrial))
            }
            Job::Verify { reply } => answer(reply, self.verify().map(Answer::Verify)),
            Job::Backup { to, reply } => answer(reply, self.backup(&to).map(Answer::Backup)),
            Job::Export { sweep, request, metrics, reply } => {
                open(reply, |to| {
                    self.export(sweep, &request, metrics, &to)?;
                    // A receiver that is gone wants nothing more.
                    let _ = to.blocking_send(Ok(pb::ExportChunk { end: true, ..Default::default() }));
                    Ok(())
                })
            }
            Job::Tail { wanted, reply } => open(reply, |to| {
                let chunk = self.stored_output(wanted)?;
                // A receiver that is gone wants nothing more.
                let _ = to.blocking_send(Ok(chunk));
                Ok(())
            }),
            Job::Fold { sweep } => {
                let loaded = self.readers.get().map_err(|e| e.to_string()).and_then(|mut reader| {
                    recovery::load(&mut reader, sweep, Instant::now()).map_err(|e| e.to_string())
                });
                // A core that has ended answers nobody.
                let _ = self.mailbox.push(Message::Folded { sweep, result: loaded.map(Box::new) });
            }
        }
    }

    /// A trial's row.
    pub(super) fn row(&self, sweep: SweepId, trial: Trial) -> Result<pb::Trial, Refused> {
        let row = self.reader()?.trial(sweep, trial.0).map_err(unread)?;
        decode(&row.ok_or_else(|| no_trial(sweep, trial))?.body)
    }

    pub(super) fn reader(&self) -> Result<Reader, Refused> {
        self.readers.get().map_err(unread)
    }

    fn list_sweeps(
        &self,
        request: &pb::ListSweepsRequest,
        caller: &str,
        alive: &BTreeSet<String>,
    ) -> Result<pb::ListSweepsResponse, Refused> {
        let wanted = page_size(request.page_size);
        let mut filter = SweepFilter {
            states: states(&request.state, request.unfinished),
            project: (!request.project.is_empty()).then(|| request.project.clone()),
            hidden: request.all,
            limit: PAGE,
            after: page_token(&request.page_token)?,
            ..SweepFilter::default()
        };
        let reader = self.reader()?;
        let mut sweeps = Vec::new();
        loop {
            let rows = reader.sweeps(&filter).map_err(unread)?;
            let is_last = rows.len() < PAGE;
            for row in rows {
                filter.after = Some((row.created, row.id));
                let mut message = decode::<pb::Sweep>(&row.body)?;
                message.home_alive = alive.contains(&message.home);
                if is_wanted(&message, request, caller) {
                    sweeps.push(message);
                }
                if sweeps.len() == wanted {
                    let token = format!("{}-{}", row.created.0, row.id);
                    return Ok(pb::ListSweepsResponse { sweeps, next_page_token: token });
                }
            }
            if is_last {
                return Ok(pb::ListSweepsResponse { sweeps, next_page_token: String::new() });
            }
        }
    }

    fn list_trials(
        &self,
        sweep: SweepId,
        request: &pb::ListTrialsRequest,
    ) -> Result<pb::ListTrialsResponse, Refused> {
        let (key, reversed) = match request.sort.strip_prefix('-') {
            Some(key) => (key, true),
            None => (request.sort.as_str(), false),
        };
        let reader = self.reader()?;
        let order = match key {
            "" | "trial" => TrialOrder::Number,
            "value" if maximizes(&reader, sweep)? => TrialOrder::Largest,
            "value" => TrialOrder::Smallest,
            "duration" => TrialOrder::Seconds,
            other => {
                return Err(Refused::invalid(
                    "sort",
                    format!("sort is '{other}'; allowed are trial, value, duration"),
                ));
            }
        };
        let wanted = page_size(request.page_size);
        let states = if request.state.is_empty() { Vec::new() } else { vec![request.state.clone()] };
        let mut filter = TrialFilter { states, order, reversed, limit: wanted, ..TrialFilter::default() };
        let token = match request.page_token.as_str() {
            "" => None,
            token => Some(
                token
                    .parse()
                    .map_err(|_| Refused::invalid("page_token", "it is not a page token of this list"))?,
            ),
        };
        // By number a page begins behind the last trial; by what changes, behind so many rows.
        match order {
            TrialOrder::Number => filter.after = token,
            _ => filter.skip = token.unwrap_or(0) as usize,
        }
        let rows = reader.trials(sweep, &filter).map_err(unread)?;
        let next_page_token = match (rows.last(), order) {
            (Some(last), TrialOrder::Number) if rows.len() == wanted => last.trial.to_string(),
            (Some(_), _) if rows.len() == wanted => (filter.skip + wanted).to_string(),
            _ => String::new(),
        };
        let trials = rows.iter().map(|row| decode::<pb::Trial>(&row.body)).collect::<Result<_, _>>()?;
        Ok(pb::ListTrialsResponse { trials, next_page_token })
    }

    /// Hands over a sweep's trials behind `after` by number, in pages; `take` says whether it wants more.
    fn each_page(
        &self,
        sweep: SweepId,
        after: u32,
        mut take: impl FnMut(Vec<pb::Trial>) -> bool,
    ) -> Result<(), Refused> {
        let mut filter = TrialFilter { limit: PAGE, after: Some(after), ..TrialFilter::default() };
        loop {
            let rows = self.reader()?.trials(sweep, &filter).map_err(unread)?;
            let Some(last) = rows.last() else { return Ok(()) };
            filter.after = Some(last.trial);
            if !take(rows.iter().map(|row| decode::<pb::Trial>(&row.body)).collect::<Result<_, _>>()?) {
                return Ok(());
            }
        }
    }

    /// A sweep that is over, whole.
    fn sweep(&self, sweep: SweepId, with_model: bool) -> Result<pb::Sweep, Refused> {
        let loaded = self.loaded(sweep)?;
        let model = with_model.then(|| beliefs::of(&loaded.state));
        Ok(pb::Sweep { model, ..loaded.whole(Instant::now(), false) })
    }

    pub(super) fn loaded(&self, sweep: SweepId) -> Result<Loaded, Refused> {
        recovery::load(&mut self.reader()?, sweep, Instant::now())
            .map_err(|error| internal(&error.to_string()))
    }

    /// The best trial of a sweep, as its row has it.
    fn best(&self, sweep: SweepId) -> Result<Trial, Refused> {
        let row = self.reader()?.sweep(sweep).map_err(unread)?;
        let row = row.map(|row| decode::<pb::Sweep>(&row.body)).transpose()?;
        match row.and_then(|row| row.best) {
            Some(best) => Ok(Trial(best.trial)),
            None => Err(no_best(&self.loaded(sweep)?.state)),
        }
    }

    /// A trial with its curves: its attempts merged by step, the later one wins.
    fn trial(&self, sweep: SweepId, trial: Trial, metrics: Vec<String>) -> Result<pb::Trial, Refused> {
        let names = if metrics.is_empty() { self.names(sweep)? } else { metrics };
        let reader = self.reader()?;
        let row = reader.trial(sweep, trial.0).map_err(unread)?.ok_or_else(|| no_trial(sweep, trial))?;
        let ranked = row.ranked;
        let mut row = decode::<pb::Trial>(&row.body)?;
        let mut series: Vec<std::collections::BTreeMap<i64, f64>> = vec![Default::default(); names.len()];
        for run in &row.runs {
            let attempt = Run { trial, attempt: run.attempt };
            for_reports(&reader, run.fence, attempt, |report| {
                for (id, value) in &report.values {
                    if let (Some(points), Some(step)) = (series.get_mut(*id as usize), report.step) {
                        points.insert(step, *value);
                    }
                    if let Some(name) = names.get(*id as usize) {
                        row.last.insert(name.clone(), *value);
                    }
                }
                row.last_step = report.step.or(row.last_step);
                true
            })?;
        }
        let thin = |points: &std::collections::BTreeMap<i64, f64>| {
            let every = points.len().div_ceil(POINTS).max(1);
            let point = |(step, value): (&i64, &f64)| pb::trial::Point { step: Some(*step), value: *value };
            points.iter().step_by(every).map(point).collect::<Vec<_>>()
        };
        row.series = names
            .iter()
            .zip(&series)
            .filter(|(_, points)| !points.is_empty())
            .map(|(name, points)| pb::trial::Series { name: name.clone(), points: thin(points) })
            .collect();
        let first = row.objectives.first().map(|objective| objective.name.clone());
        let curve = row.series.iter().find(|series| Some(&series.name) == first.as_ref());
        row.curve = curve.map(|series| series.points.clone()).unwrap_or_default();
        let maximize = row.objectives.first().is_some_and(maximized);
        let ahead = ranked
            .filter(|_| row.objectives.len() == 1)
            .map(|value| reader.ranked_before(sweep, value, maximize))
            .transpose();
        row.rank = ahead.map_err(unread)?.map(|ahead| ahead + 1);
        Ok(row)
    }

    /// The sweep's dictionary of metric names.
    pub(super) fn names(&self, sweep: SweepId) -> Result<Vec<String>, Refused> {
        let mut names = Vec::new();
        let take = |entry| {
            if let Entry::Event(event) = entry
                && let Body::MetricNamed { name, .. } = event.body
            {
                names.push(name);
            }
        };
        self.reader()?
            .fold(Log::Sweep(sweep), Reports::None, Pos(0), take)
            .map_err(|e| internal(&e.to_string()))?;
        Ok(names)
    }

    fn verify(&self) -> Result<pb::VerifyResponse, Refused> {
        let found = verify(&self.database).map_err(|error| internal(&error.to_string()))?;
        let damage: Vec<String> = found
            .bad
            .iter()
            .map(|bad| {
                let log = bad.log.map_or("the file".to_owned(), |log| log.to_string());
                format!("{log}, event {} (position {}): {}", bad.n, bad.pos, bad.why)
            })
            .collect();
        Ok(pb::VerifyResponse {
            events: found.events,
            reports: found.reports,
            logs: found.sweeps,
            damage: damage.join("; "),
        })
    }

    fn backup(&self, to: &Path) -> Result<pb::BackupResponse, Refused> {
        if !to.is_absolute() {
            return Err(Refused::invalid("path", format!("{} is not an absolute path", to.display())));
        }
        let done = backup(&mut self.reader()?, to).map_err(|error| {
            Refused::new(
                crate::controller::RefusedKind::FailedPrecondition,
                Code::NoBackup,
                error.to_string(),
            )
        })?;
        let pos = done.verified.last;
        let taken = Message::BackedUp { file: to.display().to_string(), last: pos };
        self.mailbox.push(taken).map_err(|_| Refused::gone())?;
        Ok(pb::BackupResponse { bytes: done.bytes, pos: pos.0 })
    }

    fn export(
        &self,
        sweep: SweepId,
        request: &pb::ExportSweepRequest,
        metrics: Vec<String>,
        to: &mpsc::Sender<Result<pb::ExportChunk, Refused>>,
    ) -> Result<(), Refused> {
        use pb::export_sweep_request::What;
        let send = |chunk: pb::ExportChunk| to.blocking_send(Ok(chunk)).is_ok();
        match What::try_from(request.what).unwrap_or_default() {
            What::Trials | What::Unspecified => {
                self.each_page(sweep, request.after_trial, |trials| {
                    send(pb::ExportChunk { trials, ..Default::default() })
                })?;
            }
            What::Best => {
                let best = self.row(sweep, self.best(sweep)?)?;
                send(pb::ExportChunk { trials: vec![best], ..Default::default() });
            }
            What::Reports => self.export_reports(sweep, request, metrics, &send)?,
            What::Events => {
                let mut after = request.after;
                loop {
                    let events = self.events(sweep, after, PAGE)?;
                    let Some(last) = events.last() else { return Ok(()) };
                    after = last.n;
                    if !send(pb::ExportChunk { events, ..Default::default() }) {
                        return Ok(());
                    }
                }
            }
            What::Definition => {
                let loaded = self.loaded(sweep)?;
                let definition = serde_json::to_string(loaded.state.definition()).expect("text keys only");
                send(pb::ExportChunk { definition, ..Default::default() });
            }
        }
        Ok(())
    }

    /// Run by run; behind the report that `request` names.
    fn export_reports(
        &self,
        sweep: SweepId,
        request: &pb::ExportSweepRequest,
        metrics: Vec<String>,
        send: &dyn Fn(pb::ExportChunk) -> bool,
    ) -> Result<(), Refused> {
        let names = if metrics.is_empty() { self.names(sweep)? } else { metrics };
        let reader = self.reader()?;
        let runs = reader.runs(sweep).map_err(|error| internal(&error.to_string()))?;
        let last = Run { trial: Trial(request.after_trial), attempt: request.after_attempt };
        let from = runs.iter().position(|(_, run)| *run == last).unwrap_or(0);
        for (key, run) in runs.into_iter().skip(from) {
            let mut rows = Vec::new();
            for_reports(&reader, key.0, run, |report| {
                if run == last && report.pos.0 <= request.after {
                    return true;
                }
                rows.extend(report.values.iter().map(|(id, value)| pb::export_chunk::Row {
                    trial: run.trial.0,
                    attempt: run.attempt,
                    step: report.step,
                    metric: names.get(*id as usize).cloned().unwrap_or_else(|| id.to_string()),
                    value: *value,
                    time_us: report.at.0,
                    pos: report.pos.0,
                }));
                rows.len() < PAGE
                    || send(pb::ExportChunk { reports: std::mem::take(&mut rows), ..Default::default() })
            })?;
            if !rows.is_empty() && !send(pb::ExportChunk { reports: rows, ..Default::default() }) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn events(&self, sweep: SweepId, after: u64, limit: usize) -> Result<Vec<pb::Entry>, Refused> {
        let reader = self.reader()?;
        let events = reader.events(Log::Sweep(sweep), after, limit).map_err(unread)?;
        let message = |event: crate::store::LogEvent| {
            let actor = reader.actor(event.actor).ok().flatten().unwrap_or_else(|| SELF_NAME.to_owned());
            event_message(sweep, event.pos, event.n, event.at, &actor, event.kind, event.body)
        };
        Ok(events.into_iter().map(message).collect())
    }
}

fn maximized(objective: &pb::Objective) -> bool {
    objective.goal == i32::from(pb::objective::Goal::Maximize)
}

/// Whether the largest value of a sweep is its best.
fn maximizes(reader: &Reader, sweep: SweepId) -> Result<bool, Refused> {
    let row = reader.sweep(sweep).map_err(unread)?;
    let row = row.map(|row| decode::<pb::Sweep>(&row.body)).transpose()?;
    Ok(row.is_some_and(|row| row.objectives.first().is_some_and(maximized)))
}

fn for_reports(
    reader: &Reader,
    fence: u64,
    run: Run,
    mut take: impl FnMut(&Report) -> bool,
) -> Result<(), Refused> {
    let key = recovery::report_key(fence);
    let mut after = 0;
    loop {
        let reports = reader.reports(key, run, after, PAGE).map_err(unread)?;
        let Some(last) = reports.last() else { return Ok(()) };
        after = last.seq;
        if !reports.iter().all(&mut take) {
            return Ok(());
        }
    }
}

fn answer(reply: oneshot::Sender<Result<Answer, Refused>>, answer: Result<Answer, Refused>) {
    // Whoever asked may have gone.
    let _ = reply.send(answer);
}

/// Hands the stream over, then fills it; an error is its last message.
fn open<T>(
    reply: oneshot::Sender<Result<mpsc::Receiver<Result<T, Refused>>, Refused>>,
    fill: impl FnOnce(mpsc::Sender<Result<T, Refused>>) -> Result<(), Refused>,
) {
    let (sender, receiver) = mpsc::channel(AHEAD);
    if reply.send(Ok(receiver)).is_err() {
        return;
    }
    if let Err(refused) = fill(sender.clone()) {
        // Whoever asked may have gone.
        let _ = sender.blocking_send(Err(refused));
    }
}

fn decode<M: prost::Message + Default>(bytes: &[u8]) -> Result<M, Refused> {
    M::decode(bytes).map_err(|_| internal("a row of the store is damaged"))
}

pub(super) fn unread(error: ReadError) -> Refused {
    internal(&error.to_string())
}

fn no_trial(sweep: SweepId, trial: Trial) -> Refused {
    Refused::not_found(format!("sweep {sweep} has no trial {trial}")).at("trial")
}

fn page_size(wanted: i32) -> usize {
    match usize::try_from(wanted) {
        Ok(0) | Err(_) => 100,
        Ok(wanted) => wanted.min(1000),
    }
}

fn page_token(token: &str) -> Result<Option<(Timestamp, SweepId)>, Refused> {
    if token.is_empty() {
        return Ok(None);
    }
    let parts =
        token.split_once('-').and_then(|(at, id)| Some((Timestamp(at.parse().ok()?), id.parse().ok()?)));
    parts.map(Some).ok_or_else(|| Refused::invalid("page_token", "it is not a page token of this list"))
}

fn states(state: &str, unfinished: bool) -> Vec<String> {
    match (state, unfinished) {
        ("", false) => Vec::new(),
        ("", true) => vec!["running".to_owned(), "paused".to_owned()],
        (state, _) => vec![state.to_lowercase()],
    }
}

fn is_wanted(sweep: &pb::Sweep, request: &pb::ListSweepsRequest, caller: &str) -> bool {
    let matches = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
    (request.tag.is_empty() || sweep.tags.contains(&request.tag))
        && (!request.mine || sweep.owner == caller)
        && matches(&request.origin_file, &sweep.file)
        && matches(&request.origin_folder, &sweep.folder)
}
