#!/usr/bin/env python3
"""Tells three cultivars of wine apart by their nearest neighbours, and prints how often it is right: each wine is
judged by all others (leave one out)."""

import argparse
import csv
from collections import Counter
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data" / "wine.csv"

DISTANCES = {
    "manhattan": lambda a, b: sum(abs(x - y) for x, y in zip(a, b)),
    "euclidean": lambda a, b: sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5,
}


def load():
    with open(DATA, newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [[float(cell) for cell in row[1:]] for row in rows], [row[0] for row in rows]


def scaled(wines, scale):
    columns = []
    for column in zip(*wines):
        low, high, mean = min(column), max(column), sum(column) / len(column)
        deviation = (sum((x - mean) ** 2 for x in column) / len(column)) ** 0.5
        shift, width = {"none": (0, 1), "range": (low, high - low), "deviation": (mean, deviation)}[scale]
        columns.append([(x - shift) / width for x in column])
    return list(zip(*columns))


def vote(nearest, weighted):
    """The cultivar that most of the neighbours have; `nearest` holds (distance, cultivar)."""
    votes = Counter()
    for distance, cultivar in nearest:
        votes[cultivar] += 1 / (distance + 1e-9) if weighted else 1
    return votes.most_common(1)[0][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neighbours", type=int, default=5)
    parser.add_argument("--distance", choices=sorted(DISTANCES), default="euclidean")
    parser.add_argument("--scale", choices=["none", "range", "deviation"], default="deviation")
    parser.add_argument("--weighted", choices=["True", "False"], default="False", help="near ones count more")
    args = parser.parse_args()

    wines, cultivars = load()
    wines = scaled(wines, args.scale)
    distance = DISTANCES[args.distance]
    right = 0
    for i, wine in enumerate(wines):
        others = sorted((distance(wine, other), cultivars[j]) for j, other in enumerate(wines) if j != i)
        right += vote(others[: args.neighbours], args.weighted == "True") == cultivars[i]
    print(f"accuracy={right / len(wines):.4f}")


if __name__ == "__main__":
    main()
