#!/usr/bin/env python3
"""Opens a run with TensorBoard's own reader and compares every value with metrics.jsonl.

Usage: python tools/check-tensorboard.py RUN (tensorboard 2.21.0)
"""
import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = Path(sys.argv[1])
events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
events.Reload()

expected = {}
step = 0
for line in (run / "metrics.jsonl").read_text().splitlines():
    entry = json.loads(line)
    task = entry.get("task")
    if entry["type"] == "step":
        step += 1
        for tag, key in (
            ("loss", "loss"),
            ("gradient norm", "gradientNorm"),
            ("learning rate", "learningRate"),
            ("tokens per step", "tokens"),
        ):
            expected.setdefault(f"{tag}/{task}", []).append((step, entry[key]))
    if entry["type"] == "evaluated":
        expected.setdefault(f"accuracy on {entry['test']}/{task}", []).append((step, entry["accuracy"]))

tags = events.Tags()["scalars"]
assert sorted(tags) == sorted(expected), sorted(set(tags) ^ set(expected))
for tag, values in expected.items():
    found = [(scalar.step, scalar.value) for scalar in events.Scalars(tag)]
    assert [at for at, _ in found] == [at for at, _ in values], tag
    for (_, got), (_, wanted) in zip(found, values):
        assert abs(got - wanted) <= 1e-6 * max(1, abs(wanted)), (tag, got, wanted)
print(f"{len(tags)} charts with {sum(map(len, expected.values()))} values, each as in metrics.jsonl")
