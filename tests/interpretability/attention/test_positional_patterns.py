"""Patterns over positions: those of operators written by hand, of all rows or some of them."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability.attention.hidden_attention import hidden_attention
from genomic_lens.interpretability.attention.map_rows import row_statistics
from genomic_lens.interpretability.attention.positional_patterns import LagSums, in_parts, positional_patterns
from genomic_lens.model import HyenaGLTModel
from genomic_lens.model.mixing.tracing import mixers
from genomic_lens.model.pretrained import fingerprint
from tests.model.chunks.test_stages import WAYS, small_model

TOKENIZER = DNATokenizer()
SEQUENCE = "ACGTTGCATTGACNAGTACGTAGGCATTACAGTTACGATCG"


def drawn(length, seed=0):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@pytest.fixture
def even_gates():
    """One modal layer whose gates and values are the same at every base, so that a map is its filter.

    The response is that of two modes: one that fades, and one as slow that turns with the period asked for.
    """

    def build(period, half_life=30.0, swing=0.4, length=512):
        shape = {"vocab_size": 12, "d_model": 4, "n_layers": 1, "sequence_length": length, "filter_modes": 2}
        torch.manual_seed(0)
        model = HyenaGLTModel(HyenaGLTConfig(**shape, layout="modal")).double()
        mixer = mixers(model)[0]
        with torch.no_grad():
            for parameter in mixer.parameters():
                parameter.zero_()
            mixer.in_proj.weight[8:] = torch.eye(4)
            mixer.in_proj.bias[:8] = 1
            mixer.short_filter.weight[:, 0, -1] = 1
            mixer.out_proj.weight.copy_(torch.eye(4))
            mixer.filter_fn.log_rates.fill_(math.log(math.log(2) / half_life))
            mixer.filter_fn.angles[:, 1] = 2 * math.pi / period
            mixer.filter_fn.residues[:, 0, 0] = 1
            mixer.filter_fn.residues[:, 1, 0] = swing
        return model

    return build


@pytest.mark.parametrize("period", [3.0, 10.5])
def test_a_planted_rhythm_and_its_profile_are_found(even_gates, period):
    model = even_gates(period)
    (found,) = positional_patterns(model, TOKENIZER, [drawn(400), drawn(380, 1)])
    lags = np.arange(400)
    response = 0.5 ** (lags / 30) * (1 + 0.4 * np.cos(2 * np.pi * lags / period))
    np.testing.assert_allclose(found.profile, 2 * response, rtol=1e-9)  # the norm of an identity of four channels is 2
    place = list(found.periods).index(period)
    assert found.q[place] < 1e-4
    assert found.swing[place] == pytest.approx(0.4, abs=0.03)
    assert found.swing[1 - place] < 0.02
    assert found.q[1 - place] > 0.05


def test_the_distribution_of_an_even_layer_is_that_of_its_filter(even_gates):
    """Far from the start, the share at lag l is 2^(-l/h) (1 - 2^(-1/h)), and the mean distance that of a geometric."""
    model = even_gates(3.0, half_life=5.0, swing=0.0)
    (found,) = positional_patterns(model, TOKENIZER, drawn(500), rows=500)
    keep = 0.5 ** (1 / 5)
    assert found.distribution.sum() == pytest.approx(1)
    assert found.distance == pytest.approx(keep / (1 - keep), rel=0.03)
    assert abs(found.within(0.5) - 5) <= 1
    entropy = -(math.log2(1 - keep) + keep / (1 - keep) * math.log2(keep))
    assert found.entropy == pytest.approx(entropy, rel=0.02)
    assert found.p[1] > 0.05


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("kind", [*WAYS, "striped"])
def test_numbers_are_those_of_the_maps(kind, two_sided):
    """Profile, entropy, distance, from hidden attention, cell by cell."""
    shape = WAYS.get(kind) or {"layout": "se-attention-li", "n_layers": 3}
    model = small_model(HyenaGLTModel, shape, two_sided=two_sided)
    patterns = {item.layer: item for item in positional_patterns(model, TOKENIZER, SEQUENCE)}
    records = hidden_attention(model, TOKENIZER, SEQUENCE, kind="weights")
    places = np.arange(len(SEQUENCE))
    for layer, found in patterns.items():
        weights = np.mean([record.weights for record in records if record.layer == layer], axis=0)
        for lag in (0, 1, 5, 17, -4):
            cells = np.diagonal(weights, -lag)
            expected, rounding = np.nanmean(cells), 1e-9 * np.nanmax(weights)
            at = found.profile[found.lags == lag]
            assert at == pytest.approx(expected, abs=rounding) if len(at) else expected < rounding
        numbers = row_statistics(weights, places, places)
        assert found.entropy == pytest.approx(numbers.entropy.mean(), rel=1e-6)
        assert found.distance == pytest.approx(numbers.distance.mean(), rel=1e-6)
        assert found.rows == len(SEQUENCE) - 1, "one base is masked"
        assert found.distance == pytest.approx((np.abs(found.lags) * found.distribution).sum())
        assert (found.model, found.avg_entropy) == (fingerprint(model), found.entropy)


def test_heads_are_apart_where_they_are_asked_for():
    model = small_model(HyenaGLTModel, {"layout": "se-attention-li", "n_layers": 3})
    found = positional_patterns(model, TOKENIZER, SEQUENCE, aggregation="per_head")
    assert [(item.layer, item.head, item.kind) for item in found] == [
        (0, -1, "norm"), *((1, head, "weights") for head in range(4)), (2, -1, "norm")
    ]  # fmt: skip
    third = next(item for item in found if item.head == 2)
    record = hidden_attention(model, TOKENIZER, SEQUENCE, [1], kind="weights", heads=[2])[0]
    assert third.profile[3] == pytest.approx(np.nanmean(np.diagonal(record.weights, -3)))
    norms = positional_patterns(model, TOKENIZER, SEQUENCE, layers=[1], path="full", aggregation="per_head")
    assert [(item.head, item.kind, item.path) for item in norms] == [(-1, "norm", "full")]


def test_some_rows_stand_for_all_of_them(make_model):
    model, sequence = make_model(HyenaGLTModel, sequence_length=600), drawn(600)
    whole, some, again, other = (
        positional_patterns(model, TOKENIZER, sequence, [1], rows=rows, seed=seed)[0]
        for rows, seed in ((600, 0), (100, 0), (100, 0), (100, 1))
    )
    assert (whole.rows, some.rows) == (600, 100)
    assert some.entropy == pytest.approx(whole.entropy, rel=0.05)
    assert some.distance == pytest.approx(whole.distance, rel=0.2)
    np.testing.assert_array_equal(some.profile, again.profile)
    assert some.entropy != other.entropy


def test_a_sequence_among_others_counts_as_many_rows_as_it_has(make_model):
    model, sequences = make_model(HyenaGLTModel, sequence_length=80), [drawn(80), drawn(20, 1)]
    (together,) = positional_patterns(model, TOKENIZER, sequences, [0])
    long, short = (positional_patterns(model, TOKENIZER, sequence, [0])[0] for sequence in sequences)
    assert together.entropy == pytest.approx((80 * long.entropy + 20 * short.entropy) / 100)
    assert (together.pairs[:20] == long.pairs[:20] + short.pairs).all()
    assert (together.sequences, together.rows) == (2, 100)


def test_distances_with_few_pairs_are_not_read_for_a_rhythm():
    sums = LagSums(9, "norm")
    sums.add(np.tril(np.ones((10, 10))), np.arange(10), causal=True)
    found = sums.by_distance()
    assert np.isfinite(found).tolist() == [True] * 5 + [False] * 4  # 9 pairs at distance 1, 5 at distance 5
    both = LagSums(9, "norm")
    both.add(np.tril(np.ones((10, 10))), np.arange(10), causal=False)
    assert both.by_distance()[0] == 0.5, "back and ahead together"


def test_rows_are_read_in_parts_that_fit(make_model, monkeypatch):
    model, sequence = make_model(HyenaGLTModel, sequence_length=80), drawn(80)
    whole = positional_patterns(model, TOKENIZER, sequence)
    monkeypatch.setattr(import_module("genomic_lens.interpretability.attention.positional_patterns"), "AT_ONCE", 240)
    assert len(list(in_parts(np.arange(80), 80))) == 27
    for one, other in zip(whole, positional_patterns(model, TOKENIZER, sequence), strict=True):
        np.testing.assert_allclose(one.distribution, other.distribution, atol=1e-12)


def test_a_sequence_of_masked_bases_has_no_numbers(make_model):
    (found,) = positional_patterns(make_model(HyenaGLTModel), TOKENIZER, "N" * 20, [0])
    assert np.isnan([found.entropy, found.distance]).all()
    assert found.rows == 0
    assert np.isnan(found.q).all()


def test_what_cannot_be_asked_is_refused(make_model):
    model = make_model(HyenaGLTModel)
    with pytest.raises(DataError, match="0 sequences and rows=None came"):
        positional_patterns(model, TOKENIZER, [])
    with pytest.raises(DataError, match="A period of 1 bases came"):
        positional_patterns(model, TOKENIZER, "ACGT" * 9, periods=[1])
    with pytest.raises(ConfigurationError, match="aggregation is 'sum'"):
        positional_patterns(model, TOKENIZER, "ACGT", aggregation="sum")
