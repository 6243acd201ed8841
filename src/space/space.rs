//! The space: its leaves in the order of the search dimensions, and the way between points and assignments.
//!
//! Invariants, held by [`Space::new`]: leaves are sorted by path (depth first, the names of each level by code point),
//! no path is another's or a group's, bounds make sense, parents are discrete, conditions have no cycle and name values
//! that can occur.

use serde::{Deserialize, Serialize};

use crate::space::draw::STEP_TOLERANCE;
use crate::space::{
    Assignment, Coordinate, Distribution, Grid, Leaf, NotDiscrete, OutsideSpace, Point, SpaceError, Value,
};

/// The leaves, depth first, the names of each level sorted by code point. In the log it is the list of its leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Leaf>", into = "Vec<Leaf>")]
pub struct Space {
    leaves: Vec<Leaf>,
    /// The conditions of each leaf, their values as coordinates of the parent.
    gates: Vec<Vec<Gate>>,
    /// The leaves, parents before those that depend on them.
    order: Vec<usize>,
}

/// A condition of which the values are coordinates of the parent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gate {
    pub(super) parent: usize,
    allowed: Vec<Coordinate>,
    /// Of the comparison of floats.
    slack: f64,
}

impl Gate {
    pub(super) fn allowed(&self) -> &[Coordinate] {
        &self.allowed
    }

    /// Whether it lets the leaf exist where the parent is `at`.
    pub(super) fn admits(&self, parent: &Distribution, at: Coordinate) -> bool {
        match at {
            Coordinate::Absent => false,
            // equal values of a choice may be several indexes: the last stands for all
            Coordinate::Choice(_) => {
                let one = parent.value(at).and_then(|value| parent.coordinate(&value));
                one.is_some_and(|one| self.allowed.contains(&one))
            }
            Coordinate::Integer(_) | Coordinate::Number(_) => self.allowed.iter().any(|allowed| {
                *allowed == at
                    || allowed.number().zip(at.number()).is_some_and(|(a, x)| (a - x).abs() <= self.slack)
            }),
        }
    }
}

impl TryFrom<Vec<Leaf>> for Space {
    type Error = SpaceError;
    fn try_from(leaves: Vec<Leaf>) -> Result<Space, SpaceError> {
        Space::new(leaves)
    }
}

impl From<Space> for Vec<Leaf> {
    fn from(space: Space) -> Vec<Leaf> {
        space.leaves
    }
}

impl Space {
    /// The space of these leaves, in any order; the conditions' parents are indexes into `leaves` as given.
    pub fn new(leaves: Vec<Leaf>) -> Result<Space, SpaceError> {
        let leaves = sorted(leaves)?;
        for pair in leaves.windows(2) {
            if pair[1].path.starts_with(&pair[0].path) {
                return Err(SpaceError::Twice { name: pair[0].name() });
            }
        }
        for leaf in &leaves {
            leaf.distribution.check().map_err(|why| SpaceError::Distribution { name: leaf.name(), why })?;
        }
        let gates = leaves.iter().map(|leaf| gates(leaf, &leaves)).collect::<Result<Vec<_>, _>>()?;
        let order = parents_first(&leaves)?;
        Ok(Space { leaves, gates, order })
    }

    /// The leaves in the order of the search dimensions and of the grid.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The point at one unit value a leaf (0.5 where one is missing); those of absent leaves are ignored.
    pub fn at(&self, units: &[f64]) -> Point {
        let mut coordinates = vec![Coordinate::Absent; self.leaves.len()];
        for &leaf in &self.order {
            if self.exists(leaf, &coordinates) {
                coordinates[leaf] =
                    self.leaves[leaf].distribution.ppf(units.get(leaf).copied().unwrap_or(0.5));
            }
        }
        Point::new(coordinates)
    }

    /// The point with these coordinates, one a leaf; those of leaves that do not exist there are left out.
    pub fn of(&self, coordinates: &[Coordinate]) -> Point {
        let mut kept = vec![Coordinate::Absent; self.leaves.len()];
        for &leaf in &self.order {
            if self.exists(leaf, &kept) {
                kept[leaf] = coordinates.get(leaf).copied().unwrap_or(Coordinate::Absent);
            }
        }
        Point::new(kept)
    }

    /// The point at 0.5 in every leaf.
    pub fn midpoint(&self) -> Point {
        self.at(&[])
    }

    /// The assignment of a point: plain parameters by name, then groups by name, the same inside each; what is absent is
    /// left out, and so is a group of which everything is.
    pub fn assignment(&self, point: &Point) -> Assignment {
        let mut present = Vec::with_capacity(self.leaves.len());
        for (leaf, at) in self.leaves.iter().zip(point.coordinates()) {
            if let Some(value) = leaf.distribution.value(*at) {
                present.push((leaf.path.as_slice(), value));
            }
        }
        Assignment(nested(present, 0))
    }

    /// The point of an assignment that somebody wrote: every leaf that exists there has a value that can occur, and
    /// there is nothing else in it.
    pub fn point(&self, assignment: &Assignment) -> Result<Point, OutsideSpace> {
        let mut coordinates = vec![Coordinate::Absent; self.leaves.len()];
        for &index in &self.order {
            let leaf = &self.leaves[index];
            let written = lookup(&assignment.0, &leaf.path);
            match (self.exists(index, &coordinates), written) {
                (false, None) => {}
                (false, Some(_)) => return Err(OutsideSpace::Absent { name: leaf.name() }),
                (true, None) if leaf.distribution.is_constant() => coordinates[index] = Coordinate::Choice(0),
                (true, None) => return Err(OutsideSpace::Missing { name: leaf.name() }),
                (true, Some(value)) => {
                    coordinates[index] =
                        leaf.distribution.coordinate(value).ok_or_else(|| OutsideSpace::Value {
                            name: leaf.name(),
                            value: value.clone(),
                            allowed: leaf.distribution.to_string(),
                        })?;
                }
            }
        }
        self.known_only(&assignment.0, &mut Vec::new())?;
        Ok(Point::new(coordinates))
    }

    /// The point of an assignment of another space: leaves that it has no value for are absent, and what this space does
    /// not know is left out. None: a value cannot occur here.
    pub fn foreign(&self, assignment: &Assignment) -> Option<Point> {
        let mut coordinates = vec![Coordinate::Absent; self.leaves.len()];
        for &index in &self.order {
            let leaf = &self.leaves[index];
            if !self.exists(index, &coordinates) {
                continue;
            }
            coordinates[index] = match lookup(&assignment.0, &leaf.path) {
                _ if leaf.distribution.is_constant() => Coordinate::Choice(0),
                Some(value) => leaf.distribution.coordinate(value)?,
                None => Coordinate::Absent,
            };
        }
        Some(Point::new(coordinates))
    }

    /// Whether a point (of this space as it was before it was narrowed, with the same leaves) still lies in it.
    pub fn contains(&self, point: &Point) -> bool {
        let coordinates = point.coordinates();
        coordinates.len() == self.leaves.len()
            && self.leaves.iter().enumerate().all(|(index, leaf)| {
                if self.exists(index, coordinates) {
                    leaf.distribution.contains(coordinates[index])
                } else {
                    coordinates[index] == Coordinate::Absent
                }
            })
    }

    /// The grid over all leaves.
    pub fn grid(&self) -> Result<Grid, NotDiscrete> {
        Grid::new(self)
    }

    pub(super) fn gates(&self) -> &[Vec<Gate>] {
        &self.gates
    }

    pub(super) fn parents_first(&self) -> &[usize] {
        &self.order
    }

    fn exists(&self, leaf: usize, coordinates: &[Coordinate]) -> bool {
        self.gates[leaf]
            .iter()
            .all(|gate| gate.admits(&self.leaves[gate.parent].distribution, coordinates[gate.parent]))
    }

    /// Every name of the assignment is a leaf or a group.
    fn known_only(&self, entries: &[(String, Value)], path: &mut Vec<String>) -> Result<(), OutsideSpace> {
        for (name, value) in entries {
            path.push(name.clone());
            if !self.leaves.iter().any(|leaf| leaf.path == *path) {
                let group = self.leaves.iter().any(|leaf| leaf.path.starts_with(path));
                match value {
                    Value::Map(inner) if group => self.known_only(inner, path)?,
                    _ => return Err(OutsideSpace::Unknown { name: path.join(".") }),
                }
            }
            path.pop();
        }
        Ok(())
    }
}

impl Leaf {
    /// Its path with dots, for messages.
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

/// Sorts by path; the conditions' parents follow.
fn sorted(leaves: Vec<Leaf>) -> Result<Vec<Leaf>, SpaceError> {
    let mut indexed: Vec<(usize, Leaf)> = leaves.into_iter().enumerate().collect();
    indexed.sort_by(|a, b| a.1.path.cmp(&b.1.path));
    let mut place = vec![0; indexed.len()];
    for (new, (old, _)) in indexed.iter().enumerate() {
        place[*old] = new;
    }
    indexed
        .into_iter()
        .map(|(_, mut leaf)| {
            let name = leaf.name();
            for condition in &mut leaf.when {
                condition.parent = *place
                    .get(condition.parent)
                    .ok_or_else(|| SpaceError::NoParent { name: name.clone() })?;
            }
            Ok(leaf)
        })
        .collect()
}

fn gates(leaf: &Leaf, leaves: &[Leaf]) -> Result<Vec<Gate>, SpaceError> {
    let mut gates = Vec::with_capacity(leaf.when.len());
    for condition in &leaf.when {
        let parent = &leaves[condition.parent];
        if !parent.distribution.is_discrete() {
            return Err(SpaceError::ParentNotDiscrete { name: leaf.name(), parent: parent.name() });
        }
        let mut allowed = Vec::with_capacity(condition.values.len());
        for value in &condition.values {
            allowed.push(parent.distribution.coordinate(value).ok_or_else(|| SpaceError::CannotOccur {
                name: leaf.name(),
                parent: parent.name(),
                value: value.clone(),
                allowed: parent.distribution.to_string(),
            })?);
        }
        let slack = parent.distribution.step().map_or(0.0, |step| STEP_TOLERANCE * step.size());
        gates.push(Gate { parent: condition.parent, allowed, slack });
    }
    Ok(gates)
}

/// An order in which parents stand before their children, or the cycle that forbids it.
fn parents_first(leaves: &[Leaf]) -> Result<Vec<usize>, SpaceError> {
    let mut order = Vec::with_capacity(leaves.len());
    let mut placed = vec![false; leaves.len()];
    while order.len() < leaves.len() {
        let before = order.len();
        for (index, leaf) in leaves.iter().enumerate() {
            if !placed[index] && leaf.when.iter().all(|condition| placed[condition.parent]) {
                placed[index] = true;
                order.push(index);
            }
        }
        if order.len() == before {
            return Err(SpaceError::Cycle { names: cycle(leaves, &placed) });
        }
    }
    Ok(order)
}

/// Follows unplaced parents until one comes again.
fn cycle(leaves: &[Leaf], placed: &[bool]) -> Vec<String> {
    let mut walk: Vec<usize> = Vec::new();
    let mut at = placed.iter().position(|placed| !placed);
    while let Some(index) = at {
        if let Some(start) = walk.iter().position(|seen| *seen == index) {
            walk.drain(..start);
            walk.push(index);
            break;
        }
        walk.push(index);
        at = leaves[index].when.iter().map(|condition| condition.parent).find(|parent| !placed[*parent]);
    }
    walk.into_iter().map(|index| leaves[index].name()).collect()
}

/// The entries of one level from leaves sorted by path. At the top plain ones stand first, then groups; inside a group
/// the order is that of the paths, as the client of W&B has it.
fn nested(mut leaves: Vec<(&[String], Value)>, depth: usize) -> Vec<(String, Value)> {
    if depth == 0 {
        leaves.sort_by_key(|(path, _)| path.len() > 1);
    }
    let mut entries = Vec::new();
    let mut rest = leaves.into_iter().peekable();
    while let Some((path, value)) = rest.next() {
        let name = path[depth].clone();
        if path.len() == depth + 1 {
            entries.push((name, value));
            continue;
        }
        let mut group = vec![(path, value)];
        while let Some(next) = rest.next_if(|(path, _)| path[depth] == name) {
            group.push(next);
        }
        entries.push((name, Value::Map(nested(group, depth + 1))));
    }
    entries
}

/// The value at a path.
fn lookup<'a>(entries: &'a [(String, Value)], path: &[String]) -> Option<&'a Value> {
    let (name, rest) = path.split_first()?;
    let value = &entries.iter().find(|(entry, _)| entry == name)?.1;
    match (rest, value) {
        ([], value) => Some(value),
        (rest, Value::Map(inner)) => lookup(inner, rest),
        _ => None,
    }
}
