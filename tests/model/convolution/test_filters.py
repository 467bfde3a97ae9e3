"""The network that draws the filters: its formula, its window, and a published implementation."""

import math

import numpy as np
import pytest
import torch

from genomic_lens.model.convolution.filters import ImplicitFilter, decay_rates, decay_window, lag_features


def test_taps_are_those_of_the_formula_written_out_for_one_lag():
    """In plain Python, lag by lag: no tensors, no broadcasting, no order of axes in common with the module."""
    torch.manual_seed(0)
    network = ImplicitFilter(3, l_max=20, width=4, features=5, depth=1, frequency=2.0, shift=0.1).double()
    first, inner, last = network.linears

    def dense(layer, inputs):
        bias = [0.0] * len(layer.weight) if layer.bias is None else layer.bias.tolist()
        return [
            sum(w * x for w, x in zip(row, inputs, strict=True)) + b
            for row, b in zip(layer.weight.tolist(), bias, strict=True)
        ]

    for lag in (0, 1, 7, 19):
        angles = [band * 2 * math.pi * lag / 20 for band in (1e-4, 1.0)]
        inputs = [lag / 19, *map(math.cos, angles), *(-math.sin(angle) for angle in angles)]
        for layer in (first, inner):
            inputs = [math.sin(f * x) for f, x in zip(network.frequency[0].tolist(), dense(layer, inputs), strict=True)]
        taps = dense(last, inputs)
        for channel in range(3):
            rate = math.log(100) / 1.5 + channel / 2 * (math.log(100) / 0.3 - math.log(100) / 1.5)
            tap = taps[channel] * (math.exp(-rate * lag / 19) + 0.1) + (network.bias[channel].item() if lag == 0 else 0)
            assert network(20)[channel, lag].item() == pytest.approx(tap, abs=1e-12)


def test_tap_at_a_lag_does_not_depend_on_how_many_are_drawn():
    torch.manual_seed(0)
    network = ImplicitFilter(4, l_max=64).double()
    torch.testing.assert_close(network(10), network(64)[:, :10], rtol=0, atol=1e-14)


def test_skip_is_added_to_lag_zero_and_to_nothing_else():
    torch.manual_seed(0)
    network = ImplicitFilter(4, l_max=16)
    before = network(16).detach()
    with torch.no_grad():
        network.bias += torch.tensor([1.0, 2.0, -3.0, 0.0])
    change = network(16).detach() - before
    torch.testing.assert_close(change[:, 0], torch.tensor([1.0, 2.0, -3.0, 0.0]), rtol=0, atol=1e-6)
    assert torch.equal(change[:, 1:], torch.zeros(4, 15))


def test_window_reaches_one_percent_where_its_description_says():
    place = torch.tensor([[0.0], [0.3], [1.5]], dtype=torch.float64)
    rates = decay_rates(5, place)
    window = decay_window(place, rates, shift=0.0)
    torch.testing.assert_close(window[0], torch.ones(5, dtype=torch.float64))
    assert window[2, 0].item() == pytest.approx(0.01)
    assert window[1, -1].item() == pytest.approx(0.01)
    assert (window[1:].diff(dim=1) < 0).all(), "each channel decays faster than the one before"
    torch.testing.assert_close(decay_window(place, rates, shift=0.25), window + 0.25)


def test_place_runs_from_zero_to_one_over_the_length_of_the_model():
    place, described = lag_features(5, 9, 7, torch.zeros(1, dtype=torch.float64))
    assert place.flatten().tolist() == [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8]
    assert described.shape == (5, 7)
    torch.testing.assert_close(described[:, 1:4].square() + described[:, 4:].square(), torch.ones(5, 3).double())


def test_shortest_model_has_a_finite_tap():
    assert ImplicitFilter(2, l_max=1, features=3)(1).isfinite().all()


def test_every_parameter_draws():
    network = ImplicitFilter(4, l_max=32)
    network(32).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad != 0).any(), name


def test_filters_are_the_same_under_autocast():
    """In half precision the places of neighbouring lags fall together, and the filter turns into stairs."""
    torch.manual_seed(0)
    network = ImplicitFilter(4, l_max=4096)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(4096)
    assert found.dtype == torch.float32
    assert torch.equal(found, network(4096))


# --- parity -----------------------------------------------------------------------------------------------------------


def published_filter(state: dict[str, np.ndarray], prefix: str, **options) -> ImplicitFilter:
    """Our filter with the weights of a published one, name by name."""
    l_max = state[f"{prefix}.pos_emb.z"].shape[1]
    network = ImplicitFilter(state[f"{prefix}.bias"].size, l_max, **options)
    network.load_state_dict({name: torch.from_numpy(state[f"{prefix}.{name}"]) for name in network.state_dict()})
    return network


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("hyenadna_tiny.npz", "state.backbone.layers.0.mixer.filter_fn"),
        ("hyena_operator_order3.npz", "sd.filter_fn"),
    ],
)
def test_places_features_and_rates_are_the_published_ones(oracle, name, prefix):
    state = oracle(name)
    l_max = state[f"{prefix}.pos_emb.z"].shape[1]
    place, described = lag_features(l_max, l_max, 5, torch.zeros(1, dtype=torch.float64))
    np.testing.assert_allclose(place.numpy(), state[f"{prefix}.pos_emb.t"][0], atol=1e-6)
    np.testing.assert_allclose(described.numpy(), state[f"{prefix}.pos_emb.z"][0], atol=1e-6)
    rates = decay_rates(state[f"{prefix}.bias"].size, place)
    np.testing.assert_allclose(rates.numpy(), np.abs(state[f"{prefix}.modulation.deltas"][0, 0]), rtol=1e-6)


@pytest.mark.parametrize(("tables", "tolerance"), [(True, 1e-6), (False, 2e-5)])
def test_filter_of_a_published_model_is_reproduced(oracle, tables, tolerance):
    """Tables that are computed anew differ from the stored ones by 3e-7, and the sines magnify that."""
    state = oracle("hyenadna_tiny.npz")
    network = published_filter(state, "state.backbone.layers.0.mixer.filter_fn", shift=0.05, tables=tables)
    taps = network(256).detach()
    taps[:, 0] -= network.bias.detach()  # theirs is stored without it
    assert np.abs(state["filter.layer0"]).mean() > 0.01
    np.testing.assert_allclose(taps.T.numpy(), state["filter.layer0"], rtol=0, atol=tolerance)


def test_tables_that_are_kept_draw_the_same_filter():
    torch.manual_seed(0)
    kept = ImplicitFilter(3, l_max=32, tables=True).double()
    computed = ImplicitFilter(3, l_max=32).double()
    computed.load_state_dict(kept.state_dict(), strict=False)
    torch.testing.assert_close(kept(20), computed(20), rtol=0, atol=1e-5)
    names = {name: tuple(value.shape) for name, value in kept.named_buffers()}
    assert names == {"pos_emb.z": (1, 32, 5), "pos_emb.t": (1, 32, 1), "modulation.deltas": (1, 1, 3)}
