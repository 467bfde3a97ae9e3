"""Tables of pages: what the library lists, and what benchmarks wrote."""

import json
import sys
from statistics import fmean

from outline import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # the benchmark knows when one of its targets is reached


def written(benchmark: str) -> dict:
    """What a benchmark found."""
    return json.loads((ROOT / "benchmarks" / f"{benchmark}.json").read_text(encoding="utf-8"))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    sides = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, sides, *rows])


def memory(size: float) -> str:
    """Bytes, as people write them."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def hyenadna_tables() -> dict[str, str]:
    """What the page on HyenaDNA shows: sizes as the library lists them, and what the benchmark wrote."""
    from genomic_lens.model import list_models

    sizes = list_models().filter(like="hyenadna", axis=0)
    shapes = ["d_model", "n_layers", "sequence_length", "parameters"]
    listed = [[name, *(f"{size[shape]:,}" for shape in shapes), size["repository"]] for name, size in sizes.iterrows()]
    rows = written("long_conv")["rows"]
    whole = [
        [row["model"], f"{row['length']:,}", f"{row['seconds']:,.1f}", memory(row["extra_bytes"])]
        for row in rows
        if "model" in row
    ]
    compared = [
        [row["task"], f"{row['length']:,}", f"{row['textbook_seconds']:.4f}", f"{row['ours_seconds']:.4f}",
         f"{row['times_faster']:.1f}", memory(row["textbook_extra_mb"] * 2**20),
         memory(max(0, row["ours_extra_mb"]) * 2**20)]
        for row in rows
        if "times_faster" in row
    ]  # fmt: skip
    seconds = ["seconds, textbook", "ours", "ratio", "memory, textbook", "ours"]
    return {
        "sizes": table(["name", "width", "layers", "longest input", "parameters", "published as"], listed),
        "longest": table(["name", "tokens", "seconds", "memory"], whole),
        "textbook": table(["task", "bases", *seconds], compared),
    }


def experiment_tables() -> dict[str, str]:
    """What the page on experiments shows: those that ship, the datasets, and what HyenaDNA's keys mean."""
    from genomic_lens.training.experiments import key_table, list_datasets, list_experiments

    tables = {"experiments": list_experiments(), "datasets": list_datasets(), "keys": key_table()}
    return {name: prose_table(content.reset_index()) for name, content in tables.items()}


def left_table(lines: list[list[str]]) -> str:
    """A table of words in Markdown, its head first."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [cells[0], ["---"] * len(cells[0]), *cells[1:]])


def prose_table(content) -> str:
    """A table of words, the first column as code."""
    rows = content.astype(str).to_numpy().tolist()
    return left_table([list(content.columns), *([f"`{first}`", *rest] for first, *rest in rows)])


def number(value: float | str) -> str:
    """Three digits that count; what is no number stays as it is."""
    if isinstance(value, str | bool):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def interpretability_table(rows: list[dict]) -> str:
    """Rows of one part, with targets and notes."""
    from interpretability import reached

    cells = []
    for row in rows:
        aim = row.get("target", "").replace("<=", "≤").replace(">=", "≥")
        verdict = f"{aim}, {'reached' if reached(row) else '**missed**'}" if aim else ""
        cells.append([row["what"], f"{number(row['value'])} {row.get('unit', '')}", verdict, row.get("note", "")])
    return left_table([["", "found", "target", "note"], *cells])


def spread(rows: list[dict], score: str) -> str:
    """Mean of a score over seeds or folds; its lowest and highest, where there are several."""
    values = [row[score] for row in rows]
    mean = f"{fmean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f}, {len(values)} runs)"


def accuracy_table(tasks: dict[str, list[dict]]) -> str:
    """Each method at each task: its scores, and the seconds that it learned; below, what was aimed at."""
    from accuracy import GOALS

    cells = []
    for task, rows in tasks.items():
        for method in dict.fromkeys(row["method"] for row in rows):
            own = [row for row in rows if row["method"] == method]
            scores = [name for name in own[0] if name not in ("task", "method", "seed", "cpu_seconds")]
            said = "; ".join(f"{name} {spread(own, name)}" for name in scores)
            cells.append([task, method, said, f"{fmean(row['cpu_seconds'] for row in own):,.0f}"])
    goals = "; ".join(f"{task}: {GOALS[task]}" for task in tasks if task in GOALS)
    return left_table([["task", "method", "scores", "CPU seconds"], *cells]) + f"\n\nGoals: {goals}."


def training_table(found: dict) -> str:
    """The trainer beside a bare loop, and the pace of tokenizing."""
    ratio = found["ratio"]
    return left_table([
        ["", "found"],
        ["a step of the trainer, in steps of a bare loop",
         f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f} over {found['pairs']} pairs)"],
        ["a bare loop, a step", f"{found['loop_ms']['median']:.1f} ms"],
        ["the trainer's start", f"{found['start_s']['median']:.2f} s"],
        ["weights at the end", "the same" if found["same_weights"] else "**not the same**"],
        ["bases a second in training", f"{found['bases_per_second']:,.0f}"],
        ["tokenizing", f"{found['tokenizing_mb_per_second']:,.0f} MB a CPU second"],
    ])  # fmt: skip


def faults_table(found: dict) -> str:
    """What 20 kills did to a run."""
    places = [row["place"] for row in found["rows"]]
    where = ", ".join(f"{place} ({places.count(place)})" for place in dict.fromkeys(places))
    same = found["same_weights"] and found["same_table"]
    return left_table([
        ["", "found"],
        ["kills, mid-save included", f"{found['kills']}: {where}"],
        ["final weights and log", "as without a kill" if same else "**not as without a kill**"],
        ["steps repeated, at most", f"{found['most_repeated']}; saved every {found['save_steps']}"],
    ])  # fmt: skip


def chunking_table(found: dict) -> str:
    """The scan over chunks."""
    cells = [[row["way"], f"{row['forward_ms']:.1f}", f"{row['both_ms']:.1f}"] for row in found["rows"]]
    size = f"{found['chunks']:,} chunks, {found['channels']} channels"
    return table([size, "forward, ms", "and backward, ms"], cells)


def measured_tables() -> dict[str, str]:
    """What the page of measurements shows."""
    parts = written("interpretability")["parts"]
    return {
        **{name: interpretability_table(rows) for name, rows in parts.items()},
        "accuracy": accuracy_table(written("accuracy")["tasks"]),
        "training": training_table(written("training")),
        "faults": faults_table(written("faults")),
        "chunking": chunking_table(written("chunking")),
    }
