#!/usr/bin/env python3
"""Trains a small neural network on images of handwritten digits: one hidden layer, stochastic gradient descent, no
package but Python's own. It knows nothing of swath: it takes its settings as options and prints what it reaches."""

import argparse
import csv
import math
import os
import random
from operator import mul
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "digits.csv"
CLASSES = 10


def load():
    """The images as lists of 64 numbers from 0 to 1, each with its digit; the last 300 are for validation."""
    with open(DATA, newline="") as file:
        rows = [([int(p, 17) / 16 for p in row["pixels"]], int(row["label"])) for row in csv.DictReader(file)]
    return rows[:1000], rows[-300:]


class Network:
    def __init__(self, inputs, hidden, activation, rng):
        self.relu = activation == "relu"
        self.hidden = [self.weights(inputs, rng) for _ in range(hidden)]
        self.output = [self.weights(hidden, rng) for _ in range(CLASSES)]

    @staticmethod
    def weights(inputs, rng):
        """Those of one unit, its bias last."""
        return [rng.gauss(0, 1 / math.sqrt(inputs)) for _ in range(inputs)] + [0.0]

    def forward(self, x):
        """What the hidden units give, and the probability of each class."""
        sums = [sum(map(mul, w, x)) + w[-1] for w in self.hidden]
        h = [max(0.0, s) if self.relu else math.tanh(s) for s in sums]
        scores = [sum(map(mul, w, h)) + w[-1] for w in self.output]
        top = max(scores)
        powers = [math.exp(s - top) for s in scores]
        total = sum(powers)
        return h, [p / total for p in powers]

    def learn(self, x, label, rate, decay):
        """One step downhill on the loss of one image."""
        h, probabilities = self.forward(x)
        errors = [p - (k == label) for k, p in enumerate(probabilities)]
        back = [sum(e * w[j] for e, w in zip(errors, self.output)) for j in range(len(h))]
        self.output = [descend(w, h, rate * e, decay) for w, e in zip(self.output, errors)]
        for j, (value, slope) in enumerate(zip(h, back)):
            slope *= (value > 0) if self.relu else 1 - value * value
            if slope:
                self.hidden[j] = descend(self.hidden[j], x, rate * slope, decay)


def descend(weights, inputs, step, decay):
    """The weights moved against the gradient and drawn a little towards zero; the bias is not drawn."""
    moved = [w * decay - step * x for w, x in zip(weights, inputs)]
    moved.append(weights[-1] - step)
    return moved


def validate(network, rows):
    loss = right = 0
    for x, label in rows:
        _, probabilities = network.forward(x)
        loss -= math.log(max(probabilities[label], 1e-12))
        right += max(range(CLASSES), key=probabilities.__getitem__) == label
    return loss / len(rows), right / len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--hidden", type=int, default=16, help="units in the hidden layer")
    parser.add_argument("--activation", choices=["relu", "tanh"], default="relu")
    parser.add_argument("--learning_rate", type=float, default=0.05)
    parser.add_argument("--slowdown", type=float, default=1.0, help="factor on the learning rate after each epoch")
    parser.add_argument("--weight_decay", type=float, default=0.0)
    args = parser.parse_args()

    rng = random.Random(int(os.environ.get("SWATH_SEED", "0")))
    train, validation = load()
    network = Network(64, args.hidden, args.activation, rng)
    rate = args.learning_rate
    for epoch in range(1, args.epochs + 1):
        rng.shuffle(train)
        for x, label in train:
            network.learn(x, label, rate, 1 - rate * args.weight_decay)
        loss, accuracy = validate(network, validation)
        print(f"epoch {epoch} val_loss={loss:.4f} val_acc={accuracy:.4f}", flush=True)
        rate *= args.slowdown


if __name__ == "__main__":
    main()
