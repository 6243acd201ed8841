#!/usr/bin/env python3
"""Boosts decision stumps on the breast cancer data, in a world where the machine is not to be trusted: now and then the
process dies in the middle. It keeps what it has learned in its checkpoint folder, and the next attempt goes on there."""

import argparse
import csv
import json
import math
import os
import random
import signal
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "breast_cancer.csv"
CHECKPOINT = Path(os.environ.get("SWATH_CHECKPOINT_DIR", "."), "stumps.json")
SEED = os.environ.get("SWATH_SEED", "0")
ATTEMPT = os.environ.get("SWATH_ATTEMPT", "1")


def load():
    with open(DATA, newline="") as file:
        cases = [([float(cell) for cell in row[1:]], int(row[0])) for row in list(csv.reader(file))[1:]]
    random.Random(1).shuffle(cases)
    return cases[:380], cases[380:]


def restore():
    """The stumps of an earlier attempt; none in the first."""
    return json.loads(CHECKPOINT.read_text()) if CHECKPOINT.exists() else []


def save(stumps):
    """Written beside and moved into place, so that a crash never leaves half a file."""
    new = CHECKPOINT.with_suffix(".new")
    new.write_text(json.dumps(stumps))
    os.replace(new, CHECKPOINT)


def report(step, **metrics):
    with open(os.environ.get("SWATH_METRICS", os.devnull), "a") as file:
        file.write(json.dumps({"step": step, **metrics}) + "\n")


def probability(score):
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def give(stump, x):
    feature, threshold, below, above = stump
    return below if x[feature] < threshold else above


def fit(train, errors, cuts, columns, smoothing):
    """The stump that lessens the errors most: each side gives the (smoothed) mean error of its cases."""
    best = None
    for feature in columns:
        for threshold in cuts[feature]:
            sums, counts = [0.0, 0.0], [0, 0]
            for (x, _), error in zip(train, errors):
                side = x[feature] >= threshold
                sums[side] += error
                counts[side] += 1
            gain = sum(s * s / (n + smoothing) for s, n in zip(sums, counts))
            if best is None or gain > best[0]:
                best = gain, [feature, threshold, *(s / (n + smoothing) for s, n in zip(sums, counts))]
    return best[1]


def loss(scores, cases):
    return -sum(math.log(probability(s if y else -s)) for s, (_, y) in zip(scores, cases)) / len(cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--shrinkage", type=float, default=0.3, help="how much of each stump counts")
    parser.add_argument("--smoothing", type=float, default=1.0)
    parser.add_argument("--columns", type=int, default=8, help="features tried in each round")
    args = parser.parse_args()

    chance = random.Random(f"{SEED} {ATTEMPT}")
    crash_after = chance.randrange(1, args.rounds) if chance.random() < 0.5 else None

    train, validation = load()
    cuts = [sorted(column)[20::40] for column in zip(*(x for x, _ in train))]
    stumps = restore()
    if stumps:
        print(f"attempt {ATTEMPT} goes on after round {len(stumps)}")

    def scores(cases):
        return [args.shrinkage * sum(give(stump, x) for stump in stumps) for x, _ in cases]

    for step in range(len(stumps) + 1, args.rounds + 1):
        errors = [y - probability(s) for s, (_, y) in zip(scores(train), train)]
        columns = random.Random(f"{SEED} columns {step}").sample(range(len(cuts)), args.columns)
        stumps.append(fit(train, errors, cuts, columns, args.smoothing))
        save(stumps)
        report(step, val_loss=round(loss(scores(validation), validation), 4))
        if step == crash_after:
            print(f"attempt {ATTEMPT} dies after round {step}", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
