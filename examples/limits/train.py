#!/usr/bin/env python3
"""A test for cancer that must miss nearly none: logistic regression, cross-validated in five folds. Prints the precision
(how many of the alarms are right) and the recall (how many of the tumours are found)."""

import argparse
import csv
import math
import os
import random
from operator import mul
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "breast_cancer.csv"
FOLDS = 5


def load():
    with open(DATA, newline="") as file:
        rows = list(csv.reader(file))[1:]
    columns = []
    for column in zip(*[map(float, row[1:]) for row in rows]):
        mean = sum(column) / len(column)
        deviation = (sum((x - mean) ** 2 for x in column) / len(column)) ** 0.5
        columns.append([(x - mean) / deviation for x in column])
    cases = list(zip(zip(*columns), (int(row[0]) for row in rows)))
    random.Random(1).shuffle(cases)
    return cases


def fit(train, args, rng):
    weights, bias = [0.0] * len(train[0][0]), 0.0
    for _ in range(args.epochs):
        rng.shuffle(train)
        for x, malignant in train:
            score = max(-30.0, min(30.0, sum(map(mul, weights, x)) + bias))
            error = 1 / (1 + math.exp(-score)) - malignant
            step = args.learning_rate * error * (args.weight if malignant else 1.0)
            weights = [w * (1 - args.learning_rate * args.decay) - step * v for w, v in zip(weights, x)]
            bias -= step
    return weights, bias


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument("--decay", type=float, default=0.01)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--weight", type=float, default=1.0, help="how much more a malignant case counts")
    parser.add_argument("--threshold", type=float, default=0.5, help="alarm from this probability on")
    args = parser.parse_args()

    rng = random.Random(int(os.environ.get("SWATH_SEED", "0")))
    cases = load()
    limit = math.log(args.threshold / (1 - args.threshold))
    alarms = found = tumours = 0
    for fold in range(FOLDS):
        weights, bias = fit([case for i, case in enumerate(cases) if i % FOLDS != fold], args, rng)
        for x, malignant in cases[fold::FOLDS]:
            alarm = sum(map(mul, weights, x)) + bias >= limit
            alarms += alarm
            found += alarm and malignant
            tumours += malignant
    print(f"precision={found / max(alarms, 1):.4f} recall={found / tumours:.4f}")


if __name__ == "__main__":
    main()
