//! Everything that only reads what is stored: lists, one trial with its curves, export, watching. On blocking threads,
//! beside the core.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::controller::core::{SELF_NAME, internal};
use crate::controller::feed::{Feed, Page, event_message, report_message};
use crate::controller::handle::{Answer, Message};
use crate::controller::mailbox::Mailbox;
use crate::controller::pending::Job;
use crate::controller::{Refused, recovery};
use crate::pb;
use crate::spec::Code;
use crate::store::{
    Entry, Log, ReadError, Reader, Readers, Reports, SweepFilter, TrialFilter, backup, verify,
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
}

impl Library {
    /// Does the work; blocks.
    pub(super) fn work(&self, job: Job) {
        match job {
            Job::ListSweeps { request, caller, reply } => {
                answer(reply, self.list_sweeps(&request, &caller).map(Answer::ListSweeps))
            }
            Job::ListTrials { sweep, request, reply } => {
                answer(reply, self.list_trials(sweep, &request).map(Answer::ListTrials))
            }
            Job::GetTrial { sweep, trial, metrics, reply } => {
                answer(reply, self.trial(sweep, trial, metrics).map(Answer::GetTrial))
            }
            Job::Verify { reply } => answer(reply, self.verify().map(Answer::Verify)),
            Job::Backup { to, reply } => answer(reply, self.backup(&to).map(Answer::Backup)),
            Job::Export { sweep, request, metrics, reply } => {
                open(reply, |to| self.export(sweep, &request, metrics, &to))
            }
            Job::Watch { sweep, request, metrics, reply } => {
                open(reply, |to| self.watch(sweep, &request, metrics, &to))
            }
            Job::Tail { sweep, trial, note, reply } => open(reply, |to| {
                let row = self.reader()?.trial(sweep, trial.0).map_err(unread)?;
                let row = row.ok_or_else(|| no_trial(sweep, trial))?;
                let row = decode::<pb::Trial>(&row.body)?;
                // A receiver that is gone wants nothing more.
                let _ = to.blocking_send(Ok(pb::LogsChunk {
                    data: row.tail.into_bytes().into(),
                    note: note.to_owned(),
                }));
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

    fn reader(&self) -> Result<Reader, Refused> {
        self.readers.get().map_err(unread)
    }

    fn list_sweeps(
        &self,
        request: &pb::ListSweepsRequest,
        caller: &str,
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
                let message = decode::<pb::Sweep>(&row.body)?;
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
        let (key, is_reversed) = match request.sort.strip_prefix('-') {
            Some(key) => (key, true),
            None => (request.sort.as_str(), false),
        };
        let states = if request.state.is_empty() { Vec::new() } else { vec![request.state.clone()] };
        let mut trials = self.all_trials(sweep, &states)?;
        let value = |trial: &pb::Trial| trial.objectives.first().and_then(|objective| objective.value);
        let seconds = |trial: &pb::Trial| -> f64 {
            let of = |run: &pb::Run| {
                run.duration.as_ref().map_or(0.0, |d| d.seconds as f64 + f64::from(d.nanos) * 1e-9)
            };
            trial.runs.iter().map(of).sum()
        };
        match key {
            "" | "trial" => {}
            "value" => {
                let maximize = trials
                    .iter()
                    .flat_map(|t| t.objectives.first())
                    .any(|o| o.goal == i32::from(pb::objective::Goal::Maximize));
                let sign = if maximize { -1.0 } else { 1.0 };
                trials.sort_by(|a, b| {
                    let key = |t: &pb::Trial| value(t).map_or(f64::INFINITY, |value| sign * value);
                    key(a).total_cmp(&key(b))
                });
            }
            "duration" => trials.sort_by(|a, b| seconds(a).total_cmp(&seconds(b))),
            other => {
                return Err(Refused::invalid(
                    "sort",
                    format!("sort is '{other}'; allowed are trial, value, duration"),
                ));
            }
        }
        if is_reversed {
            trials.reverse();
        }
        let from: usize = match request.page_token.as_str() {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| Refused::invalid("page_token", "it is not a page token of this list"))?,
        };
        let wanted = page_size(request.page_size);
        let next = if from + wanted < trials.len() { (from + wanted).to_string() } else { String::new() };
        Ok(pb::ListTrialsResponse {
            trials: trials.into_iter().skip(from).take(wanted).collect(),
            next_page_token: next,
        })
    }

    fn all_trials(&self, sweep: SweepId, states: &[String]) -> Result<Vec<pb::Trial>, Refused> {
        let reader = self.reader()?;
        let mut filter = TrialFilter { states: states.to_vec(), after: 0, limit: PAGE };
        let mut trials = Vec::new();
        loop {
            let rows = reader.trials(sweep, &filter).map_err(unread)?;
            let Some(last) = rows.last() else { return Ok(trials) };
            filter.after = last.trial;
            for row in &rows {
                trials.push(decode::<pb::Trial>(&row.body)?);
            }
        }
    }

    /// A trial with its curves: its attempts merged by step, the later one wins.
    fn trial(&self, sweep: SweepId, trial: Trial, metrics: Vec<String>) -> Result<pb::Trial, Refused> {
        let names = if metrics.is_empty() { self.names(sweep)? } else { metrics };
        let reader = self.reader()?;
        let row = reader.trial(sweep, trial.0).map_err(unread)?.ok_or_else(|| no_trial(sweep, trial))?;
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
        row.rank = self.rank(sweep, &row)?;
        Ok(row)
    }

    /// Its place among the feasible trials that succeeded or were stopped.
    fn rank(&self, sweep: SweepId, row: &pb::Trial) -> Result<Option<u32>, Refused> {
        let states = ["succeeded".to_owned(), "stopped".to_owned()];
        let value = |trial: &pb::Trial| trial.objectives.first().and_then(|objective| objective.value);
        let over = [pb::trial::State::Succeeded, pb::trial::State::Stopped].map(i32::from);
        let (Some(own), true) = (value(row).filter(|_| row.feasible), over.contains(&row.state)) else {
            return Ok(None);
        };
        let maximize =
            row.objectives.first().is_some_and(|o| o.goal == i32::from(pb::objective::Goal::Maximize));
        let better = |other: f64| if maximize { other > own } else { other < own };
        let ahead = self
            .all_trials(sweep, &states)?
            .iter()
            .filter(|t| t.feasible)
            .filter_map(value)
            .filter(|v| better(*v))
            .count();
        Ok(u32::try_from(ahead + 1).ok())
    }

    /// The sweep's dictionary of metric names.
    fn names(&self, sweep: SweepId) -> Result<Vec<String>, Refused> {
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
                for page in self.all_trials(sweep, &[])?.chunks(PAGE) {
                    if !send(pb::ExportChunk { trials: page.to_vec(), ..Default::default() }) {
                        return Ok(());
                    }
                }
            }
            What::Best => {
                let row = self.reader()?.sweep(sweep).map_err(unread)?;
                let best =
                    row.map(|row| decode::<pb::Sweep>(&row.body)).transpose()?.and_then(|sweep| sweep.best);
                let best =
                    best.ok_or_else(|| Refused::not_found(format!("sweep {sweep} has no best trial yet")))?;
                send(pb::ExportChunk { trials: vec![best], ..Default::default() });
            }
            What::Reports => self.export_reports(sweep, metrics, &send)?,
            What::Events => {
                let mut after = 0;
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
                let loaded = recovery::load(&mut self.reader()?, sweep, Instant::now())
                    .map_err(|e| internal(&e.to_string()))?;
                let definition = serde_json::to_string(loaded.state.definition()).expect("text keys only");
                send(pb::ExportChunk { definition, ..Default::default() });
            }
        }
        Ok(())
    }

    fn export_reports(
        &self,
        sweep: SweepId,
        metrics: Vec<String>,
        send: &dyn Fn(pb::ExportChunk) -> bool,
    ) -> Result<(), Refused> {
        let names = if metrics.is_empty() { self.names(sweep)? } else { metrics };
        let reader = self.reader()?;
        for (key, run) in reader.runs(sweep).map_err(|error| internal(&error.to_string()))? {
            let mut rows = Vec::new();
            for_reports(&reader, key.0, run, |report| {
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

    /// First from the store until the ring has the rest, then as it comes.
    fn watch(
        &self,
        sweep: SweepId,
        request: &pb::WatchRequest,
        metrics: Vec<String>,
        to: &mpsc::Sender<Result<pb::WatchResponse, Refused>>,
    ) -> Result<(), Refused> {
        let events_only = request.reports == i32::from(pb::watch_request::ReportDetail::None);
        let mut after = Pos(request.from.saturating_sub(1));
        let mut news = self.feed.news();
        if !metrics.is_empty() {
            self.feed.know(sweep, &metrics);
        }
        loop {
            let head = *news.borrow_and_update();
            match self.feed.page(sweep, after, events_only) {
                Page::Entries { entries, to: reached } => {
                    let is_news = !entries.is_empty();
                    if is_news && to.blocking_send(Ok(pb::WatchResponse { entries, pos: reached.0 })).is_err()
                    {
                        return Ok(());
                    }
                    after = reached;
                    if reached < head {
                        continue;
                    }
                    if !self.wait(&mut news, to) {
                        return Ok(());
                    }
                }
                Page::Gone => match self.history(sweep, after, head, events_only, to)? {
                    true => after = head,
                    false => return Ok(()),
                },
            }
        }
    }

    /// Waits for the next commit; false: nobody watches any more, or nothing will come.
    fn wait<T>(&self, news: &mut tokio::sync::watch::Receiver<Pos>, to: &mpsc::Sender<T>) -> bool {
        let runtime = tokio::runtime::Handle::current();
        runtime.block_on(async {
            tokio::select! {
                changed = news.changed() => changed.is_ok(),
                () = to.closed() => false,
            }
        })
    }

    /// The stored entries in (after, until].
    fn history(
        &self,
        sweep: SweepId,
        after: Pos,
        until: Pos,
        events_only: bool,
        to: &mpsc::Sender<Result<pb::WatchResponse, Refused>>,
    ) -> Result<bool, Refused> {
        let reports = if events_only { Reports::None } else { Reports::All };
        let mut names = Vec::new();
        let mut page = Vec::new();
        let mut is_gone = false;
        let mut reader = self.reader()?;
        let actors = self.reader()?;
        let mut send = |page: &mut Vec<pb::Entry>, pos: Pos| {
            let entries = std::mem::take(page);
            is_gone |= to.blocking_send(Ok(pb::WatchResponse { entries, pos: pos.0 })).is_err();
            !is_gone
        };
        let mut listens = true;
        let take = |entry: Entry| {
            let (pos, message) = match entry {
                Entry::Event(event) => {
                    if let Body::MetricNamed { name, .. } = &event.body {
                        names.push(name.clone());
                    }
                    let actor =
                        actors.actor(event.actor).ok().flatten().unwrap_or_else(|| SELF_NAME.to_owned());
                    let json = serde_json::to_value(&event.body).expect("text keys only");
                    let kind = json["kind"].as_str().unwrap_or_default().to_owned();
                    (
                        event.pos,
                        event_message(sweep, event.pos, event.n, event.at, &actor, kind, json.to_string()),
                    )
                }
                Entry::Report(report) => (report.pos, report_message(sweep, &report, &names)),
                Entry::Store(_) => return,
            };
            if listens && pos > after && pos <= until {
                page.push(message);
                if page.len() == PAGE {
                    listens = send(&mut page, pos);
                }
            }
        };
        reader
            .fold(Log::Sweep(sweep), reports, Pos(0), take)
            .map_err(|error| internal(&error.to_string()))?;
        Ok(send(&mut page, until))
    }
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

fn unread(error: ReadError) -> Refused {
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
