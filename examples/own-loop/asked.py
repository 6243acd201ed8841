#!/usr/bin/env python3
"""A sweep that is only asked: this loop runs its trials, two at a time, and tells swath what came of them."""
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def swath(*words):
    return subprocess.run(["swath", *words], check=True, text=True, stdout=subprocess.PIPE).stdout


def descend(lr, momentum):  # in a narrow valley: how far away its end is, step by step
    x, y, dx, dy = -1.0, 1.0, 0.0, 0.0
    for step in range(1, 41):
        dx, dy = momentum * dx - lr * x, momentum * dy - lr * 20 * y
        x, y = max(-9.0, min(9.0, x + dx)), max(-9.0, min(9.0, y + dy))
        yield step, (x * x + y * y) ** 0.5


def run(trial):
    for step, loss in list(descend(**trial["params"]))[4::5]:
        if json.loads(swath("tell", trial["run"], f"loss={loss}", "--step", str(step)))["stop"]:
            return swath("tell", trial["run"], "--state", "stopped")  # early_terminate has seen enough
    return swath("tell", trial["run"], "--state", "succeeded")


sweep = swath("sweep", "create", Path(__file__).with_name("asked.yaml"), "-q").strip()
while trials := [json.loads(line) for line in swath("ask", sweep, "-n", "2").splitlines()]:
    print(*ThreadPoolExecutor().map(run, trials), sep="", end="")
