"""How well models that are trained from scratch predict, beside what counting words reaches.

    python benchmarks/accuracy.py [--tasks splice mouse_2 mouse_4 prom_300_tata ctcf_pu1 genome] [--seeds 3]
                                  [--data ../shared/data] [--out benchmarks/accuracy.json]

`splice` and `genome` work on data that ship with the package; the others read files of GUE and ChIP peaks in a folder
(`GENOMIC_LENS_SHARED` names the one above it), which are not part of the project, and are left out where they are
missing. Every model sees the training part alone, reads the test part once, and gets under five CPU-minutes on one
thread.
"""

import argparse
import json
import os
from importlib import import_module
from pathlib import Path
from statistics import fmean

import pandas as pd
import torch
from targets import reached

TASKS = {  # task: its script
    "splice": "splice",
    "mouse_2": "tables",
    "mouse_4": "tables",
    "prom_300_tata": "tables",
    "ctcf_pu1": "tables",
    "genome": "genome",
}
GOALS = {  # task: score and target of the mean over seeds
    "mouse_2": ("mcc", ">= 0.77"),  # published CNN 0.75; the standard error on its 328 test rows is 0.04
    "mouse_4": ("mcc", ">= 0.43"),
    "prom_300_tata": ("mcc", ">= 0.62"),  # published CNN 0.60
    "ctcf_pu1": ("auroc", ">= 0.98"),
}
SHARED = Path(__file__).resolve().parents[1] / os.environ.get("GENOMIC_LENS_SHARED", "../shared")


def summary(rows: list[dict]) -> pd.DataFrame:
    """Mean, lowest and highest of each score over seeds or folds, and CPU seconds of one training."""
    table = pd.DataFrame(rows)
    numbers = [name for name in table if name not in ("task", "method", "seed", "cpu_seconds")]
    groups = table.groupby("method", sort=False)
    parts = {}
    for name in numbers:
        parts[name], parts[f"{name}, lowest"] = groups[name].mean(), groups[name].min()
        parts[f"{name}, highest"] = groups[name].max()
    return pd.DataFrame({**parts, "CPU seconds": groups["cpu_seconds"].mean(), "runs": groups.size()})


def goal(task: str, rows: list[dict]) -> tuple[str, str, bool] | None:
    """Score, target, and whether the mean over seeds is what it asks for; of a genome, to beat all chains."""
    if task == "genome":
        best = min(row["bits_per_base"] for row in rows if row["method"] != "Hyena")
        score, target = "bits_per_base", f"< {best:.4f}"
    elif task in GOALS:
        score, target = GOALS[task]
    else:
        return None
    mean = fmean(row[score] for row in rows if row["method"] == "Hyena")
    return score, target, reached(mean, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder with gue/ and tf_binding/")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept = options.out and options.out.exists()  # tasks that are not asked for now stay in the file
    found: dict[str, list[dict]] = json.loads(options.out.read_text())["tasks"] if kept else {}
    for task in options.tasks:
        try:
            found[task] = import_module(f"scores.{TASKS[task]}").measure(task, options.seeds, options.data)
        except FileNotFoundError as error:
            print(f"{task}: not measured, {error.filename} is missing", flush=True)
            continue
        print(f"\n{task}; goal: {goal(task, found[task])}\n{summary(found[task]).round(3).T.to_string()}", flush=True)
        if options.out:
            options.out.write_text(json.dumps({"torch": torch.__version__, "tasks": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
