"""Softmax regression on Fisher's irises, tracked with Weights & Biases. Needs `pip install wandb`."""

import argparse
import csv
import math
import random
from pathlib import Path

import wandb

DATA = Path(__file__).resolve().parent.parent / "data" / "iris.csv"
SPECIES = ["setosa", "versicolor", "virginica"]


def load():
    with open(DATA, newline="") as file:
        rows = list(csv.reader(file))[1:]
    flowers = [([float(cell) for cell in row[1:]] + [1.0], SPECIES.index(row[0])) for row in rows]
    random.Random(1).shuffle(flowers)
    return flowers[:100], flowers[100:]


def probabilities(weights, x):
    scores = [sum(w * v for w, v in zip(row, x)) for row in weights]
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def loss(weights, flowers):
    return -sum(math.log(max(probabilities(weights, x)[y], 1e-12)) for x, y in flowers) / len(flowers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--l2", type=float, default=0.0)
    args = parser.parse_args()

    wandb.init(project="irises", config=vars(args))
    config = wandb.config
    train, validation = load()
    weights = [[0.0] * 5 for _ in SPECIES]
    for epoch in range(config.epochs):
        for x, y in train:
            for k, p in enumerate(probabilities(weights, x)):
                step = config.lr * (p - (k == y))
                weights[k] = [w * (1 - config.lr * config.l2) - step * v for w, v in zip(weights[k], x)]
        right = sum(max(range(3), key=probabilities(weights, x).__getitem__) == y for x, y in validation)
        wandb.log({
            "epoch": epoch,
            "train_loss": loss(weights, train),
            "val_loss": loss(weights, validation),
            "val_acc": right / len(validation),
        })
    wandb.finish()


if __name__ == "__main__":
    main()
