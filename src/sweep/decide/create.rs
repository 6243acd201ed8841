//! The first event of a sweep.

use crate::sweep::proposals::Proposals;
use crate::sweep::{Body, Creation, Refusal};

/// The first event of a sweep's log. `env` and `notes` stay out of it: they may have to be erased. Refused where the method cannot
/// propose in this space.
pub fn create(creation: Creation) -> Result<Body, Refusal> {
    let mut definition = creation.definition;
    definition.env.clear();
    definition.notes = None;
    let json = serde_json::to_vec(&definition).expect("a definition has text keys only");
    Proposals::new(&definition, creation.seed)?;
    Ok(Body::SweepCreated {
        definition_hash: blake3::hash(&json).to_hex().to_string(),
        definition: Box::new(definition),
        file: creation.file,
        env: creation.env,
        notes: creation.notes,
        project: creation.project,
        seed: creation.seed,
        home: creation.home,
        paused: creation.paused,
        keep_going: creation.keep_going,
        origin: creation.origin.map(Box::new),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        lessons: creation.lessons.into(),
    })
}
