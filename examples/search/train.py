#!/usr/bin/env python3
"""Trains a small neural network on images of handwritten digits, 4 x 4 pixels each: one hidden layer, stochastic gradient
descent with momentum, no package but Python's own. It takes its settings as options and prints what it reaches."""

import argparse
import csv
import math
import random
from operator import mul
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "digits.csv"
CLASSES = 10


def load():
    """The images as lists of 16 numbers from 0 to 1, each the mean of 4 pixels; the last 300 are for validation."""
    with open(DATA, newline="") as file:
        rows = [([int(p, 17) / 16 for p in row["pixels"]], int(row["label"])) for row in csv.DictReader(file)]
    corners = [16 * i + 2 * j for i in range(4) for j in range(4)]
    small = [([(x[c] + x[c + 1] + x[c + 8] + x[c + 9]) / 4 for c in corners], label) for x, label in rows]
    return small[:300], small[-300:]


class Layer:
    """Weights, one row a unit with its bias last, and the speed of each."""

    def __init__(self, units, inputs, spread, rng):
        self.rows = [[rng.gauss(0, spread / math.sqrt(inputs)) for _ in range(inputs)] + [0.0] for _ in range(units)]
        self.speed = [[0.0] * (inputs + 1) for _ in range(units)]

    def sums(self, x):
        return [sum(map(mul, w, x)) + w[-1] for w in self.rows]

    def learn(self, x, errors, args, rate):
        for w, v, error in zip(self.rows, self.speed, errors):
            v[:] = [args.momentum * s - rate * (error * a + args.weight_decay * b) for s, a, b in zip(v, x + [1.0], w)]
            w[:] = map(sum, zip(w, v))


def softmax(scores):
    top = max(scores)
    powers = [math.exp(s - top) for s in scores]
    total = sum(powers)
    return [p / total for p in powers]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--hidden", type=int, default=16, help="units in the hidden layer")
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument("--momentum", type=float, default=0.5)
    parser.add_argument("--slowdown", type=float, default=1.0, help="factor on the learning rate after each epoch")
    parser.add_argument("--weight_decay", type=float, default=1e-5)
    parser.add_argument("--noise", type=float, default=0.0, help="deviation of what is added to each pixel in training")
    parser.add_argument("--spread", type=float, default=1.0, help="of the first weights")
    args = parser.parse_args()

    rng = random.Random(0)
    train, validation = load()
    hidden, output = Layer(args.hidden, 16, args.spread, rng), Layer(CLASSES, args.hidden, args.spread, rng)
    rate = args.learning_rate
    for epoch in range(1, args.epochs + 1):
        rng.shuffle(train)
        for x, label in train:
            x = [p + rng.gauss(0, args.noise) for p in x]
            h = [math.tanh(s) for s in hidden.sums(x)]
            errors = [p - (k == label) for k, p in enumerate(softmax(output.sums(h)))]
            back = [sum(e * w[j] for e, w in zip(errors, output.rows)) for j in range(len(h))]
            output.learn(h, errors, args, rate)
            hidden.learn(x, [b * (1 - v * v) for b, v in zip(back, h)], args, rate)
        loss = 0.0
        for x, label in validation:
            probabilities = softmax(output.sums([math.tanh(s) for s in hidden.sums(x)]))
            loss -= math.log(max(probabilities[label], 1e-12)) / len(validation)
        print(f"epoch {epoch} val_loss={loss:.4f}", flush=True)
        if not loss < 20:
            return
        rate *= args.slowdown


if __name__ == "__main__":
    main()
