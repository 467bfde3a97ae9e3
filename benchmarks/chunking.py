"""The scan that smooths chunks, by blocks, against a loop over positions.

    python benchmarks/chunking.py [--chunks 4096] [--channels 128] [--threads 2] [--runs 10] [--out FILE]

Forward and backward in one process; the two take turns. The loop is run twice only.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import torch

from genomic_lens.model.chunks.smoothing import BLOCK, SURE, smooth


def by_loop(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The definition."""
    weights, state, states = weights.clamp(SURE, 1 - SURE), torch.zeros_like(values[:, 0]), []
    for value, weight in zip(values.unbind(1), weights.unbind(1), strict=True):
        state = weight[:, None] * value + (1 - weight[:, None]) * state
        states.append(state)
    return torch.stack(states, 1)


def seconds(function, values: torch.Tensor, weights: torch.Tensor) -> tuple[float, float]:
    """Of the forward pass, and of both."""
    start = time.perf_counter()
    out = function(values, weights)
    middle = time.perf_counter()
    out.square().sum().backward()
    return middle - start, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=4096)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    values = torch.randn(1, options.chunks, options.channels, requires_grad=True)
    weights = torch.rand(1, options.chunks, requires_grad=True)
    seconds(smooth, values, weights)
    found = {"by blocks": [], "by a loop": []}
    for run in range(options.runs):
        found["by blocks"].append(seconds(smooth, values, weights))
        if run < 2:
            found["by a loop"].append(seconds(by_loop, values, weights))
    rows = []
    for way, times in found.items():
        forward, both = (1e3 * median(column) for column in zip(*times, strict=True))
        rows.append({"way": way, "forward_ms": forward, "both_ms": both})
    about = {"chunks": options.chunks, "channels": options.channels, "threads": options.threads, "block": BLOCK}
    print(f"{options.chunks:,} chunks of {options.channels} channels, {options.threads} threads, blocks of {BLOCK}")
    for row in rows:
        print(f"{row['way']:10} forward {row['forward_ms']:9.1f} ms, with backward {row['both_ms']:9.1f} ms")
    if options.out:
        options.out.write_text(json.dumps({**about, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
