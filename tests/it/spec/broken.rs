//! Broken files, each with every error's exact code, line and column.

use swath::spec::Code::{self, *};

use super::found;

/// What a file says, and every error and warning of it.
type Case = (&'static str, &'static [(Code, usize, usize)]);

const HEAD: &str = "program: t.py\nmethod: random\n";

/// Files that begin with a program and `method: random`: the rest begins on line 3.
const CASES: [Case; 32] = [
    ("paramters:\n  a: {value: 1}\n", &[(UnknownKey, 3, 1)]),
    ("parameters:\n  a: {vales: [1]}\n", &[(UnknownKey, 4, 7)]),
    ("parameters:\n  a: {min: 1}\n", &[(NoForm, 4, 7)]),
    ("parameters:\n  a: {value: 1, values: [1]}\n", &[(NoForm, 4, 7)]),
    ("parameters:\n  a: {values: [1], desc: x}\n", &[(UnknownKey, 4, 20)]),
    (
        "parameters:\n  a: {min: 2, max: 1}\n  b: {min: 1, max: 1}\n",
        &[(MinAboveMax, 4, 12), (MinIsMax, 5, 12)],
    ),
    ("parameters:\n  a: {min: x, max: 1}\n", &[(WrongKind, 4, 12)]),
    ("parameters:\n  a: {distribution: gauss}\n", &[(UnknownDistribution, 4, 21)]),
    ("parameters:\n  a: {distribution: norml}\n", &[(UnknownDistribution, 4, 21)]),
    ("parameters:\n  a: {distribution: normal, min: 1}\n", &[(NoForm, 4, 29)]),
    ("parameters:\n  a: {distribution: normal, sigma: -1}\n", &[(OutOfRange, 4, 36)]),
    ("parameters:\n  a: {distribution: q_uniform, min: 0, max: 1, q: 0}\n", &[(BadStep, 4, 51)]),
    ("parameters:\n  a: {distribution: int_uniform, min: 1.0, max: 2}\n", &[(WrongKind, 4, 39)]),
    ("parameters:\n  a: {values: [1, 2], probabilities: [0.5]}\n", &[(BadProbabilities, 4, 38)]),
    ("parameters:\n  a: 3\n", &[(ParameterNotMapping, 4, 6)]),
    ("parameters: []\n", &[(WrongKind, 3, 13)]),
    ("parameters: {}\n", &[(NoParameters, 3, 1)]),
    ("parameters: {g: {parameters: {a: {value: 1}}, x: 1}}\n", &[(NoForm, 3, 47)]),
    ("parameters: {a: {value: 1}}\nmetric: loss\n", &[(WrongKind, 4, 9)]),
    ("parameters: {a: {value: 1}}\nmetric: {name: loss, goal: max}\n", &[(NotAllowed, 4, 28)]),
    ("parameters: {a: {value: 1}}\nmetric: {nam: loss}\n", &[(UnknownKey, 4, 10)]),
    ("parameters: {a: {value: 1}}\nrun_cap: 0\nparallel: two\n", &[(OutOfRange, 4, 10), (WrongKind, 5, 11)]),
    ("parameters: {a: {value: 1}}\ngrace: 10\n", &[(BadDuration, 4, 8)]),
    (
        "parameters: {a: {value: 1}}\nresources: {gpus: 1.5, gpu_memory: 8}\n",
        &[(OutOfRange, 4, 19), (BadBytes, 4, 36)],
    ),
    ("parameters: {a: {value: 1}}\nbudget: {hours: 1}\n", &[(UnknownKey, 4, 10)]),
    ("parameters: {a: {value: 1}}\ncommand: python t.py\n", &[(BadCommand, 4, 10)]),
    (
        "parameters: {a: {value: 1}}\nearly_terminate: {type: hyperband, min_iter: 3}\n",
        &[(NeedsMetric, 4, 19)],
    ),
    ("parameters: {a: {value: !!python/name:x 1}}\n", &[(UnknownTag, 3, 41)]),
    ("parameters: {a: {value: 1}, a: {value: 2}}\n", &[(DuplicateKey, 3, 29)]),
    (
        "parameters: {a: {value: 1}}\nenqueue: [{a: 2}, {b: 1}]\n",
        &[(OutsideSpace, 4, 15), (OutsideSpace, 4, 23)],
    ),
    ("parameters: {a: {value: {{ x }}}}\n", &[(BadKey, 3, 26)]),
    (
        "parameters: {a: {value: 1}}\nseed: -1\norder: random\nretries: x\n",
        &[(OutOfRange, 4, 7), (NotAllowed, 5, 8), (WrongKind, 6, 10)],
    ),
];

#[test]
fn every_error_has_its_code_and_place() {
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|(text, expected)| {
            let found = found(&format!("{HEAD}{text}"));
            (found != *expected).then(|| format!("{text}  {found:?}\n  {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
