"""The Hyena operator against its matrix form, its masks, and a published implementation."""

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model.convolution.hyena import HyenaOperator

KINDS = [(order, two_sided) for order in (2, 3, 4) for two_sided in (False, True)]
every_kind = pytest.mark.parametrize(("order", "two_sided"), KINDS)


def convolution_matrix(taps: torch.Tensor, first_lag: int, length: int) -> torch.Tensor:
    """The matrix whose entry (i, j) is the tap at lag i - j."""
    matrix = torch.zeros(length, length, dtype=taps.dtype)
    for i in range(length):
        for j in range(length):
            if 0 <= i - j - first_lag < len(taps):
                matrix[i, j] = taps[i - j - first_lag]
    return matrix


@every_kind
def test_output_is_that_of_the_matrix_form(build_operator, order, two_sided):
    """y = W D(x_0) T(h_{N-2}) D(x_1) … T(h_0) D(x_{N-1}) v with dense matrices, and torch's own short convolution."""
    layer, length = build_operator(order, two_sided), 9
    hidden = torch.randn(length, 4, dtype=torch.float64)
    short, padding = layer.short_filter, 1 if two_sided else 2
    projected = layer.in_proj(hidden).T
    mixed = torch.nn.functional.conv1d(projected, short.weight, short.bias, padding=padding, groups=4 * (order + 1))
    *gates, value = mixed[:, :length].reshape(order + 1, 4, length)
    sides = [layer.filter_fn, layer.filter_fn_ahead] if two_sided else [layer.filter_fn]
    drawn = [side(length).reshape(order - 1, 4, length) for side in sides]
    channels = []
    for channel in range(4):
        signal = value[channel]
        for rank in range(order - 1):
            matrix = convolution_matrix(drawn[0][rank, channel], 0, length)
            if two_sided:
                matrix = matrix + convolution_matrix(drawn[1][rank, channel], 0, length).T.triu(1)
            signal = matrix @ (gates[order - 1 - rank][channel] * signal)
        channels.append(gates[0][channel] * signal)
    expected = layer.out_proj(torch.stack(channels).T)
    torch.testing.assert_close(layer(hidden[None])[0], expected, rtol=0, atol=1e-12)


@every_kind
def test_later_positions_matter_only_to_two_sided_operators(build_operator, order, two_sided):
    layer = build_operator(order, two_sided)
    hidden = torch.randn(1, 12, 4, dtype=torch.float64)
    changed = hidden.clone()
    changed[:, 8:] = torch.randn(1, 4, 4)
    moved = (layer(changed) - layer(hidden)).abs().amax(dim=(0, 2))
    assert moved[8:].min() > 1e-3
    assert moved[:7].min() > 1e-4 if two_sided else moved[:8].max() < 1e-13


@pytest.mark.parametrize("order", [2, 3])
def test_causal_output_of_a_prefix_is_the_prefix_of_the_output(build_operator, order):
    layer = build_operator(order)
    hidden = torch.randn(1, 16, 4, dtype=torch.float64)
    torch.testing.assert_close(layer(hidden[:, :7]), layer(hidden)[:, :7], rtol=0, atol=1e-13)


@every_kind
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_not_seen_whatever_it_holds(build_operator, order, two_sided, side):
    layer = build_operator(order, two_sided)
    hidden, padding = torch.randn(1, 6, 4, dtype=torch.float64), 100 * torch.randn(1, 5, 4, dtype=torch.float64)
    parts = (padding, hidden) if side == "left" else (hidden, padding)
    mask = torch.cat([torch.full((1, part.shape[1]), part is hidden) for part in parts], dim=1)
    found = layer(torch.cat(parts, dim=1), mask)[mask]
    torch.testing.assert_close(found, layer(hidden)[0], rtol=0, atol=1e-12)


def test_input_beyond_the_reach_is_refused_and_the_longest_is_taken(build_operator):
    layer = build_operator()
    assert layer(torch.zeros(1, 16, 4, dtype=torch.float64)).isfinite().all()
    with pytest.raises(ModelError, match="17 tokens; this operator reaches 16"):
        layer(torch.zeros(1, 17, 4, dtype=torch.float64))


def test_operator_without_a_filter_is_refused():
    with pytest.raises(ConfigurationError, match="order is 1"):
        HyenaOperator(d_model=4, l_max=8, order=1)


def test_options_reach_the_filters():
    layer = HyenaOperator(4, 32, filter_order=8, short_kernel=5, features=7, depth=3, frequency=2.5, shift=0.3)
    first = layer.filter_fn.linears[0]
    assert (first.in_features, first.out_features) == (7, 8)
    assert len(layer.filter_fn.linears) == 3 + 2
    assert (layer.filter_fn.frequency == 2.5).all()
    assert layer.filter_fn.shift == 0.3
    assert layer.short_filter.kernel_size == (5,)


def test_dropout_acts_in_training_alone(build_operator):
    layer, hidden = build_operator(dropout=0.5), torch.randn(1, 9, 4, dtype=torch.float64)
    assert torch.equal(layer(hidden), layer(hidden))
    layer.train()
    assert not torch.allclose(layer(hidden), layer(hidden))


def test_operator_of_a_layer_carries_no_gradient(build_operator):
    """A kept graph would hold the memory of every map that was drawn."""
    operator = build_operator(3).mixing_operator(torch.randn(6, 4, dtype=torch.float64, requires_grad=True))
    tensors = [*operator.factors()[:3], *(part for part in operator.projections if isinstance(part, torch.Tensor))]
    assert not any(tensor.requires_grad for tensor in (*tensors, operator.window(), operator.offset))


# --- parity -----------------------------------------------------------------------------------------------------------


def test_published_operator_of_order_three_is_reproduced(oracle):
    """Order 3 tells the order of gates and filters; order 2 has one of each and would pass with them swapped."""
    state = oracle("hyena_operator_order3.npz")
    for number in (3, 5):  # one frequency, shared by all layers and stored three times
        np.testing.assert_array_equal(
            state[f"sd.filter_fn.implicit_filter.{number}.freq"], state["sd.filter_fn.implicit_filter.1.freq"]
        )
    layer = HyenaOperator(d_model=16, l_max=66, order=3, filter_order=64, shift=0.05, tables=True)
    weights = {name: torch.from_numpy(state[f"sd.{name}"]) for name in layer.state_dict()}
    layer.load_state_dict(weights)
    found = layer(torch.from_numpy(state["u"])).detach().numpy()
    assert np.abs(state["y"]).max() > 0.1
    np.testing.assert_allclose(found, state["y"], rtol=0, atol=5e-6)
