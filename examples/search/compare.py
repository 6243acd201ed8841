#!/usr/bin/env python3
"""Random search, model-based search, and the latter with early stopping, at equal numbers of epochs: makes the table of
the README. Some minutes; `--seeds` and `--trials` say how many."""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

FILE = Path(__file__).resolve().parent / "sweep.yaml"
EPOCHS = 27
RULE = re.compile(r"^early_terminate:\n(  .*\n)+", re.MULTILINE)
#            method, whether runs are stopped
WAYS = {"random": ("random", False), "bayes": ("bayes", False), "bayes + asha": ("bayes", True)}


def swath(args, store, *words):
    command = [args.swath, *words, "--data-dir", str(Path(store) / "data")]
    return subprocess.run(command, cwd=FILE.parents[2], check=True, stdout=subprocess.PIPE, text=True).stdout


def curve(args, way, seed):
    """(epochs trained by then, best loss by then) after each trial of a sweep that may train as many epochs as the full
    trials of the others."""
    method, stops = WAYS[way]
    with tempfile.TemporaryDirectory() as store:
        file = Path(store) / "sweep.yaml"
        file.write_text(FILE.read_text() if stops else RULE.sub("", FILE.read_text()))
        trials = 6 * args.trials if stops else args.trials
        keys = ["--set", f"method={method}", "--set", f"run_cap={trials}", "--seed", str(seed)]
        swath(args, store, "run", str(file), *keys, "--progress", "none", "--quiet")
        listed = json.loads(swath(args, store, "trial", "list", "@last", "--limit", str(trials), "-o", "json"))["trials"]
    epochs, best, points = 0, float("inf"), []
    for trial in listed:
        epochs += int(trial.get("lastStep", 0)) or EPOCHS
        best = min([best] + [objective["value"] for objective in trial["objectives"] if "value" in objective])
        points.append((epochs, best))
    return points


def at(points, epochs):
    return min((best for spent, best in points if spent <= epochs), default=float("nan"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swath", default="swath")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    budgets = [EPOCHS * args.trials * k // 3 for k in (1, 2, 3)]
    print("| | " + " | ".join(f"{epochs} epochs" for epochs in budgets) + " |\n|---|---|---|---|")
    for way in WAYS:
        curves = [curve(args, way, seed) for seed in range(1, args.seeds + 1)]
        cells = []
        for epochs in budgets:
            values = [at(points, epochs) for points in curves]
            cells.append(f"{statistics.mean(values):.3f} ({min(values):.3f} .. {max(values):.3f})")
        print(f"| {way} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
