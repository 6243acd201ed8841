//! Anchors: what makes a line worth reading.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::{memchr2, memrchr};

/// Words of machine learning; a name counts when one of its parts is among them.
const WORDS: [&str; 38] = [
    "loss",
    "acc",
    "accuracy",
    "f1",
    "auc",
    "auroc",
    "precision",
    "recall",
    "error",
    "err",
    "rmse",
    "mae",
    "mse",
    "mape",
    "r2",
    "logloss",
    "perplexity",
    "ppl",
    "bleu",
    "rouge",
    "wer",
    "cer",
    "iou",
    "map",
    "ndcg",
    "mrr",
    "reward",
    "return",
    "score",
    "psnr",
    "ssim",
    "fid",
    "nll",
    "elbo",
    "kl",
    "dice",
    "top1",
    "top5",
];

/// The words that name a step; the first one of a line in this order gives it.
pub(super) const STEP_WORDS: [(&str, u8); 7] = [
    ("global_step", 0),
    ("steps", 1),
    ("step", 1),
    ("iteration", 2),
    ("iter", 2),
    ("round", 3),
    ("epoch", 4),
];

/// Names that are never metrics.
const NEVER: [&str; 16] = [
    "epoch",
    "ep",
    "step",
    "steps",
    "iter",
    "iteration",
    "global_step",
    "round",
    "it",
    "batch",
    "eta",
    "time",
    "elapsed",
    "pid",
    "port",
    "seed",
];

/// The rank of a name that gives a step, least first.
pub(super) fn step_rank(name: &str) -> Option<u8> {
    STEP_WORDS.iter().find(|(word, _)| name.eq_ignore_ascii_case(word)).map(|(_, rank)| *rank)
}

/// Whether the name is a step word, a time, a seed and such.
pub(super) fn is_never_a_metric(name: &str) -> bool {
    NEVER.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// A chunk below this is read line by line: most scripts print little, and never need the search to be built.
const SEARCHED_BYTES: usize = 4096;

/// The names that the sweep asks for, and the search that finds lines with any anchor at all.
#[derive(Debug)]
pub(super) struct Anchors {
    wanted: BTreeSet<String>,
    /// `None` inside: more names than it can hold.
    search: OnceLock<Option<Search>>,
}

/// What lines are worth reading at all.
#[derive(Debug)]
struct Search {
    /// Any anchor.
    anchors: AhoCorasick,
    /// What a line without `=` and `:` must have: a step or a wanted name. Seldom there, so found very fast.
    unseparated: AhoCorasick,
}

impl Anchors {
    pub(super) fn new(wanted: &[String]) -> Anchors {
        let wanted = wanted.iter().filter(|name| !name.trim().is_empty()).cloned().collect();
        Anchors { wanted, search: OnceLock::new() }
    }

    /// Where an anchor may begin at or after `from`.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        if bytes.len() >= SEARCHED_BYTES
            && let Some(search) = self.search.get_or_init(|| Search::new(&self.wanted))
        {
            return search.next(bytes, from);
        }
        (from < bytes.len()).then_some(from)
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = &str> {
        self.wanted.iter().map(String::as_str)
    }

    pub(super) fn is_wanted(&self, name: &str) -> bool {
        self.wanted.contains(name)
    }

    /// Whether the name alone makes its line count.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.is_wanted(name)
            || name
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|part| WORDS.iter().any(|word| part.eq_ignore_ascii_case(word)))
    }
}

impl Search {
    fn new(wanted: &BTreeSet<String>) -> Option<Search> {
        let boosting = ["[0", "[1", "[2", "[3", "[4", "[5", "[6", "[7", "[8", "[9"];
        let stepping = [
            "step", "Step", "STEP", "iter", "Iter", "ITER", "epoch", "Epoch", "EPOCH", "round", "Round",
            "ROUND",
        ];
        // The first word of a wanted name: the blanks after it may be printed in another number.
        let asked = || wanted.iter().filter_map(|name| name.split_whitespace().next());
        let words = WORDS.iter().copied().chain(STEP_WORDS.iter().map(|(word, _)| *word));
        let anchors = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words.chain(boosting).chain(asked()));
        let unseparated = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(stepping.into_iter().chain(boosting).chain(asked()));
        Some(Search { anchors: anchors.ok()?, unseparated: unseparated.ok()? })
    }

    fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let separated = memchr2(b'=', b':', &bytes[from..]).map(|at| from + at);
        let before = &bytes[from..separated.unwrap_or(bytes.len())];
        let candidate = self.unseparated.find(before).map(|found| from + found.start()).or(separated)?;
        let line = memrchr(b'\n', &bytes[from..candidate]).map_or(from, |end| from + end + 1);
        self.anchors.find(&bytes[line..]).map(|found| line + found.start())
    }
}
