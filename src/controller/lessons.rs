//! A new sweep that learns from earlier ones: a reader looks at those first, and the core goes on with what it found.

use std::collections::BTreeMap;

use crate::controller::clock::Now;
use crate::controller::core::Core;
use crate::controller::handle::{Answer, Message};
use crate::controller::pending::{Asked, Job};
use crate::controller::readers::Library;
use crate::controller::{Refused, RefusedKind, create};
use crate::pb;
use crate::spec::{Code, Definition, Method};
use crate::sweep::{Lesson, Lessons, State, SweepId, lessons};

/// A sweep that is about to be created.
#[derive(Debug)]
pub(super) struct Pupil {
    pub(super) request: pb::CreateSweepRequest,
    pub(super) definition: Definition,
    /// Warnings and notes of its file.
    pub(super) notes: Vec<String>,
    pub(super) lessons: Vec<Lesson>,
    /// What the lessons are, in words.
    pub(super) learned: Vec<String>,
}

impl Core {
    /// Creates a sweep, at once or when its lessons have been read.
    pub(super) fn asked_to_create(&mut self, request: pb::CreateSweepRequest, asked: Asked, now: Now) {
        let (definition, notes) = match create::read(&request) {
            Ok(read) => read,
            Err(refused) => return self.answer(asked.reply, Err(refused)),
        };
        let mut from = Vec::new();
        for name in &definition.from {
            match self.directory.find(name) {
                Ok(id) if from.contains(&id) => {}
                Ok(id) => from.push(id),
                Err(refused) => return self.answer(asked.reply, Err(refused.at("from"))),
            }
        }
        let pupil = Box::new(Pupil { request, definition, notes, lessons: Vec::new(), learned: Vec::new() });
        if from.is_empty() || pupil.definition.method != Method::Bayes {
            return self.taught(pupil, asked, Ok(()), now);
        }
        self.read(Job::Teach { pupil, from, asked: Box::new(asked) });
    }

    /// A reader has read the lessons.
    pub(super) fn taught(&mut self, pupil: Box<Pupil>, asked: Asked, read: Result<(), Refused>, now: Now) {
        let Asked { call, actor, reply } = asked;
        if self.is_ending {
            return self.answer(reply, Err(Refused::gone()));
        }
        if let Err(refused) = read {
            return self.answer(reply, Err(refused));
        }
        let id = pupil.request.request_id.clone();
        let answer = self.once(&actor, &id, &call, now, |core, who| {
            create::create(core, *pupil, who, now).map(Answer::CreateSweep)
        });
        self.answer(reply, answer);
    }
}

impl Library {
    /// Reads what earlier sweeps teach, and hands it to the core.
    pub(super) fn teach(&self, mut pupil: Box<Pupil>, from: &[SweepId], asked: Box<Asked>) {
        let read = self.read_lessons(&mut pupil, from);
        // A core that has ended answers nobody.
        let _ = self.mailbox.push(Message::Taught { pupil, asked, read });
    }

    fn read_lessons(&self, pupil: &mut Pupil, from: &[SweepId]) -> Result<(), Refused> {
        for id in from {
            let earlier = self.loaded(*id)?.state;
            let Lessons { taken, outside } =
                lessons(&earlier, &pupil.definition, from.len()).map_err(|why| {
                    let what = format!("nothing can be learned from sweep {id}: {why}");
                    Refused::new(RefusedKind::InvalidArgument, Code::NoLesson, what)
                        .at("from")
                        .with_help("take it out of 'from'")
                })?;
            let mut words =
                format!("learns from {} of {id} ({})", trials(taken.len()), earlier.definition().name);
            if outside > 0 {
                words.push_str(&format!("; {outside} more have a value outside this space"));
            }
            pupil.learned.push(words);
            pupil.lessons.extend(taken);
        }
        Ok(())
    }
}

/// `25 trials of k3v9x2ma`, one a sweep.
pub(super) fn words(state: &State) -> Vec<String> {
    let mut counts: BTreeMap<SweepId, usize> = BTreeMap::new();
    for lesson in state.lessons() {
        *counts.entry(lesson.from).or_default() += 1;
    }
    counts.iter().map(|(id, count)| format!("{} of {id}", trials(*count))).collect()
}

fn trials(count: usize) -> String {
    if count == 1 { "1 trial".to_owned() } else { format!("{count} trials") }
}
