"""Motifs: are those that were planted found, is anything found where there is nothing, and are real ones named?

    python benchmarks/interpretability.py --parts motifs

A model of two layers with short explicit filters learns to tell sequences with five planted motifs from decoys of the
same bases. Another learns ChIP peaks of CTCF and PU.1, from files in ../shared/data (`GENOMIC_LENS_SHARED`), which are
not part of the project. modisco-lite runs with its own defaults on the same attributions, and the same names are looked
up for what it finds.
"""

import gzip
import os
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score
from transformers import set_seed

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data import DNATokenizer, GenomicDataset
from genomic_lens.data.planted import PLANTED, Planted, planted_motifs
from genomic_lens.interpretability import attribute, discover_motifs, match_motifs, predict
from genomic_lens.interpretability.motifs.motif_matches import read_database
from genomic_lens.interpretability.motifs.patterns import core_span, lay_out, same_threads
from genomic_lens.interpretability.motifs.seqlets import null_attributions, shuffled_sequences
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.records import Attribution, Motif
from genomic_lens.training import HyenaGLTTrainer

SEEDS = (0, 1)
EXAMPLES, LENGTH, INSTANCES = 200_000, 60, 2  # planted; every example is seen once
PEAKS = 16_000  # of each factor
EXPLAINED = 300  # sequences
SURE = 1e-3
FACTORS = {"CTCF": "ctcf", "PU.1": "pu1"}
ETS = {"SPI1", "SPIB", "SPIC", "SPDEF", "GABPA", "FLI1", "FEV", "ERG", "ERF", "EHF"}  # and those named ET..., EL...


def train(sequences, labels, names, seed: int, **changes) -> tuple[HyenaGLTForSequenceClassification, float]:
    """A trained model and the CPU seconds that it took."""
    tokenizer = DNATokenizer()
    shape = {
        "d_model": 40, "n_layers": 2, "layout": "se", "short_taps": 11, "two_sided": True, "pooling": "sum",
        "learning_rate": 6e-3, "batch_size": 64, "num_epochs": 1, "warmup_fraction": 0.1, "weight_decay": 0.01,
    }  # fmt: skip
    config = HyenaGLTConfig(
        vocab_size=len(tokenizer), sequence_length=len(sequences[0]), id2label=dict(enumerate(names)),
        initializer_range=0.1, dropout=0.0, seed=seed, **shape | changes,
    )  # fmt: skip
    set_seed(seed)
    dataset = GenomicDataset(sequences, labels, tokenizer)
    trainer = HyenaGLTTrainer(HyenaGLTForSequenceClassification(config), config, dataset, tokenizer=tokenizer)
    start = time.process_time()
    trainer.train()
    return trainer.model.eval(), time.process_time() - start


def explain(model, sequences, target: str, references: int = 20) -> tuple[list[Attribution], list[Attribution]]:
    """Attributions of sequences and of their shuffles."""
    how = {"target": target, "references": references}
    return attribute(model, DNATokenizer(), sequences, **how), null_attributions(
        model, DNATokenizer(), sequences, **how
    )


def probabilities(model, sequences) -> np.ndarray:
    """(sequences, classes)."""
    return np.stack([found.probabilities for found in predict(model, DNATokenizer(), sequences)])


def peer(records: list[Attribution]) -> tuple[list[Motif], float]:
    """What modisco-lite finds by its own defaults, cut as ours are, and the CPU seconds that it took."""
    from modiscolite.tfmodisco import TFMoDISco

    tracks, start = lay_out(records, margin=20), time.process_time()
    known = tracks.one_hot.any(-1, keepdims=True)
    with same_threads():
        found = TFMoDISco(np.where(known, tracks.one_hot, np.float32(0.25)), tracks.hypothetical)
    spent, motifs = time.process_time() - start, []
    for sign, patterns in zip((1, -1), found, strict=True):
        for pattern in patterns or ():
            columns = slice(*core_span((sign * pattern.contrib_scores).max(1), 6, 15))
            rows = pattern.sequence[columns] / pattern.sequence[columns].sum(1, keepdims=True)
            own = {"contributions": pattern.contrib_scores[columns], "frequencies": rows, "consensus": ""}
            motifs.append(Motif(f"pattern {len(motifs)}", tuple("ACGT"), **own, sequences=len(pattern.seqlets)))
    return motifs, spent


def named(motifs, database, count: int = 1) -> dict[str, list[tuple[str, float]]]:
    """Names with a q-value below the limit for each motif, the best first."""
    table = match_motifs(motifs, database, best=count).to_dataframe()
    sure = table[table["q_value"] < SURE]
    return {
        motif.name: list(sure[sure["motif"] == motif.name][["target", "q_value"]].itertuples(index=False, name=None))
        for motif in motifs
    }


def row(what: str, value, target: str = "", note: str = "", unit: str = "") -> dict:
    """A row of the benchmark."""
    return {"what": what, "value": value, "unit": unit, "target": target, "note": note}


def by_seed(what: str, values: list[float], worst=min, target: str = "", unit: str = "", note: str = "") -> dict:
    """The worst value, with all of them in the note."""
    each = ", ".join(f"{value:.4g}" for value in values)
    return row(what, worst(values), target, f"{len(values)} seeds: {each}{note and '; '}{note}", unit)


# --- planted motifs ---------------------------------------------------------------------------------------------------


def located(data: Planted, records: list[Attribution], numbers: np.ndarray) -> tuple[float, float]:
    """AUROC of |contribution| at planted bases: of all bases together, and the median of the sequences."""
    planted = [data.mask(number) for number in numbers]
    sizes = [np.abs(record.values) for record in records]
    each = [roc_auc_score(mask, size) for mask, size in zip(planted, sizes, strict=True)]
    return float(roc_auc_score(np.concatenate(planted), np.concatenate(sizes))), float(np.median(each))


def planted_found(motifs) -> tuple[int, int]:
    """How many of the planted motifs were found, and how many motifs are none of them."""
    database = read_database()[1] | PLANTED
    known = [
        next((target for target, _ in names if target in PLANTED), None)
        for names in named(motifs, database, len(database)).values()
    ]
    return len(set(known) - {None}), known.count(None)


def one_planted_model(seed: int, quick: bool) -> dict[str, float]:
    """The numbers of one training."""
    learnt = planted_motifs(4000 if quick else EXAMPLES, LENGTH, INSTANCES, both_strands=False, seed=2 * seed)
    test = planted_motifs(1000, LENGTH, INSTANCES, both_strands=False, seed=2 * seed + 1)
    model, seconds = train(learnt.sequences, learnt.labels, ("decoys", "motifs"), seed)
    chosen = np.flatnonzero(test.labels)[: 40 if quick else EXPLAINED]
    sequences = [test.sequences[number] for number in chosen]
    records, null = explain(model, sequences, "motifs")
    shuffled = null_attributions(model, DNATokenizer(), sequences, "motifs", seed=7)
    start = time.process_time()
    motifs = discover_motifs(records, null).motifs
    spent, (theirs, peer_spent) = time.process_time() - start, peer(records)
    return {
        "seconds": seconds, "auroc": float(roc_auc_score(test.labels, probabilities(model, test.sequences)[:, 1])),
        **dict(zip(("pooled", "median"), located(test, records, chosen), strict=True)),
        **dict(zip(("found", "spurious"), planted_found(motifs), strict=True)),
        "in shuffled": discover_motifs(shuffled, null)["count"], "spent": spent,
        **dict(zip(("peer found", "peer spurious"), planted_found(theirs), strict=True)),
        "peer in shuffled": len(peer(shuffled)[0]), "peer spent": peer_spent,
    }  # fmt: skip


def planted_rows(quick: bool) -> list[dict]:
    """Are planted bases and motifs found?"""
    found = [one_planted_model(seed, quick) for seed in SEEDS[: 1 if quick else None]]
    column = {name: [numbers[name] for numbers in found] for name in found[0]}
    bits = min((rows * np.log2(4 * rows)).sum() for rows in PLANTED.values())
    return [
        row("planted: information of the weakest of five motifs", float(bits), ">= 10", unit="bits"),
        by_seed("planted: training", column["seconds"], max, unit="CPU-s"),
        by_seed("planted: AUROC of the model, motifs against decoys", column["auroc"], target="> 0.98"),
        by_seed("planted: AUROC of |contribution| at planted bases", column["pooled"], target=">= 0.98",
                note="all bases of all sequences together"),
        by_seed("planted: the same, median of the sequences", column["median"]),
        by_seed("planted: motifs found, of five", column["found"], target="5"),
        by_seed("planted: motifs that are none of the five", column["spurious"], max, "0"),
        by_seed("planted: motifs in shuffled sequences", column["in shuffled"], max, "0"),
        by_seed("planted: discovery", column["spent"], max, unit="CPU-s"),
        by_seed("modisco-lite: planted motifs found, of five", column["peer found"],
                note="its windows of 41 bases are made for sequences longer than 60"),
        by_seed("modisco-lite: patterns that are none of the five", column["peer spurious"], max),
        by_seed("modisco-lite: patterns in shuffled sequences", column["peer in shuffled"], max),
        by_seed("modisco-lite: discovery", column["peer spent"], max, unit="CPU-s"),
    ]  # fmt: skip


# --- ChIP peaks -------------------------------------------------------------------------------------------------------


def peaks(name: str) -> tuple[list[str], np.ndarray]:
    """Sequences of a factor's peaks, and which of them are held out: those on chromosomes 8 and 9."""
    folder = Path(__file__).resolve().parents[2] / os.environ.get("GENOMIC_LENS_SHARED", "../shared")
    with gzip.open(folder / "data" / "tf_binding" / f"{name}.fa.gz", "rt") as file:
        entries = [entry.split("\n", 1) for entry in file.read().split(">")[1:]]
    sequences = ["".join(text.split()).upper() for _, text in entries]
    return sequences, np.array([head.startswith(("chr8:", "chr9:")) for head, _ in entries])


def examples(count: int) -> tuple[list[list[str]], list[list[str]]]:
    """Sequences of each class to learn from and to test on: shuffles of peaks, then the peaks of each factor."""
    learnt, test = [], []
    for name in FACTORS.values():
        sequences, held_out = peaks(name)
        for part, keep, most in ((learnt, ~held_out, count), (test, held_out, 1000)):
            part.append([sequences[number] for number in np.flatnonzero(keep)[:most]])
    return tuple(
        [shuffled_sequences(DNATokenizer(), [*part[0][::2], *part[1][::2]], seed), *part]
        for seed, part in enumerate((learnt, test))
    )


def is_factor(factor: str, name: str) -> bool:
    """Whether a name in JASPAR is that of CTCF, or of PU.1 or another ETS factor."""
    gene = name.split()[1].upper()
    return gene.startswith("CTCF") if factor == "CTCF" else gene in ETS or gene[:3] in ("ETV", "ETS", "ELK", "ELF")


def factor_rows(factor: str, model, sequences: list[str]) -> list[dict]:
    """Is the factor's own motif found and named?"""
    records, null = explain(model, sequences, factor, 10)
    ours, (theirs, spent) = discover_motifs(records, null), peer(records)
    shuffled = null_attributions(model, DNATokenizer(), sequences, factor, seed=7, references=10)
    nothing = discover_motifs(shuffled, null)
    return [
        *name_rows(factor, ours.motifs, ours.reason, "< 1e-3"),
        row(f"{factor}: motifs in shuffled sequences", nothing["count"], "0", nothing.reason),
        *name_rows(f"modisco-lite, {factor}", theirs, f"{spent:.0f} CPU-s"),
        row(f"modisco-lite, {factor}: patterns in shuffled sequences", len(peer(shuffled)[0])),
    ]


def name_rows(what: str, motifs, note: str, target: str = "") -> list[dict]:
    """The factor's own name in JASPAR, and how many motifs have any."""
    names, factor = named(motifs, None, 5), what.split(", ")[-1]
    own = [(name, *match) for name, matches in names.items() for match in matches if is_factor(factor, match[0])]
    best = min(own, key=lambda match: match[2], default=("none", "no match", float("nan")))
    return [
        row(f"{what}: q-value of its own name in JASPAR", best[2], target, f"{best[0]}: {best[1]}"),
        row(f"{what}: motifs", len(names), note=note),
        row(f"{what}: of these with any name, q < {SURE:g}", sum(map(bool, names.values()))),
    ]


def chip_rows(quick: bool) -> list[dict]:
    """Are CTCF and PU.1 found in models of their peaks?"""
    try:
        learnt, test = examples(600 if quick else PEAKS)
    except FileNotFoundError as error:
        return [row("CTCF and PU.1", "-", note=f"not measured: {error.filename} is missing")]
    labels = [label for label, part in enumerate(learnt) for _ in part]
    model, seconds = train(sum(learnt, []), labels, ("neither", *FACTORS), 0, short_taps=15, learning_rate=4e-3)
    truth = np.array([label for label, part in enumerate(test) for _ in part])
    scores = probabilities(model, sum(test, []))
    rows = [row("CTCF and PU.1: training", seconds, unit="CPU-s", note=f"{len(labels):,} sequences of 100 bases")]
    for label, factor in enumerate(FACTORS, 1):
        auroc = float(roc_auc_score(truth == label, scores[:, label]))
        rows.append(row(f"{factor}: AUROC on chromosomes 8 and 9", auroc, note="against the other factor and shuffles"))
        sure = scores[truth == label, label].argsort()[::-1][: 60 if quick else EXPLAINED]
        rows += factor_rows(factor, model, [test[label][number] for number in np.sort(sure)])
    return rows


# --- all of it --------------------------------------------------------------------------------------------------------


def measure(quick: bool = False) -> list[dict]:
    """Rows of what, value, unit, target and note."""
    return [*planted_rows(quick), *chip_rows(quick)]
