"""Attributions placed by hand: what a perfect model would say of planted motifs, and noise everywhere else."""

import numpy as np

from genomic_lens.data.alphabets import one_hot
from genomic_lens.data.planted import Planted, planted_motifs
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.interpretability.motifs.seqlets import shuffled_sequences
from genomic_lens.records import Attribution

HOW = {"target": "motifs", "method": "by hand", "baseline": "none", "output": 1.0, "reference_output": 0.0, "gap": 0.0}


def record(sequence: str, hypothetical: np.ndarray, **changes) -> Attribution:
    """The attribution whose hypothetical contributions are given; N is NaN."""
    letters = one_hot(sequence.upper().replace("U", "T"))
    known = letters.any(1)
    hypothetical = np.where(known[:, None], hypothetical, np.nan)
    values = np.where(known, np.nansum(letters * hypothetical, axis=1), np.nan)
    return Attribution(sequence, values, hypothetical=hypothetical, letters=tuple("ACGT"), **HOW | changes)


def noise(sequences, seed: int, size: float = 0.1) -> list[Attribution]:
    """Attributions of a model that knows nothing."""
    generator = np.random.default_rng(seed)
    return [record(sequence, generator.normal(0, size, (len(sequence), 4))) for sequence in sequences]


def positives(data: Planted) -> tuple[list[str], np.ndarray]:
    """Sequences with motifs, and their sites with the numbers of these sequences."""
    chosen = np.flatnonzero(data.labels)
    sites = data.sites.copy()
    sites[:, 0] = np.searchsorted(chosen, sites[:, 0])
    return [data.sequences[number] for number in chosen], sites


def explained(data: Planted, sign: int = 1, seed: int = 0) -> tuple[list[Attribution], list[Attribution]]:
    """Attributions of the positives, each planted base with its log-odds, and those of their shuffles."""
    sequences, sites = positives(data)
    records, matrices = noise(sequences, seed), list(data.matrices.values())
    for (number, start, stop, strand), which in zip(sites, data.motifs, strict=True):
        hypothetical = records[number].hypothetical.copy()
        hypothetical[start:stop] += sign * np.log2(4 * matrices[which])[::strand, ::strand]
        records[number] = record(sequences[number], hypothetical)
    return records, noise(shuffled_sequences(DNATokenizer(), sequences), seed + 1)


def few(seed: int = 0, **changes) -> Planted:
    """Eighty positives of 100 bases with two instances each, so about 32 of each motif."""
    return planted_motifs(**{"count": 160, "length": 100, "instances": 2, "seed": seed} | changes)
