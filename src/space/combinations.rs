//! How many distinct points a conditional grid has, and the r-th of them in an order of its own.
//!
//! Leaves that conditions connect form a *cluster*; clusters are independent, so their counts multiply. Within one, the
//! combinations of the leaves that are parents are enumerated (they are limited); under each of them the other leaves
//! are free where they exist.

use crate::space::grid::{Condition, Count};

/// The most that is counted exactly.
const MOST: u128 = 1 << 127;

/// The distinct points of a grid, by rank.
#[derive(Clone, Debug)]
pub(super) struct Combinations {
    leaves: usize,
    clusters: Vec<Cluster>,
    count: Count,
}

#[derive(Clone, Debug)]
struct Cluster {
    /// Those that are parents, and how many values each has.
    parents: Vec<(usize, u128)>,
    /// The others: leaf, count.
    free: Vec<(usize, u128)>,
    /// The possible combinations of the parents: their number in the parents' product, and the points before them.
    rows: Vec<Row>,
    /// Points in all.
    points: u128,
}

#[derive(Clone, Debug)]
struct Row {
    code: u64,
    before: u128,
}

impl Combinations {
    /// Most combinations of connected parents.
    pub(super) const LIMIT: u64 = 1_000_000;

    /// `order`: parents first. The error is the leaves that are connected by too many combinations.
    pub(super) fn new(
        counts: &[u128],
        conditions: &[Vec<Condition>],
        order: &[usize],
    ) -> Result<Combinations, Vec<usize>> {
        let mut clusters = Vec::new();
        let mut count = Count::Exact(1);
        for members in connected(conditions) {
            let cluster = Cluster::new(&members, counts, conditions, order)?;
            count = match (count, cluster.points) {
                (Count::Exact(n), points) => {
                    n.checked_mul(points).filter(|n| *n <= MOST).map_or(Count::Beyond, Count::Exact)
                }
                (Count::Beyond, _) => Count::Beyond,
            };
            clusters.push(cluster);
        }
        Ok(Combinations { leaves: counts.len(), clusters, count })
    }

    pub(super) fn count(&self) -> Count {
        self.count
    }

    /// The digits of the point of a rank below the count; 0 for leaves that do not exist.
    pub(super) fn digits(&self, mut rank: u128, conditions: &[Vec<Condition>]) -> Vec<u128> {
        let mut digits = vec![0; self.leaves];
        for cluster in self.clusters.iter().rev() {
            cluster.put(rank % cluster.points, &mut digits, conditions);
            rank /= cluster.points;
        }
        digits
    }
}

impl Cluster {
    fn new(
        members: &[usize],
        counts: &[u128],
        conditions: &[Vec<Condition>],
        order: &[usize],
    ) -> Result<Cluster, Vec<usize>> {
        let is_parent =
            |leaf: &usize| members.iter().any(|m| conditions[*m].iter().any(|c| c.parent == *leaf));
        let ordered = order.iter().filter(|leaf| members.contains(leaf));
        let (parents, free): (Vec<usize>, Vec<usize>) = ordered.partition(|leaf| is_parent(leaf));
        let product = parents.iter().try_fold(1u128, |n, leaf| n.checked_mul(counts[*leaf]));
        let limit = u128::from(Combinations::LIMIT);
        let codes = product.filter(|n| *n <= limit).and_then(|n| u64::try_from(n).ok());
        let Some(codes) = codes else { return Err(parents) };
        let pair = |leaf: usize| (leaf, counts[leaf]);
        let mut cluster = Cluster {
            parents: parents.into_iter().map(pair).collect(),
            free: free.into_iter().map(pair).collect(),
            rows: Vec::new(),
            points: 0,
        };
        let mut digits = vec![0; counts.len()];
        for code in 0..codes {
            if cluster.put_parents(code, &mut digits, conditions) {
                let here = cluster.free.iter().filter(|(leaf, _)| exists(*leaf, &digits, conditions));
                let points = here.fold(1u128, |n, (_, count)| n.saturating_mul(*count));
                cluster.rows.push(Row { code, before: cluster.points });
                cluster.points = cluster.points.saturating_add(points);
            }
        }
        Ok(cluster)
    }

    /// Writes the parents' digits of a code; false where one that does not exist has another digit than 0.
    fn put_parents(&self, mut code: u64, digits: &mut [u128], conditions: &[Vec<Condition>]) -> bool {
        for (leaf, count) in self.parents.iter().rev() {
            digits[*leaf] = u128::from(code) % count;
            code = (u128::from(code) / count) as u64;
        }
        self.parents.iter().all(|(leaf, _)| digits[*leaf] == 0 || exists(*leaf, digits, conditions))
    }

    fn put(&self, rank: u128, digits: &mut [u128], conditions: &[Vec<Condition>]) {
        let row = &self.rows[self.rows.partition_point(|row| row.before <= rank) - 1];
        self.put_parents(row.code, digits, conditions);
        let mut rest = rank - row.before;
        for (leaf, count) in self.free.iter().rev() {
            if exists(*leaf, digits, conditions) {
                digits[*leaf] = rest % count;
                rest /= count;
            }
        }
    }
}

/// Whether a leaf exists where the digits of its parents, and of theirs, are these.
fn exists(leaf: usize, digits: &[u128], conditions: &[Vec<Condition>]) -> bool {
    conditions[leaf]
        .iter()
        .all(|c| c.digits.contains(&digits[c.parent]) && exists(c.parent, digits, conditions))
}

/// The leaves in clusters, each ascending, by their first.
fn connected(conditions: &[Vec<Condition>]) -> Vec<Vec<usize>> {
    let mut name: Vec<usize> = (0..conditions.len()).collect();
    for (leaf, own) in conditions.iter().enumerate() {
        for condition in own {
            let (keep, drop) =
                (name[leaf].min(name[condition.parent]), name[leaf].max(name[condition.parent]));
            name.iter_mut().filter(|n| **n == drop).for_each(|n| *n = keep);
        }
    }
    let mut clusters: Vec<Vec<usize>> = vec![Vec::new(); conditions.len()];
    for (leaf, name) in name.into_iter().enumerate() {
        clusters[name].push(leaf);
    }
    clusters.retain(|cluster| !cluster.is_empty());
    clusters
}
