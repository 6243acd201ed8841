#!/usr/bin/env python3
"""A search from a loop of one's own: the kind of a wine by its neighbours, judged by leaving each one out."""
import csv
import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
rows = [[float(x) for x in row] for row in list(csv.reader(open(HERE.parent / "data" / "wine.csv")))[1:]]
widths = [max(column) - min(column) for column in zip(*rows)][1:]


def error(neighbours, power, decay):
    wrong = 0
    for one in rows[::3]:
        far = sorted((sum((abs(a - b) / w) ** power for a, b, w in zip(one[1:], other[1:], widths)), other[0])
                     for other in rows if other is not one)
        votes = {kind: sum((d + 1e-9) ** -decay for d, k in far[:neighbours] if k == kind) for kind in (1, 2, 3)}
        wrong += max(votes, key=votes.get) != one[0]
    return wrong / len(rows[::3])


with subprocess.Popen(["swath", "optimize", HERE / "space.yaml"], text=True, bufsize=1,
                      stdin=subprocess.PIPE, stdout=subprocess.PIPE) as swath:
    for _ in range(30):
        print('{"op": "ask"}', file=swath.stdin)
        (trial,) = json.loads(swath.stdout.readline())["trials"]
        value = error(**trial["params"])
        print(json.dumps({"op": "tell", "id": trial["id"], "value": value}), file=swath.stdin)
        print(f"{json.loads(swath.stdout.readline())} {value:.4f} {trial}")
    swath.stdin.close()
