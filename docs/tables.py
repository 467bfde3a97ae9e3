"""Tables of pages: what the library lists, and what benchmarks wrote."""

import json
import sys
from statistics import fmean

from outline import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # which know their targets
from targets import reached  # noqa: E402


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


def ratio(row: dict) -> str:
    """How many times faster, and between what the turns lie."""
    turns = row.get("ratio_of_each_turn")
    return f"{row['times_faster']:.1f}" + (f" ({turns[0]:.1f} to {turns[-1]:.1f})" if turns else "")


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
         ratio(row), memory(row["textbook_extra_mb"] * 2**20),
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


def verdict(target: str, is_reached: bool) -> str:
    """A target and what became of it."""
    return f"{target.replace('<=', '≤').replace('>=', '≥')}, {'reached' if is_reached else '**missed**'}"


def interpretability_table(rows: list[dict]) -> str:
    """Rows of one part, with targets and notes."""
    cells = []
    for row in rows:
        said = verdict(row["target"], reached(row["value"], row["target"])) if row.get("target") else ""
        cells.append([row["what"], f"{number(row['value'])} {row.get('unit', '')}", said, row.get("note", "")])
    return left_table([["", "found", "target", "note"], *cells])


def spread(rows: list[dict], score: str) -> str:
    """Mean of a score over seeds or folds; its lowest and highest, where there are several."""
    values = [row[score] for row in rows]
    mean = f"{fmean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f}, {len(values)} runs)"


def accuracy_table(tasks: dict[str, list[dict]]) -> str:
    """Each method at each task: its scores, what was aimed at, and the seconds that it learned."""
    from accuracy import goal

    cells = []
    for task, rows in tasks.items():
        aim = goal(task, rows)
        for method in dict.fromkeys(row["method"] for row in rows):
            own = [row for row in rows if row["method"] == method]
            scores = [name for name in own[0] if name not in ("task", "method", "seed", "cpu_seconds")]
            said = "; ".join(f"{name} {spread(own, name)}" for name in scores)
            ours = f"{aim[0]} {verdict(*aim[1:])}" if aim and method == "Hyena" else ""
            cells.append([task, method, said, ours, f"{fmean(row['cpu_seconds'] for row in own):,.0f}"])
    return left_table([["task", "method", "scores", "goal", "CPU seconds"], *cells])


def training_table(found: dict) -> str:
    """The trainer beside a bare loop, and the pace of tokenizing."""
    ratio = found["ratio"]
    return left_table([
        ["", "found"],
        ["a step of the trainer, in steps of a bare loop",
         f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f} over {found['stretch']} steps); "
         + verdict("<= 1.05", reached(ratio["median"], "<= 1.05"))],
        ["a bare loop, a step", f"{found['loop_ms']['median']:.1f} ms"],
        ["the trainer's start", f"{found['start_s']['median']:.2f} s"],
        ["weights at the end", "the same" if found["same_weights"] else "**not the same**"],
        ["bases a second in training", f"{found['bases_per_second']:,.0f}"],
        ["tokenizing", f"{found['tokenizing_mb_per_second']:,.0f} MB a CPU second; "
         + verdict(">= 100", reached(found["tokenizing_mb_per_second"], ">= 100"))],
    ])  # fmt: skip


def faults_table(found: dict) -> str:
    """What kills did to a run."""
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
