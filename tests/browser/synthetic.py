"""Records as a model of donor sites would give them: planted truth, no model."""

import numpy as np

from genomic_lens.records import Attribution, FilterBank, HiddenAttention, Motif, Prediction, completeness_gap
from genomic_lens.report import Annotation, Lens, LensView

BASES = np.array(list("ACGT"))
LABELS = ("donor", "acceptor", "neither")
CONSENSUS = "CAGGTAAGT"  # three bases of the exon, six of the intron
WEIGHTS = np.array([0.5, 0.7, 1.0, 2.4, 2.3, 0.8, 0.6, 1.1, 0.3])


def draw_sequence(random, length, junction):
    """Random bases with a noisy donor site at the junction; G and T of the site are always there."""
    bases = random.choice(BASES, length)
    sure = random.random(9) < np.array([0.4, 0.6, 0.8, 1, 1, 0.6, 0.7, 0.8, 0.5])
    site = np.where(sure, list(CONSENSUS), random.choice(BASES, 9))
    bases[junction - 3 : junction + 6] = site
    return "".join(bases)


def attribute(random, sequence, junction, target, method):
    """Contributions that follow the planted site, with one masked base at each end."""
    values = random.normal(0, 0.06, len(sequence))
    hit = np.array(list(sequence[junction - 3 : junction + 6])) == list(CONSENSUS)
    values[junction - 3 : junction + 6] += np.where(hit, WEIGHTS, -0.6 * WEIGHTS)
    values *= {"donor": 1.0, "acceptor": -0.5, "neither": -0.7}[target]
    total = values.sum() * (1.0 if method == "DeepLIFT" else 0.97)
    gap = completeness_gap(values, total, 0.0)
    values[[0, -1]] = np.nan
    spread = np.abs(random.normal(0, 0.1, len(sequence)))
    return Attribution(
        sequence=sequence, values=values, target=target, method=method, baseline="dinucleotide shuffle",
        output=total - 1.9, reference_output=-1.9, gap=gap, references=20, spread=spread,
    )  # fmt: skip


def impulse_responses(random, channels, taps):
    """Decaying oscillations, a few of them with the period of a codon."""
    lags = np.arange(taps)
    decay = np.exp(random.uniform(np.log(2), np.log(taps / 3), channels))
    turns = np.where(np.arange(channels) % 5 == 0, 1 / 3, random.uniform(0, 0.2, channels))
    waves = np.cos(2 * np.pi * turns[:, None] * lags + random.uniform(0, 1, channels)[:, None])
    return np.exp(-lags / decay[:, None]) * waves * random.uniform(0.2, 1, channels)[:, None]


def attend(random, sequence, junction, impulse, layer, path):
    """Norm of gates times filters, on and below the diagonal; the site opens the gates."""
    length = len(sequence)
    opening = 0.25 + 1.6 * np.exp(-(((np.arange(length) - junction - 0.5) / 2.5) ** 2))
    gates = random.gamma(2.0, 0.5, (2, len(impulse), length)) * opening
    lag = np.arange(length)[:, None] - np.arange(length)
    filters = np.where(lag >= 0, impulse[:, np.clip(lag, 0, impulse.shape[1] - 1)], 0.0)
    cells = np.sqrt(((gates[0][:, :, None] * filters * gates[1][:, None, :]) ** 2).sum(0))
    share = {"value": 0.47, "gates": 0.81, "full": 1.0}[path]
    return HiddenAttention(sequence, cells * share, (0, length), (0, length), layer, path, share)


def filter_bank(random, layer, channels=32, taps=60):
    impulse = impulse_responses(random, channels, taps)
    energy = np.cumsum(impulse**2, axis=1)
    frequencies = np.linspace(0, 0.5, 65)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(taps), frequencies))
    return FilterBank(
        layer=layer, index=0, lags=np.arange(taps), impulse=impulse, frequencies=frequencies,
        spectrum=np.abs(impulse @ waves), reach=(energy < 0.95 * energy[:, -1:]).sum(1),
    )  # fmt: skip


def motif(name, site, weights, start):
    letters = np.array(list(site))[:, None] == BASES
    frequencies = np.where(letters, 0.7, 0.1)
    contributions = np.where(letters, weights[:, None] * 0.7, -0.12 * weights[:, None])
    return Motif(name, tuple(BASES), contributions, frequencies, site, start, 400, "DeepLIFT", "dinucleotide shuffle")


def view(random, name, banks, length, junction, truth="donor"):
    sequence = draw_sequence(random, length, junction)
    logits = random.normal([3.5, -1.0, 0.0], 1.0)
    chance = np.exp(logits) / np.exp(logits).sum()
    attributions = tuple(
        attribute(random, sequence, junction, target, method)
        for method in ("DeepLIFT", "integrated gradients") for target in LABELS
    )  # fmt: skip
    attention = tuple(
        attend(random, sequence, junction, bank.impulse, bank.layer, path)
        for bank in banks for path in ("value", "gates", "full")
    )  # fmt: skip
    annotations = (
        Annotation("exon", 0, junction, "exon"),
        Annotation("intron", junction, length, "intron"),
        Annotation("U1 site", junction - 3, junction + 6, "site"),
    )
    prediction = Prediction(sequence, LABELS, chance, logits, truth, "synthetic-0000")
    return LensView(name, prediction, attributions, attention, annotations, junction, "junction")


def lens(views=3, length=60, junction=30, seed=0, name="site"):
    """A lens over `views` sequences of `length` bases each."""
    random = np.random.default_rng(seed)
    banks = (filter_bank(random, 0, taps=length), filter_bank(random, 1, taps=length))
    shown = tuple(view(random, f"{name} {number}", banks, length, junction) for number in range(views))
    motifs = (
        motif("donor", CONSENSUS, WEIGHTS, junction - 3),
        motif("acceptor", "TTTTTTCAGG", np.array([0.5, 0.6, 0.6, 0.7, 0.7, 0.6, 1.0, 2.2, 2.3, 0.9]), junction - 9),
    )
    return Lens(shown, banks, motifs, title="donor sites")
