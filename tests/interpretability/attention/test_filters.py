"""Filters: reach and spectrum of taps that can be worked out by hand, and taps that are those of the layer."""

import numpy as np
import pytest
import torch
from torch import nn

from genomic_lens.errors import ModelError
from genomic_lens.interpretability.attention.filters import energy_reach, filter_bank, spectrum
from genomic_lens.model.mixing.tracing import mixers
from genomic_lens.model.pretrained import fingerprint


@pytest.mark.parametrize(
    ("taps", "first_lag", "share", "reach"),
    [
        ([1, 0, 0, 0], 0, 0.95, 0),
        ([0, 0, 1, 0], 0, 0.95, 2),
        ([3, 0, 0, 1], 0, 0.90, 0),  # energies 9 and 1: nine tenths lie at lag 0
        ([3, 0, 0, 1], 0, 0.91, 3),
        ([0, 1, 0, 0, 2], -2, 0.95, 2),
        ([1, 0, 0, 0, 0], -4, 0.95, 4),  # a filter that only looks four bases ahead
        ([1, 1, 1], -1, 0.5, 1),
        ([0, 0, 0], 0, 0.95, 0),
    ],
)
def test_reach_by_hand(taps, first_lag, share, reach):
    lags = np.arange(first_lag, first_lag + len(taps))
    assert energy_reach(np.array([taps], dtype=float), lags, share).tolist() == [reach]


def test_reach_adds_both_sides():
    """A distance counts forwards and backwards together: 1 + 1 of 4 at distance 0 and 1, all at 2."""
    taps, lags = np.array([[1.0, 0.0, 1.0, 1.0, 1.0]]), np.arange(-2, 3)
    assert [int(energy_reach(taps, lags, share)[0]) for share in (0.25, 0.5, 0.75, 0.95)] == [0, 1, 2, 2]


def test_an_impulse_lets_every_frequency_through_and_two_taps_those_that_agree():
    """Two equal taps at lags 0 and 1 add up to 2|cos(pi f)|, two opposite ones to 2|sin(pi f)|."""
    frequencies, magnitude = spectrum(np.array([[0, 1.0, 0], [1, 1, 0], [1, -1, 0]]))
    np.testing.assert_allclose(magnitude[0], 1, atol=1e-12)
    np.testing.assert_allclose(magnitude[1], 2 * np.cos(np.pi * frequencies), atol=1e-12)
    np.testing.assert_allclose(magnitude[2], 2 * np.sin(np.pi * frequencies), atol=1e-12)
    assert (frequencies[0], frequencies[-1]) == (0, 0.5)


@pytest.mark.parametrize("period", [2, 3, 10.5])
def test_a_wave_peaks_at_its_frequency(period):
    """Three bases are a codon, ten and a half a turn of the helix."""
    frequencies, magnitude = spectrum(np.cos(2 * np.pi * np.arange(600) / period)[None])
    assert frequencies[magnitude[0].argmax()] == pytest.approx(1 / period, abs=1 / 1200)


def passing(model, layer):
    """Open all gates of a layer and switch everything off that mixes, so that only its long filters are left."""
    mixer = mixers(model)[layer]
    with torch.no_grad():
        mixer.in_proj.weight.zero_()
        mixer.in_proj.weight[-mixer.d_model :] = torch.eye(mixer.d_model)
        mixer.in_proj.bias.fill_(1)[-mixer.d_model :] = 0
        mixer.short_filter.weight.zero_()
        mixer.short_filter.weight[:, 0, 1 if mixer.two_sided else -1] = 1
        mixer.short_filter.bias.zero_()
        mixer.out_proj.weight.copy_(torch.eye(mixer.d_model))
        mixer.out_proj.bias.zero_()
    return mixer.eval()


@pytest.mark.parametrize("two_sided", [False, True], ids=["causal", "two-sided"])
def test_the_bank_is_what_one_base_leaves_behind_in_the_layer(make_model, two_sided):
    """With gates open, the layer's answer to an impulse in the middle is its filter, lag by lag, on both sides."""
    model = make_model(two_sided=two_sided, dtype=torch.float64)
    bank = filter_bank(model, layer=1, length=21)
    impulse = torch.zeros(1, 21, 8, dtype=torch.float64)
    impulse[:, 10] = 1
    answer = passing(model, 1)(impulse)[0].detach().numpy().T
    seen = np.abs(bank.lags) <= 10
    np.testing.assert_allclose(answer[:, 10 + bank.lags[seen]], bank.impulse[:, seen], atol=1e-12)
    assert (bank.lags.min(), bank.lags.max()) == (-20 if two_sided else 0, 20)
    assert (np.abs(answer[:, :9]).max() > 1e-3) is np.bool_(two_sided)


def test_filters_of_a_layer_come_in_the_order_in_which_they_are_applied(make_model):
    """With order 3, gate x_1 stands between filter 0 and filter 1: closed but for one position, it shows filter 1."""
    model = make_model(hyena_order=3, dtype=torch.float64)
    first, second = (filter_bank(model, layer=0, index=index, length=21).impulse for index in (0, 1))
    mixer = passing(model, 0)
    impulse = torch.zeros(1, 21, 8, dtype=torch.float64)
    impulse[:, 0] = 1
    both = mixer(impulse)[0].detach().numpy().T
    for channel in range(8):
        np.testing.assert_allclose(both[channel], np.convolve(first[channel], second[channel])[:21], atol=1e-12)
    mixer.gates[1].register_forward_hook(lambda _, inputs, __: torch.roll(impulse, 4, 1).transpose(1, 2) * inputs[0])
    only = mixer(impulse)[0].detach().numpy().T
    np.testing.assert_allclose(only[:, 4:], first[:, 4:5] * second[:, :17], atol=1e-12)


def test_the_record_says_what_it_holds(make_model):
    model = make_model()
    bank = filter_bank(model, layer=1)
    assert (bank.layer, bank.index, bank.model) == (1, 0, fingerprint(model))
    assert bank.impulse.shape == (8, 40)
    assert bank.lags.tolist() == list(range(40))
    np.testing.assert_array_equal(bank.reach, energy_reach(bank.impulse, bank.lags))
    np.testing.assert_array_equal(bank.spectrum, spectrum(bank.impulse)[1])
    assert (filter_bank(model, layer=0).impulse != bank.impulse).any()
    np.testing.assert_allclose(filter_bank(model, layer=1, length=9).impulse, bank.impulse[:, :9], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 2}, "Layer 2 was asked for; those with long filters are 0, 1"),
        ({"layer": -1}, "Layer -1 was asked for"),
        ({"layer": 0, "index": 1}, "Filter 1 was asked for; layer 0 has 1"),
        ({"layer": 0, "index": -1}, "Filter -1 was asked for"),
        ({"layer": 0, "length": 41}, "41 lags were asked for; this model reaches 1 to 40"),
        ({"layer": 0, "length": 0}, "0 lags were asked for"),
    ],
)
def test_what_a_model_does_not_have_is_refused(make_model, options, message):
    with pytest.raises(ModelError, match=message):
        filter_bank(make_model(), **options)


def test_a_model_without_long_filters_is_refused():
    with pytest.raises(ModelError, match="those with long filters are none"):
        filter_bank(nn.Linear(1, 1), layer=0)
