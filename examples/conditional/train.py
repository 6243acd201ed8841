#!/usr/bin/env python3
"""Tells malignant from benign tumours by one of two models, each with settings of its own. A group of settings comes
as one option, a Python dict as W&B writes it: --forest={'depth': 3, 'trees': 20}. Prints accuracy and log loss."""

import argparse
import ast
import csv
import math
import os
import random
from operator import mul
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "breast_cancer.csv"


def load(rng):
    """Two thirds for training, one for validation, columns scaled to mean 0 and deviation 1."""
    with open(DATA, newline="") as file:
        rows = list(csv.reader(file))[1:]
    columns = []
    for column in zip(*[map(float, row[1:]) for row in rows]):
        mean = sum(column) / len(column)
        deviation = (sum((x - mean) ** 2 for x in column) / len(column)) ** 0.5
        columns.append([(x - mean) / deviation for x in column])
    cases = list(zip(zip(*columns), (int(row[0]) for row in rows)))
    rng.shuffle(cases)
    return cases[:380], cases[380:]


def logistic(train, settings, rng):
    """Logistic regression. `strength` is there only with the penalty l2."""
    rate, strength = settings["learning_rate"], settings.get("strength", 0.0)
    weights, bias = [0.0] * len(train[0][0]), 0.0

    def predict(x):
        score = max(-30.0, min(30.0, sum(map(mul, weights, x)) + bias))
        return 1 / (1 + math.exp(-score))

    for _ in range(30):
        rng.shuffle(train)
        for x, y in train:
            step = rate * (predict(x) - y)
            weights = [w * (1 - rate * strength) - step * v for w, v in zip(weights, x)]
            bias -= step
    return predict


def grow(cases, depth, features, rng):
    """A decision tree: (feature, threshold, left, right), or at a leaf the share of malignant cases."""
    share = sum(y for _, y in cases) / len(cases)
    if depth == 0 or share in (0, 1):
        return share
    best = None
    for feature in rng.sample(range(len(cases[0][0])), features):
        ordered = sorted((x[feature], y) for x, y in cases)
        total, left = sum(y for _, y in ordered), 0
        for i in range(1, len(ordered)):
            left += ordered[i - 1][1]
            if ordered[i][0] != ordered[i - 1][0]:
                right, n = total - left, len(ordered) - i
                impurity = left * (i - left) / i + right * (n - right) / n
                if best is None or impurity < best[0]:
                    best = impurity, feature, (ordered[i][0] + ordered[i - 1][0]) / 2
    if best is None:
        return share
    _, feature, threshold = best
    sides = [c for c in cases if c[0][feature] < threshold], [c for c in cases if c[0][feature] >= threshold]
    return (feature, threshold, *(grow(side, depth - 1, features, rng) for side in sides))


def forest(train, settings, rng):
    """Trees on samples of the cases; their mean is the prediction."""
    trees = [
        grow(rng.choices(train, k=len(train)), settings["depth"], settings["features"], rng)
        for _ in range(settings["trees"])
    ]

    def predict(x):
        total = 0.0
        for tree in trees:
            while isinstance(tree, tuple):
                tree = tree[2] if x[tree[0]] < tree[1] else tree[3]
            total += tree
        return total / len(trees)

    return predict


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["logistic", "forest"], required=True)
    parser.add_argument("--logistic", type=ast.literal_eval, help="{'learning_rate': .., 'penalty': .., 'strength': ..}")
    parser.add_argument("--forest", type=ast.literal_eval, help="{'depth': .., 'features': .., 'trees': ..}")
    args = parser.parse_args()

    train, validation = load(random.Random(1))
    rng = random.Random(int(os.environ.get("SWATH_SEED", "0")))
    predict = forest(train, args.forest, rng) if args.model == "forest" else logistic(train, args.logistic, rng)

    loss = right = 0
    for x, y in validation:
        p = min(max(predict(x), 0.001), 0.999)
        loss -= math.log(p if y else 1 - p)
        right += (p >= 0.5) == y
    print(f"val_loss={loss / len(validation):.4f} val_acc={right / len(validation):.4f}")


if __name__ == "__main__":
    main()
