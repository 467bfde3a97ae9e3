"""What a region adds: known for scorers solved by hand, and never more than what is in it."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability import region_importance
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForSequenceClassification
from genomic_lens.records import RegionEffects
from tests.model.chunks.test_stages import WAYS, small_model

from ..conftest import build_model
from ..peers import OneHot, one_hot
from ..scorers import Both, Linear

SEQUENCE = "CAGGTAAGTACGTTGCATTG"
WEIGHTS = np.random.default_rng(0).normal(size=(20, 4))
OWN = np.array([WEIGHTS[place, "ACGT".index(base)] for place, base in enumerate(SEQUENCE)])
SPANS = [(0, 5), (5, 6), (4, 20)]


def test_covering_takes_away_what_the_bases_add():
    record = region_importance(Linear(WEIGHTS), DNATokenizer(), SEQUENCE, SPANS, 0)
    np.testing.assert_allclose(record.effects, [OWN[first:last].sum() for first, last in SPANS], atol=1e-5)
    assert record.spread.tolist() == [0, 0, 0]
    assert (record.draws, record.baseline) == (1, "the token N")
    assert record.output == pytest.approx(OWN.sum(), abs=1e-5)


def test_the_mean_base_leaves_the_mean():
    record = region_importance(Linear(WEIGHTS), DNATokenizer(), SEQUENCE, SPANS, 0, fill="mean")
    less = OWN - WEIGHTS.mean(1)
    np.testing.assert_allclose(record.effects, [less[first:last].sum() for first, last in SPANS], atol=1e-5)
    assert record.baseline == "mean of the four bases"


def test_shuffling_leaves_the_composition():
    """Over many draws each base stands anywhere in the region equally often."""
    record = region_importance(Linear(WEIGHTS), DNATokenizer(), SEQUENCE, [(5, 13)], 0, how="ablation", draws=4000)
    inside = [WEIGHTS[5:13, "ACGT".index(base)].mean() for base in SEQUENCE[5:13]]
    error = record.spread[0] / np.sqrt(4000)
    assert record.effects[0] == pytest.approx(OWN[5:13].sum() - sum(inside), abs=4 * error)
    assert record.spread[0] > 0.1


def test_a_region_of_one_kind_of_base_cannot_be_shuffled():
    record = region_importance(build_model(), DNATokenizer(), "CAAAAG", [(1, 5)], 0, how="ablation")
    assert (record.effects[0], record.spread[0]) == (0, 0)


def test_only_regions_with_all_of_a_pair_add_it_elsewhere():
    """Half of the pair is worth nothing in other sequences, and everything in its own."""
    scorer, spans = Both({3: "G", 10: "C"}, worth=2.0), [(3, 11), (3, 6), (8, 12)]
    here = region_importance(scorer, DNATokenizer(), SEQUENCE, spans, 0)
    assert here.effects.tolist() == [2, 2, 2]
    there = region_importance(scorer, DNATokenizer(), SEQUENCE, spans, 0, how="marginalisation", draws=200)
    assert there.effects[0] > 1.5
    assert there.effects[1:].max() < 1.0
    assert there.draws == 200
    assert "200 dinucleotide shuffles" in there.baseline


def test_ablation_is_that_of_tangermeme():
    peer = pytest.importorskip("tangermeme.ablate")
    model = build_model(dtype=torch.float64).eval()
    record = region_importance(model, DNATokenizer(), SEQUENCE, [(4, 12)], 1, how="ablation", draws=6, seed=3)

    def shuffle(sequences, start, end, n, random_state):
        rows = []
        for draw in range(n):
            generator = np.random.default_rng([3, draw, 0])
            rows.append(SEQUENCE[:start] + "".join(generator.permutation(list(SEQUENCE[start:end]))) + SEQUENCE[end:])
        return one_hot(*rows)[None]

    read = lambda logits: logits[..., 1] - logits.mean(-1)  # noqa: E731
    before, after = peer.ablate(OneHot(model, read), one_hot(SEQUENCE), 4, 12, n=6, shuffle_fn=shuffle)
    changes = (before - after[0]).numpy().ravel()
    assert record.effects[0] == pytest.approx(changes.mean(), abs=1e-10)
    assert record.spread[0] == pytest.approx(changes.std(), abs=1e-10)


def test_masked_bases_stay_and_masked_regions_have_no_effect():
    sequence = "CAGNNNAAGT"
    for how in ("occlusion", "ablation", "marginalisation"):
        record = region_importance(build_model(), DNATokenizer(), sequence, [(3, 6), (1, 8)], 0, how=how, draws=3)
        assert np.isnan(record.effects).tolist() == [True, False]
        assert np.isnan(record.spread).tolist() == [True, False]
    covered = region_importance(Linear(WEIGHTS), DNATokenizer(), sequence, [(1, 8)], 0, fill="mean")
    kept = [place for place in range(1, 8) if sequence[place] != "N"]
    less = [WEIGHTS[place, "ACGT".index(sequence[place])] - WEIGHTS[place].mean() for place in kept]
    assert covered.effects[0] == pytest.approx(sum(less), abs=1e-5)


@pytest.mark.parametrize("how", ["occlusion", "ablation", "marginalisation"])
@pytest.mark.parametrize("kind", [HyenaGLTForSequenceClassification, HyenaGLTForCausalLM])
def test_the_fast_way_is_exact(how, kind):
    model, target = build_model(kind, dtype=torch.float64), ("base", 15)
    target = 0 if kind is HyenaGLTForSequenceClassification else target
    fast, plain = (
        region_importance(model, DNATokenizer(special="cls_sep"), SEQUENCE, 6, target, how=how, draws=4, fast=way)
        for way in (True, False)
    )
    np.testing.assert_allclose(fast.effects, plain.effects, atol=1e-10)
    np.testing.assert_allclose(fast.spread, plain.spread, atol=1e-10)
    assert fast.regions.tolist() == [[0, 6], [6, 12], [12, 18], [18, 20]]


@pytest.mark.parametrize("way", ["routing", "merging"])
@pytest.mark.parametrize("fill", ["n", "mean"])
def test_models_that_cut_chunks(way, fill):
    model = small_model(HyenaGLTForSequenceClassification, WAYS[way])
    record = region_importance(model, DNATokenizer(), SEQUENCE, 10, 0, fill=fill)
    assert np.isfinite(record.effects).all()
    assert np.abs(record.effects).max() > 1e-4


def test_seeds_decide_the_draws(tmp_path):
    ask = lambda seed: region_importance(  # noqa: E731
        build_model(), DNATokenizer(), SEQUENCE, 7, 0, how="ablation", draws=5, seed=seed
    )
    first, again, other = ask(1), ask(1), ask(2)
    np.testing.assert_array_equal(first.effects, again.effects)
    assert not np.array_equal(first.effects, other.effects)
    back = RegionEffects.load(first.save(tmp_path / "regions.npz"))
    np.testing.assert_array_equal(back.regions, first.regions)
    assert back.to_dataframe().columns.tolist() == ["start", "stop", "effect", "spread"]


def test_what_cannot_be_asked_is_refused():
    model, tokenizer = build_model(), DNATokenizer()
    for regions in ([(3, 3)], [(0, 21)], [(-1, 4)], 0, -3, []):
        with pytest.raises(DataError, match="came; expected a width, or spans"):
            region_importance(model, tokenizer, SEQUENCE, regions, 0)
    for shape in ({"kmer_sizes": (3,), "n_layers": 1}, WAYS["patches"]):
        reads_bases = small_model(HyenaGLTForSequenceClassification, shape)
        with pytest.raises(ConfigurationError, match="words or patches of bases: pass fill='n'"):
            region_importance(reads_bases, tokenizer, SEQUENCE, 5, 0, fill="mean")
    for options in ({"how": "removal"}, {"how": "ablation", "fill": "mean"}, {"draws": 0}):
        with pytest.raises(ConfigurationError, match="expected occlusion, ablation or marginalisation"):
            region_importance(model, tokenizer, SEQUENCE, 5, 0, **options)
