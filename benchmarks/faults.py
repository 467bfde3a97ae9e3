"""A training that is killed twenty times, at moments by chance, against one that is not.

    python benchmarks/faults.py [--kills 20] [--seed 0] [--out benchmarks/faults.json]

Every place of `tests/training/faults.py` has its turn: between two batches of a step, within a checkpoint at each stage
of its writing, while an old one is deleted, and by the clock. Counted are the steps that were made again; at the end
the files of both trainings are compared byte by byte.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.training.faults import BY_THE_CLOCK, OPTIONS, PLACES, faulty  # noqa: E402

FURTHEST = 7  # steps after the last checkpoint


def moments(kills: int, seed: int) -> list[tuple[str, int]]:
    """Places in turn, in random order, each some steps after the last checkpoint."""
    generator = np.random.default_rng(seed)
    places = [(*PLACES, BY_THE_CLOCK)[number % (len(PLACES) + 1)] for number in range(kills)]
    return [(place, int(generator.integers(1, FURTHEST + 1))) for place in generator.permutation(places).tolist()]


def same_files(first: Path, second: Path) -> bool:
    """Whether both folders hold the same files, byte by byte."""
    files = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (first, second)]
    return files[0] == files[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    epochs = -(-options.kills * FURTHEST // 6) + 1
    with tempfile.TemporaryDirectory() as folder:
        killed, straight = Path(folder, "killed"), Path(folder, "straight")
        rows = faulty(killed, epochs, moments(options.kills, options.seed))
        faulty(straight, epochs, [])
        same = same_files(killed / "model", straight / "model")
        same_log = (killed / "log.csv").read_bytes() == (straight / "log.csv").read_bytes()
    for row in rows:
        print(f"{row['place']:32} step {row['step']:4}  {row['repeated']} repeated")
    kills = sum(row["killed"] for row in rows)
    most = max(row["repeated"] for row in rows)
    print(f"\n{kills} kills; at most {most} steps repeated, save_steps is {OPTIONS['save_steps']}")
    print(f"final weights {'identical' if same else 'DIFFER'}, table {'identical' if same_log else 'DIFFERS'}")
    if options.out:
        summary = {"kills": kills, "most_repeated": most, "save_steps": OPTIONS["save_steps"]}
        summary |= {"same_weights": same, "same_table": same_log, "rows": rows}
        options.out.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
