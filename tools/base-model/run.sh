#!/usr/bin/env bash
# Makes the embedded base model again, from nothing: material, three stages of training, export, gates.
# Resumable: run it again and it goes on where it stopped. The stages took 19 (vision, beside reading), 25 and 34 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-tools/base-model/build}
output=${2:-packages/benchmarks/models/iov-base}
export OMP_NUM_THREADS=1

[ -e "$build/task-unseen.jsonl" ] ||
  node --conditions @contextlora/source --import tsx tools/base-model/generate.ts "$build" 48000 1
# The tower learns to see while the decoder learns to read.
python3 tools/base-model/train.py "$build" vision &
vision=$!
python3 tools/base-model/train.py "$build" reading
wait "$vision"
OMP_NUM_THREADS=2 python3 tools/base-model/train.py "$build" language --threads 2
python3 tools/base-model/export.py "$build" "$output"
python3 tools/base-model/check.py "$build" "$output"
