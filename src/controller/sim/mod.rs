//! A simulation of the core: a real store, machines, runs and people that are a few lines each, and a clock that is a
//! number. One seed decides everything that happens, and after every step all that must always hold is looked at.
//!
//! - [`world`]: the controller, its clock, what is under way, and how it is killed;
//! - [`machine`]: an agent with its runs and their spools, how both die and lose what they wrote;
//! - [`people`]: requests with their ids, sent again when no answer came;
//! - [`check`]: the invariants;
//! - [`faults`]: the named lines of the fault matrix;
//! - [`asked`]: callers and their leases.
//!
//! `SWATH_SIM_SEEDS` says how many seeds, `SWATH_SIM_SEED` repeats one.

mod asked;
mod check;
mod faults;
mod machine;
mod people;
mod world;

use world::World;

/// Steps of one seed, before everything is mended and has to come to its end.
const STEPS: u32 = 120;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("SWATH_SIM_SEED") {
        Some(one) => vec![one],
        None => (0..number("SWATH_SIM_SEEDS").unwrap_or(200)).collect(),
    }
}

fn live_through(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.heal();
}

#[test]
fn f01_nothing_acknowledged_is_lost_whatever_is_killed() {
    let seeds = seeds();
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let fell: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let mine = seeds.iter().copied().skip(thread).step_by(threads);
                let fell = mine.filter(|seed| std::panic::catch_unwind(|| live_through(*seed)).is_err());
                scope.spawn(move || fell.collect::<Vec<u64>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("panics are caught")).collect()
    });
    assert!(fell.is_empty(), "repeat them with SWATH_SIM_SEED: {fell:?}");
}
