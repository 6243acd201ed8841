//! What SEARCH.md beside this needs from inside the search, without a harness and without peers.
//!
//! `cargo bench --bench search -- asks`: where the time of an ask goes, by history and by dimensions (Q6, Q7).
//! `.. -- rates`: proposals a second of the methods that do not learn, and of a grid of 10^12 points (Q10).
//! `.. -- proposals`: a digest of many proposals, by an engine that is kept and by one made anew at every ask (Q9).
//! `.. -- transfer [SEEDS]`: what earlier sweeps bring (`from`), of similar, the same and unrelated problems.
#![expect(clippy::print_stdout, reason = "its tables are what it is for")]

mod measure;
mod problems;
mod transfer;

use swath::search::{
    Bayes, Engine, Fit, Given, GridSearch, History, Impute, Observation, Outcome, Pending, Problem, Reported,
    Sobol, random,
};
use swath::space::{Distribution, Point, Space, Value, stream, uniform};

use crate::problems::{cube, leaf, mixed, units};

/// Histories whose asks are timed, in so many dimensions, and how many asks.
const SIZES: [u32; 4] = [100, 500, 1_000, 10_000];
const DIMENSIONS: [usize; 2] = [5, 20];
const ASKS: usize = 120;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["asks"] => asks(),
        ["ask", d, n] => {
            if let (Ok(d), Ok(n)) = (d.parse(), n.parse()) {
                ask(d, n);
            }
        }
        ["rates"] => rates(),
        ["proposals"] => proposals(),
        ["transfer"] => transfer::table(20),
        ["transfer", seeds] => transfer::table(seeds.parse().unwrap_or(20)),
        _ => println!("asks | rates | proposals | transfer [SEEDS]; its head says what they print"),
    }
}

pub(crate) fn problem(space: Space, seed: u64) -> Problem {
    Problem { space, objectives: 1, constraints: 0, seed, impute: Impute::Worst, impute_while_running: None }
}

pub(crate) fn measured(trial: Option<u32>, point: Point, value: f64) -> Observation {
    let outcome =
        Outcome::Measured { objectives: Box::new([value]), constraints: Box::new([]), stopped: false };
    Observation { trial, point, outcome }
}

/// Processor milliseconds of each part, the median.
fn asks() {
    println!(
        "| dimensions | n | tell: fit (when due) | tell: one more row | ask: search | ask: 95 % | made anew |"
    );
    println!("|---|---|---|---|---|---|---|");
    for d in DIMENSIONS {
        for n in SIZES {
            ask(d, n);
        }
    }
}

/// A history of random points with a bowl's noisy values, then trials one after the other.
fn ask(d: usize, n: u32) {
    let problem = problem(cube(d), 1);
    let mut noise = stream(1, "bench noise", n.into());
    let mut value = |point: &Point| {
        let bowl: f64 = units(point).iter().map(|x| (x - 0.3) * (x - 0.3)).sum();
        bowl + 0.01 * uniform(&mut noise)
    };
    let mut told: Vec<Observation> = (1..=n)
        .map(|trial| {
            let point = random(&problem.space, 7, trial);
            let y = value(&point);
            measured(Some(trial), point, y)
        })
        .collect();
    let mut engine = Bayes::new(problem.clone());
    let mut fit: Option<Fit> = None;
    let (mut fits, mut rows, mut searches) = (Vec::new(), Vec::new(), Vec::new());
    for trial in n + 1..=n + ASKS as u32 {
        let history = History { observations: &told, pending: &[] };
        let prepared = timed(|| engine.prepare(&history)).1;
        let (proposed, searched) = timed(|| engine.propose(trial, &history));
        let Ok(proposed) = proposed else { return };
        if proposed.fit.is_some() {
            fits.push(prepared)
        } else {
            rows.push(prepared)
        }
        searches.push(searched);
        if let Some(new) = proposed.fit {
            engine.record(new.clone());
            fit = Some(new);
        }
        let y = value(&proposed.proposal.point);
        told.push(measured(Some(trial), proposed.proposal.point, y));
    }
    let history = History { observations: &told, pending: &[] };
    let anew = timed(|| Bayes::restore(problem.clone(), fit).propose(n + ASKS as u32 + 1, &history)).1;
    let at = measure::quantile;
    println!(
        "| {d} | {n} | {:.2} | {:.2} | {:.2} | {:.2} | {anew:.1} |",
        at(&mut fits, 0.5),
        at(&mut rows, 0.5),
        at(&mut searches, 0.5),
        at(&mut searches, 0.95),
    );
}

/// What it gives, and its milliseconds of processor time: the machine may have other work.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let began = measure::cpu_ms();
    let given = work();
    (given, measure::cpu_ms() - began)
}

/// Proposals a second, 5-d: what the methods themselves take, without a controller.
fn rates() {
    println!("| method | proposals a second | memory of its own |");
    println!("|---|---|---|");
    let space = mixed();
    let count = 1_000_000;
    let (_, ms) =
        timed(|| (1..=count).for_each(|trial| drop(std::hint::black_box(random(&space, 3, trial)))));
    println!("| random | {:.0} | none |", f64::from(count) / ms * 1e3);
    let sobol = Sobol::new(space.leaves().len(), 3, "bench");
    let (_, ms) = timed(|| {
        for index in 0..count {
            let units: Vec<f64> = sobol.point(index).collect();
            std::hint::black_box(space.at(&units));
        }
    });
    println!("| sobol | {:.0} | none |", f64::from(count) / ms * 1e3);
    let digit = || Distribution::Categorical { values: (0..100).map(Value::Int).collect() };
    let Ok(vast) = Space::new((0..6).map(|i| leaf(&format!("x{i}"), digit())).collect()) else { return };
    for (name, seed) in [("grid of 10^12", None), ("grid of 10^12, shuffled", Some(3))] {
        let before = measure::resident_kib();
        let Ok(grid) = GridSearch::new(&vast, seed) else { return };
        let mut given = Given::default();
        let (_, ms) = timed(|| {
            for _ in 0..count {
                if let Some((index, point)) = grid.propose(&given) {
                    std::hint::black_box(point);
                    given.proposed(index);
                }
            }
        });
        let grown = measure::resident_kib() - before;
        println!("| {name} | {:.0} | {grown} KiB after {count} proposals |", f64::from(count) / ms * 1e3);
    }
}

/// One digest for each method and way of keeping the engine: they have to be equal, on any number of cores.
fn proposals() {
    type Make = fn(&Problem) -> Engine;
    let methods: [(&str, Make, u32); 4] = [
        ("bayes", Engine::bayes, 130),
        ("tpe", Engine::tpe, 300),
        ("cmaes", Engine::cmaes, 300),
        ("sobol", Engine::sobol, 300),
    ];
    println!("| method | trials | kept | made anew at every ask |");
    println!("|---|---|---|---|");
    for (name, make, trials) in methods {
        println!("| {name} | {trials} | {} | {} |", digest(make, trials, false), digest(make, trials, true));
    }
}

/// Trials of a mixed space, three of them pending, told out of order, one in seven fails.
fn digest(make: fn(&Problem) -> Engine, trials: u32, anew: bool) -> String {
    let problem = problem(mixed(), 5);
    let mut engine = make(&problem);
    let mut last: Option<Fit> = None;
    let (mut told, mut running) = (Vec::new(), Vec::<Pending>::new());
    let mut hash = blake3::Hasher::new();
    for trial in 1..=trials {
        if anew {
            engine = make(&problem);
            last.iter().for_each(|fit| engine.record(fit.clone()));
        }
        let Ok(proposed) = engine.propose(trial, &History { observations: &told, pending: &running }) else {
            break;
        };
        if let Some(fit) = proposed.fit {
            engine.record(fit.clone());
            last = Some(fit);
        }
        let point = proposed.proposal.point;
        let bits = units(&point).into_iter().flat_map(|x| x.to_bits().to_le_bytes());
        hash.update(&bits.collect::<Vec<u8>>());
        running.push(Pending { trial, point, reported: Reported::default() });
        if running.len() > 3 {
            let ended = running.remove(trial as usize % 3);
            let value: f64 = units(&ended.point).iter().sum();
            told.push(if trial % 7 == 0 {
                let outcome = Outcome::Failed(Reported::default());
                Observation { trial: Some(ended.trial), point: ended.point, outcome }
            } else {
                measured(Some(ended.trial), ended.point, value)
            });
        }
    }
    hash.finalize().to_hex()[..16].to_owned()
}
