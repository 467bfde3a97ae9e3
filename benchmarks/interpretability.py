"""What the microscope shows, how long it takes and how far it holds, beside the installed peers.

    python benchmarks/interpretability.py [--parts attention attributions mutagenesis motifs lac] [--threads 2]
                                          [--quick] [--out benchmarks/interpretability.json]

Each part runs in a process of its own, so that its peak memory is its own. Peers (captum, tangermeme, modisco-lite)
work on the same model, take turns with ours, and are named in the row; `pip install 'genomic_lens[motifs,peers]'`
brings them.
"""

import argparse
import json
import multiprocessing
import time
from importlib import import_module
from pathlib import Path

import torch
from targets import reached

PARTS = ("attention", "attributions", "mutagenesis", "motifs", "lac")


def measure(part: str, threads: int, quick: bool) -> list[dict]:
    """The rows of one part."""
    torch.set_num_threads(threads)
    return import_module(f"lens.{part}").measure(quick=quick)


def line(row: dict) -> str:
    """A row for the screen: what, value, unit, target and whether it is reached, note."""
    value = f"{row['value']:.4g}" if isinstance(row["value"], float) else str(row["value"])
    target = row.get("target", "")
    target = target and f"  (target {target}: {'reached' if reached(row['value'], target) else 'MISSED'})"
    note = f"  {row['note']}" if row.get("note") else ""
    return f"  {row['what']:<64} {value:>12} {row.get('unit', ''):<8}{target}{note}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found, context = {}, multiprocessing.get_context("spawn")
    for part in options.parts:
        start = time.perf_counter()
        with context.Pool(1) as pool:
            found[part] = pool.apply(measure, (part, options.threads, options.quick))
        print(f"{part} ({time.perf_counter() - start:.0f} s)")
        print(*map(line, found[part]), sep="\n", flush=True)
        if options.out:
            about = {"threads": options.threads, "quick": options.quick, "torch": torch.__version__}
            options.out.write_text(json.dumps({**about, "parts": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
