//! The points of the observations, embedded once: a cache that only saves time.

use std::collections::BTreeSet;

use crate::search::gp::coordinates::{Embedding, Key};
use crate::search::{History, Observation};
use crate::space::Point;

/// The observations' points so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    points: Vec<(Option<u32>, Point)>,
    /// One row an observation.
    pub(super) rows: Vec<Vec<f64>>,
    /// Of this sweep's own.
    keys: BTreeSet<Key>,
    /// How many of them are this sweep's own.
    pub(super) own: usize,
}

impl Ground {
    /// Follows a history. Whether it goes on from what was seen; else everything was embedded anew.
    pub(super) fn follow(&mut self, embedding: &mut Embedding, observations: &[Observation]) -> bool {
        let same = |(known, seen): (&(Option<u32>, Point), &Observation)| {
            known.0 == seen.trial && known.1 == seen.point
        };
        let mut goes_on =
            self.points.len() <= observations.len() && self.points.iter().zip(observations).all(same);
        for observation in &observations[self.points.len().min(observations.len())..] {
            if observation.trial.is_none() && embedding.allow_absent(&observation.point) {
                goes_on = false;
            }
        }
        if !goes_on {
            *self = Ground::default();
        }
        for observation in &observations[self.points.len()..] {
            self.points.push((observation.trial, observation.point.clone()));
            self.rows.push(embedding.row(&observation.point));
            if observation.trial.is_some() {
                self.own += 1;
                self.keys.insert(embedding.key(&observation.point));
            }
        }
        goes_on
    }

    /// Which points may not be proposed: those observed or pending.
    pub(super) fn known<'a>(&'a self, embedding: &'a Embedding, history: &History<'_>) -> Known<'a> {
        let pending = history.pending.iter().map(|pending| embedding.key(&pending.point)).collect();
        Known { embedding, observed: &self.keys, pending }
    }
}

/// The points that were proposed.
pub(super) struct Known<'a> {
    embedding: &'a Embedding,
    observed: &'a BTreeSet<Key>,
    pending: BTreeSet<Key>,
}

impl Known<'_> {
    pub(super) fn has(&self, point: &Point) -> bool {
        let key = self.embedding.key(point);
        self.observed.contains(&key) || self.pending.contains(&key)
    }
}
