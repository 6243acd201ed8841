#!/usr/bin/env python3
"""Trains a small neural network to read handwritten digits and rounds its weights to few bits, as for a device with
little memory. Prints the share of digits that it misreads, the bytes that its weights take, and how many it reads of the
digit that it reads worst."""

import argparse
import csv
import math
import os
import random
from operator import mul
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "digits.csv"
CLASSES = 10


def load(pool):
    """Images as lists of numbers from 0 to 1, each the mean of pool x pool pixels, with their digits."""
    with open(DATA, newline="") as file:
        rows = [([int(p, 17) / 16 for p in row["pixels"]], int(row["label"])) for row in csv.DictReader(file)]
    corners = [8 * y + x for y in range(0, 8, pool) for x in range(0, 8, pool)]
    inside = [8 * y + x for y in range(pool) for x in range(pool)]
    return [([sum(image[c + i] for i in inside) / len(inside) for c in corners], label) for image, label in rows]


def layer(inputs, outputs, rng):
    return [[rng.gauss(0, 1 / math.sqrt(inputs)) for _ in range(inputs)] + [0.0] for _ in range(outputs)]


def forward(hidden, output, x):
    h = [math.tanh(sum(map(mul, w, x)) + w[-1]) for w in hidden]
    return h, [sum(map(mul, w, h)) + w[-1] for w in output]


def learn(hidden, output, x, label, rate):
    """One step downhill on the loss of one image."""
    h, scores = forward(hidden, output, x)
    top = max(scores)
    powers = [math.exp(s - top) for s in scores]
    total = sum(powers)
    errors = [p / total - (k == label) for k, p in enumerate(powers)]
    slopes = [sum(e * w[j] for e, w in zip(errors, output)) * (1 - v * v) for j, v in enumerate(h)]
    for weights, inputs, steps in ((output, h, errors), (hidden, x, slopes)):
        for k, step in enumerate(steps):
            moved = [w - rate * step * v for w, v in zip(weights[k], inputs)]
            weights[k] = moved + [weights[k][-1] - rate * step]


def rounded(weights, bits):
    """The weights of a layer on 2^bits - 1 levels from its smallest to its largest, with 0 among them."""
    largest = max(abs(w) for unit in weights for w in unit)
    step = largest / (2 ** (bits - 1) - 1)
    return [[round(w / step) * step for w in unit] for unit in weights]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=16, help="units in the hidden layer")
    parser.add_argument("--pool", type=int, default=1, choices=[1, 2], help="pixels of a side that become one")
    parser.add_argument("--bits", type=int, default=8, help="of a weight")
    parser.add_argument("--learning_rate", type=float, default=0.05)
    args = parser.parse_args()

    rng = random.Random(int(os.environ.get("SWATH_SEED", "0")))
    rows = load(args.pool)
    train, validation = rows[:1000], rows[1000:]
    hidden, output = layer(len(rows[0][0]), args.hidden, rng), layer(args.hidden, CLASSES, rng)
    for epoch in range(1, 7):
        rng.shuffle(train)
        for x, label in train:
            learn(hidden, output, x, label, args.learning_rate / epoch)
    hidden, output = rounded(hidden, args.bits), rounded(output, args.bits)

    right, seen = [0] * CLASSES, [0] * CLASSES
    for x, label in validation:
        scores = forward(hidden, output, x)[1]
        right[label] += scores.index(max(scores)) == label
        seen[label] += 1
    size = sum(len(unit) for unit in hidden + output) * args.bits / 8
    worst = min(r / s for r, s in zip(right, seen))
    print(f"error={1 - sum(right) / sum(seen):.4f} bytes={size:.0f} worst_digit={worst:.4f}")


if __name__ == "__main__":
    main()
