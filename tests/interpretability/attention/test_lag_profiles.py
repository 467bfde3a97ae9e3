"""Lag profiles: the sums along the diagonals of matrices that are written out in full."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ModelError
from genomic_lens.interpretability.attention.lag_profiles import lag_profile, lag_profiles, pairs_by_lag
from genomic_lens.model import HyenaGLTModel
from genomic_lens.model.mixing.chunk_mixing import UnmergedMixing
from genomic_lens.model.mixing.tracing import trace
from tests.model.chunks.test_stages import WAYS, small_model

SEQUENCE = "ACGTTGCATTGACNAGTACGTAGGCATTACAGTTACGATCGNTTACGAGTCAGT"


def toeplitz(filters, length, first_lag):
    """(channels, length, length) matrices of filters."""
    matrix = np.zeros((len(filters), length, length))
    for row in range(length):
        for column in range(length):
            tap = row - column - first_lag
            if 0 <= tap < filters.shape[1]:
                matrix[:, row, column] = filters[:, tap]
    return matrix


def matrices(operator):
    """The matrix of each channel of a Hyena operator, written out: D T D T … D."""
    factors = operator.factors()
    gates, filters = factors.gates.double().numpy(), factors.filters.double().numpy()
    length = gates.shape[-1]
    whole = np.stack([np.diag(gate) for gate in gates[-1]])
    for rank, taps in enumerate(filters):
        gate = gates[len(gates) - 2 - rank]
        whole = gate[:, :, None] * (toeplitz(taps, length, factors.first_lag) @ whole)
    return whole


def sums_of_diagonals(whole, known):
    """At lag l, the sum over i of [i, i - l]; masked rows and columns are left out."""
    whole = whole * np.outer(known, known)
    length = len(known)
    return np.stack([np.trace(whole, -lag, axis1=1, axis2=2) for lag in range(1 - length, length)], axis=1)


def traced(model, sequence=SEQUENCE):
    ids = DNATokenizer().encode(sequence)
    return trace(model, torch.from_numpy(ids)[None]), ~np.isin(ids, DNATokenizer().masked_ids)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("order", [2, 3])
def test_profiles_are_the_sums_of_the_diagonals(make_model, order, two_sided):
    model = make_model(HyenaGLTModel, hyena_order=order, two_sided=two_sided, sequence_length=80, dtype=torch.float64)
    seen, known = traced(model)
    for layer in range(2):
        operator = seen.operator(layer)
        expected = sums_of_diagonals(matrices(operator), known)
        found = lag_profile(operator, known, len(known) - 1)
        np.testing.assert_allclose(found, expected, rtol=0, atol=4e-14 * max(1, np.abs(expected).max()))
        assert np.abs(expected[:, : len(known) - 1]).max() > 1e-3 or not two_sided


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("way", ["routing", "merging"])
def test_profiles_of_chunks_are_those_of_their_bases(way, two_sided):
    model = small_model(HyenaGLTModel, WAYS[way], two_sided=two_sided)
    seen, known = traced(model)
    operator = seen.operator(1)
    assert isinstance(operator, UnmergedMixing)
    index = operator.index.numpy()
    assert 1 < index.max() < len(index) - 1, "some bases are merged"
    whole = matrices(operator.inner)[:, index][:, :, index] * operator.portion.numpy()
    expected = sums_of_diagonals(whole, known)
    found = lag_profile(operator, known, len(known) - 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_shorter_reach_is_cut_from_the_middle(make_model):
    model = make_model(HyenaGLTModel, sequence_length=80, dtype=torch.float64)
    seen, known = traced(model)
    whole = lag_profile(seen.operator(0), known, len(known) - 1)
    np.testing.assert_array_equal(lag_profile(seen.operator(0), known, 5), whole[:, len(known) - 6 : len(known) + 5])


def test_pairs_leave_out_what_is_masked():
    known = np.array([True, True, False, True, True, True])
    brute = [sum(known[i] and known[i - lag] for i in range(6) if 0 <= i - lag < 6) for lag in range(-5, 6)]
    assert pairs_by_lag(known, 5).tolist() == brute


def test_sequences_are_averaged_and_shorter_ones_have_no_far_pairs(make_model):
    tokenizer, model = DNATokenizer(), make_model(HyenaGLTModel, sequence_length=80, dtype=torch.float64)
    together = lag_profiles(model, tokenizer, [SEQUENCE, SEQUENCE[:20]], [1])[1]
    long, short = (lag_profiles(model, tokenizer, [text], [1])[1] for text in (SEQUENCE, SEQUENCE[:20]))
    assert together.lags.tolist() == list(range(len(SEQUENCE)))
    np.testing.assert_allclose(together.sums[:, :20], (long.sums[:, :20] + short.sums) / 2, atol=1e-14)
    np.testing.assert_allclose(together.sums[:, 20:], long.sums[:, 20:] / 2, atol=1e-14)
    assert together.pairs[30] == long.pairs[30] / 2


def test_attention_and_too_many_pairs_are_refused(make_model, monkeypatch):
    model = make_model(HyenaGLTModel, layout="hyena-attention", num_heads=2, sequence_length=80)
    seen, known = traced(model)
    with pytest.raises(ModelError, match="lag profiles are of layers with long filters"):
        lag_profile(seen.operator(1), known, 5)
    monkeypatch.setattr("genomic_lens.interpretability.attention.lag_profiles.MOST_POSITIONS", 50)
    assert lag_profile(seen.operator(0), known, 5).any(), "order 2 factors at any length"
    seen, known = traced(make_model(HyenaGLTModel, hyena_order=3, sequence_length=80))
    with pytest.raises(ModelError, match="has order 3, so that its lag profile needs all pairs of 54 bases"):
        lag_profile(seen.operator(0), known, 5)
    seen, known = traced(small_model(HyenaGLTModel, WAYS["routing"]))
    with pytest.raises(ModelError, match="works on chunks"):
        lag_profile(seen.operator(1), known, 5)
