"""Motifs put into other sequences, alone and in pairs: known for a scorer that wants them close together."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability import marginalise, spacing
from genomic_lens.records import MotifEffect, MotifSpacing

from ..conftest import build_model
from ..peers import OneHot, one_hot
from ..scorers import Near

BACKGROUNDS = ["A" * 40, "ACAC" * 10, "CATA" * 10]
GENERATOR = np.random.default_rng(0)
RANDOM = ["".join(GENERATOR.choice(list("ACGT"), 40)) for _ in range(4)]


def test_a_motif_adds_what_it_is_worth():
    record = marginalise(Near("GAT", "GTC", 5, 3.0), DNATokenizer(), "GAT", BACKGROUNDS, 0)
    np.testing.assert_allclose(record.after - record.before, 1)
    assert (record.effect, record.spread, record.position) == (1, 0, 19)
    assert record.backgrounds == "3 sequences given"


def test_two_motifs_help_each_other_within_reach():
    scorer, spacings = Near("GAT", "GTC", 5, 3.0), [0, 2, 5, 6, 12]
    record = spacing(scorer, DNATokenizer(), ("GAT", "GTC"), spacings, BACKGROUNDS, 0)
    np.testing.assert_allclose(record.singles, 2)
    np.testing.assert_allclose(record.effects, np.array([5, 5, 5, 2, 2])[:, None] * np.ones(3))
    np.testing.assert_allclose(record.interaction.mean(1), [3, 3, 3, 0, 0])
    assert (record.positions[:, 1] - record.positions[:, 0] - 3).tolist() == spacings
    table = record.to_dataframe()
    assert table.interaction.tolist() == [3, 3, 3, 0, 0]
    assert table.together_spread.tolist() == [0] * 5


def test_n_in_a_motif_leaves_the_background():
    given, spelt = (
        marginalise(build_model(), DNATokenizer(), motif, ["CATA" * 10], 0, position=8) for motif in ("GNNT", "GATT")
    )
    np.testing.assert_array_equal(given.after, spelt.after)


@pytest.mark.parametrize("options", [{}, {"two_sided": True}])
def test_marginalisation_is_that_of_tangermeme(options):
    peer = pytest.importorskip("tangermeme.marginalize")
    model = build_model(dtype=torch.float64, **options).eval()
    for position in (None, 3):
        record = marginalise(model, DNATokenizer(), "GATTACA", RANDOM, 2, position=position)
        read = lambda logits: logits[..., 2] - logits.mean(-1)  # noqa: E731
        before, after = peer.marginalize(OneHot(model, read), one_hot(*RANDOM), "GATTACA", start=position)
        np.testing.assert_allclose(record.before, before.numpy().ravel(), atol=1e-10)
        np.testing.assert_allclose(record.after, after.numpy().ravel(), atol=1e-10)
    assert record.effect == pytest.approx((after - before).mean().item())


def test_spacing_is_that_of_tangermeme():
    peer = pytest.importorskip("tangermeme.space")
    model = build_model(dtype=torch.float64).eval()
    for position in (None, 2):
        record = spacing(model, DNATokenizer(), ("GATA", "TGACT"), [0, 3, 8], RANDOM, 0, position=position)
        read = lambda logits: logits[..., 0] - logits.mean(-1)  # noqa: E731
        before, after = peer.space(
            OneHot(model, read), one_hot(*RANDOM), ["GATA", "TGACT"], [[0], [3], [8]], start=position
        )
        np.testing.assert_allclose(record.before, before.numpy().ravel(), atol=1e-10)
        np.testing.assert_allclose(record.together, after[..., 0].numpy().T, atol=1e-10)


def test_each_alone_stands_where_it_stands_with_the_other():
    model, tokenizer = build_model(), DNATokenizer()
    record = spacing(model, tokenizer, ("GATA", "TGACT"), [4], RANDOM, 0, position=6)
    for side, (motif, place) in enumerate((("GATA", 6), ("TGACT", 14))):
        alone = marginalise(model, tokenizer, motif, RANDOM, 0, position=place)
        np.testing.assert_allclose(record.alone[side, 0], alone.after, atol=1e-6)


def test_backgrounds_are_drawn_by_the_seed():
    ask = (build_model(), DNATokenizer(), "GATA", RANDOM[0], 0)
    first, again, other = (marginalise(*ask, draws=4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.before, again.before)
    assert not np.array_equal(first.before, other.before)
    assert first.backgrounds == "4 dinucleotide shuffles of a sequence"
    assert len(first.to_dataframe()) == 4


def test_records_come_back(tmp_path):
    model, tokenizer = build_model(), DNATokenizer()
    effect = marginalise(model, tokenizer, "GATA", RANDOM, 0)
    assert MotifEffect.load(effect.save(tmp_path / "effect.npz")).effect == effect.effect
    apart = spacing(model, tokenizer, ("GATA", "TGAC"), [0, 4], RANDOM, 0)
    again = MotifSpacing.load(apart.save(tmp_path / "apart.npz"))
    assert again.motifs == ("GATA", "TGAC")
    np.testing.assert_array_equal(again.interaction, apart.interaction)


def test_what_does_not_fit_is_refused():
    model, tokenizer = build_model(), DNATokenizer()
    for options in ({"position": 38}, {"position": -1}):
        with pytest.raises(DataError, match="does not fit in a background of 40 bases"):
            marginalise(model, tokenizer, "GATA", RANDOM, 0, **options)
    with pytest.raises(DataError, match="'' at base"):
        marginalise(model, tokenizer, "", RANDOM, 0)
    with pytest.raises(DataError, match="does not fit"):
        spacing(model, tokenizer, ("GATA", "TGAC"), [40], RANDOM, 0)
    for motifs, spacings in ((("GATA",), [1]), (("GATA", "TGAC"), [-1]), (("GATA", "TGAC"), [])):
        with pytest.raises(DataError, match="expected two, and spacings from 0 on"):
            spacing(model, tokenizer, motifs, spacings, RANDOM, 0)
    for backgrounds, draws in (([], 3), ("ACGT", 0), ("", 3)):
        with pytest.raises(ConfigurationError, match="expected at least one of each"):
            marginalise(model, tokenizer, "A", backgrounds, 0, draws=draws)
