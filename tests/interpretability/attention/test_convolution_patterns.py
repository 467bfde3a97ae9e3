"""Filters that are worked out by hand: delays, half-lives, periods and reaches are found back exactly."""

import math

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError, ModelError
from genomic_lens.interpretability import filter_bank
from genomic_lens.interpretability.attention.convolution_patterns import (
    convolution_patterns,
    envelope_half_life,
    frequency_response,
    weighted_median,
)
from genomic_lens.model import HyenaGLTModel
from genomic_lens.model.mixing.tracing import mixers
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaModel
from tests.model.chunks.test_stages import WAYS, small_model

SEQUENCES = ["ACGTTGCATTGACCAGTACGTAGGCATTACAGTTACGATCGATTACGAGTCAGT", "TTGACCATGCATTACGATCGATTACG"]


# --- single filters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 1, 7, -3])
def test_a_delta_holds_everything_back_by_its_lag(lag):
    lags = np.arange(-8, 9)
    frequencies, magnitude, delay = frequency_response(2.0 * (lags == lag)[None], lags)
    np.testing.assert_allclose(magnitude, 2, atol=1e-12)
    np.testing.assert_allclose(delay, lag, atol=1e-9)
    assert envelope_half_life(1.0 * (lags == lag)[None], lags)[0] == pytest.approx(abs(lag))
    assert 1 / 3 in frequencies.round(12).tolist() or np.isclose(frequencies, 1 / 3, atol=1e-15).any()


@pytest.mark.parametrize("half_life", [0.5, 3.0, 40.0])
def test_an_exponential_in_closed_form(half_life):
    """tau(w) = Re(a e^-iw / (1 - a e^-iw)); at frequency 0 that is a / (1 - a)."""
    lags, keep = np.arange(int(60 * half_life) + 60), 0.5 ** (1 / half_life)
    impulse = keep ** lags[None].astype(float)
    frequencies, magnitude, delay = frequency_response(impulse, lags)
    turned = keep * np.exp(-2j * np.pi * frequencies)
    np.testing.assert_allclose(magnitude[0], 1 / np.abs(1 - turned), rtol=1e-9)
    np.testing.assert_allclose(delay[0], (turned / (1 - turned)).real, atol=1e-7)
    assert envelope_half_life(impulse, lags)[0] == pytest.approx(half_life, rel=1e-9)


def test_the_group_delay_is_the_slope_of_the_phase():
    impulse = np.random.default_rng(0).standard_normal((1, 9)) * 0.5 ** np.arange(9)
    frequencies, _, delay = frequency_response(impulse, np.arange(9))
    slope = []
    for frequency in frequencies[1:-1]:
        ends = np.exp(-2j * np.pi * np.outer([frequency - 1e-6, frequency + 1e-6], np.arange(9))) @ impulse[0]
        slope.append(-np.angle(ends[1] / ends[0]) / (2 * np.pi * 2e-6))
    np.testing.assert_allclose(delay[0, 1:-1], slope, rtol=1e-4, atol=1e-4)


def test_silence_and_zeros_of_the_response_have_no_delay():
    _, _, delay = frequency_response(np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]), np.arange(3))
    assert np.isnan(delay[0, 0]), "nothing of frequency 0 comes through"
    assert np.isfinite(delay[0, 5])
    assert np.isnan(delay[1]).all()
    assert np.isnan(envelope_half_life(np.zeros((1, 3)), np.arange(3))).all()


def test_medians_by_weight():
    values, weights = np.array([[5.0, 1.0, 9.0]] * 3), np.array([[1.0, 5.0, 1.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(weighted_median(values, weights), [1, 9, np.nan])


# --- layers -----------------------------------------------------------------------------------------------------------


def modal_model(two_sided=False, **changes):
    shape = {"vocab_size": 12, "num_heads": 2, "sequence_length": 96, "filter_modes": 2, "initializer_range": 0.3}
    torch.manual_seed(0)
    shape |= {"d_model": 8, "n_layers": 3, "layout": "modal-attention-se", "two_sided": two_sided}
    return StripedHyenaModel(StripedHyenaConfig(**shape | changes)).double()


def turn(filters, half_life, period):
    """One loud mode in every channel, and a silent one."""
    with torch.no_grad():
        filters.log_rates.copy_((math.log(2) / torch.tensor([half_life, 1.0], dtype=torch.float64)).log())
        filters.angles.copy_(2 * math.pi / torch.tensor([period, 5.0], dtype=torch.float64))
        filters.residues.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        if filters.bias is not None:
            filters.bias.zero_()


def test_modes_are_read_exactly_and_responses_agree():
    model = modal_model()
    turn(mixers(model)[0].filter_fn, 12.0, 3.0)
    (found,) = convolution_patterns(model, layers=[0])
    assert (found.layer, found.index, found.read_from, found.model) == (0, 0, "modes", fingerprint(model))
    np.testing.assert_allclose(found.half_lives, 12, rtol=1e-12)
    np.testing.assert_allclose(found.periods, 3, rtol=1e-12)
    loudest = found.frequencies[found.spectrum.argmax(1)]
    np.testing.assert_allclose(loudest, 1 / 3, atol=1e-12)
    np.testing.assert_allclose(envelope_half_life(found.impulse, found.lags.astype(int)), 12, rtol=0.06)
    energy = np.square(found.impulse[0])
    assert found.reach[0] == np.flatnonzero(energy.cumsum() >= 0.95 * energy.sum())[0]
    np.testing.assert_allclose(found.delay, (energy * np.arange(96)).sum() / energy.sum(), rtol=1e-12)


def test_the_delay_is_the_group_delay_averaged_by_energy():
    (found,) = convolution_patterns(modal_model(), layers=[0])
    ends = np.ones(found.frequencies.shape)
    ends[[0, -1]] = 0.5  # of a real signal, the ends of the spectrum are there once
    weight = np.square(found.spectrum) * ends
    mean = np.nansum(weight * np.nan_to_num(found.group_delay), axis=1) / weight.sum(1)
    np.testing.assert_allclose(found.delay, mean, rtol=1e-6)


def test_two_sided_layers_have_modes_and_lags_on_both_sides():
    model = modal_model(two_sided=True)
    mixer = mixers(model)[0]
    turn(mixer.filter_fn, 4.0, 3.0)
    turn(mixer.filter_fn_ahead, 30.0, 10.5)
    (found,) = convolution_patterns(model, sequences=SEQUENCES, layers=[0])
    assert found.lags[0] == -found.lags[-1] == -95
    np.testing.assert_allclose(found.half_lives, 30, rtol=1e-12)  # the mode ahead has more energy
    np.testing.assert_allclose(found.periods, 10.5, rtol=1e-12)
    assert found.profile_lags[0] == -(len(SEQUENCES[0]) - 1)
    assert (found.delay < 0).all()


def test_explicit_filters_have_as_many_lags_as_taps_and_are_those_of_the_bank():
    model = modal_model()
    found = {pattern.layer: pattern for pattern in convolution_patterns(model, DNATokenizer(), SEQUENCES)}
    assert sorted(found) == [0, 2], "attention has no filter"
    short, bank = found[2], filter_bank(model, 2)
    assert short.read_from == "response"
    assert len(short.lags) == mixers(model)[2].filter_fn.reach
    np.testing.assert_array_equal(short.impulse, bank.impulse)
    np.testing.assert_array_equal(short.reach, bank.reach)
    assert (short.reach <= 6).all()
    assert short.sequences == 2


def test_orders_above_two_have_a_record_a_set_of_filters(make_model):
    model = make_model(HyenaGLTModel, hyena_order=3, sequence_length=80)
    found = convolution_patterns(model, sequences=SEQUENCES, layers=[1])
    assert [(pattern.layer, pattern.index) for pattern in found] == [(1, 0), (1, 1)]
    for pattern in found:
        np.testing.assert_array_equal(pattern.impulse, filter_bank(model, 1, pattern.index).impulse)
    np.testing.assert_array_equal(found[0].profile, found[1].profile)


def test_strength_is_what_the_projections_do_to_a_channel(make_model):
    model = make_model(HyenaGLTModel, sequence_length=80)
    mixer = mixers(model)[0]
    before, behind = mixer.in_proj.weight[16:].norm(dim=1), mixer.out_proj.weight.norm(dim=0)
    (found,) = convolution_patterns(model, layers=[0])
    np.testing.assert_allclose(found.strength, (before * behind).detach().numpy(), rtol=1e-6)
    assert found.profile.shape == (8, 0)


@pytest.mark.parametrize("way", ["routing", "merging", "two stages"])
def test_on_chunks_lags_are_as_long_as_the_chunks(way):
    model = small_model(HyenaGLTModel, WAYS[way])
    inner = {"two stages": 2}.get(way, 1)
    (found,) = convolution_patterns(model, sequences=SEQUENCES[:1], layers=[inner])
    assert found.bases_per_lag > 1
    plain = filter_bank(model, inner)
    np.testing.assert_allclose(found.lags, plain.lags * found.bases_per_lag)
    np.testing.assert_allclose(found.reach, plain.reach * found.bases_per_lag)
    np.testing.assert_allclose(found.half_lives, envelope_half_life(plain.impulse, plain.lags) * found.bases_per_lag)
    np.testing.assert_array_equal(np.diff(found.profile_lags), 1)  # the profile is between bases
    with pytest.raises(ModelError, match=f"Layer {inner} works on chunks, whose length depends on the sequence"):
        convolution_patterns(model, layers=[inner])


def test_a_shorter_length_says_how_much_is_left_out(make_model):
    model = make_model(HyenaGLTModel, sequence_length=80)
    (found,) = convolution_patterns(model, layers=[0], length=10)
    assert (len(found.lags), found.longest) == (10, 80)
    for length in (0, 81):
        with pytest.raises(DataError, match="reaches 1 to 80"):
            convolution_patterns(model, layers=[0], length=length)


def test_what_a_model_does_not_have_is_refused(make_model):
    model = make_model(HyenaGLTModel, layout="attention", num_heads=2)
    with pytest.raises(ModelError, match="None of the 2 layers of this model has long filters; AttentionAnalyzer"):
        convolution_patterns(model)
    with pytest.raises(ModelError, match="Layer 1 was asked for; those with long filters are 0, 2"):
        convolution_patterns(modal_model(), layers=[1])


def test_a_masked_base_counts_for_nothing(make_model):
    model = make_model(HyenaGLTModel, sequence_length=80)
    (found,) = convolution_patterns(model, sequences=[SEQUENCES[0][:20] + "N" + SEQUENCES[0][21:]], layers=[0])
    assert found.pairs[0] == len(SEQUENCES[0]) - 1
    assert np.isfinite(found.mean_profile).all()
