//! Anchors: what makes a line worth reading.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

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

/// The names that the sweep asks for, and the search that finds lines with any anchor at all.
#[derive(Debug)]
pub(super) struct Anchors {
    wanted: BTreeSet<String>,
    search: Option<AhoCorasick>,
}

impl Anchors {
    pub(super) fn new(wanted: &[String]) -> Anchors {
        let wanted: BTreeSet<String> =
            wanted.iter().filter(|name| !name.trim().is_empty()).cloned().collect();
        let words = WORDS.iter().copied().chain(STEP_WORDS.iter().map(|(word, _)| *word));
        let boosting = ["[0", "[1", "[2", "[3", "[4", "[5", "[6", "[7", "[8", "[9"];
        // The first word of a wanted name: the blanks after it may be printed in another number.
        let asked = wanted.iter().filter_map(|name| name.split_whitespace().next());
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words.chain(boosting).chain(asked))
            .ok();
        Anchors { wanted, search }
    }

    /// Where an anchor may begin at or after `from`. Without a search (names too many for one) anywhere.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        match &self.search {
            Some(search) => search.find(&bytes[from..]).map(|found| from + found.start()),
            None => (from < bytes.len()).then_some(from),
        }
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
