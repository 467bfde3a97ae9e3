"""Mixing operators against automatic differentiation, against their own definition, and against numbers by hand."""

import pytest
import torch

from genomic_lens.errors import ModelError
from genomic_lens.model.layers.gates import Product
from genomic_lens.model.mixing import operators
from genomic_lens.model.mixing.operators import (
    HyenaFactors,
    HyenaMixing,
    HyenaProjections,
    pool_norms,
    short_convolution,
    walk_backward,
    walk_forward,
)

LENGTH, WIDTH = 11, 4
EVERYWHERE = slice(0, LENGTH)
PATHS = ["value", "gates", "full"]
KINDS = [(order, two_sided) for order in (2, 3, 4) for two_sided in (False, True)]
every_kind = pytest.mark.parametrize(("order", "two_sided"), KINDS)


def jacobian(layer, hidden: torch.Tensor) -> torch.Tensor:
    """Derivative of each output (rows) with respect to each input, as (rows, columns, width, width)."""
    return torch.autograd.functional.jacobian(layer, hidden[None])[0, :, :, 0].permute(0, 2, 1, 3)


@pytest.fixture
def hidden():
    torch.manual_seed(7)
    return torch.randn(LENGTH, WIDTH, dtype=torch.float64)


@pytest.fixture
def operator(build_operator, hidden):
    """Order 3, looking both ways: every branch of the code is on its path."""
    return build_operator(order=3, two_sided=True).mixing_operator(hidden)


# --- exactness --------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_value_path_and_offset_rebuild_the_output(build_operator, hidden, order, two_sided, dtype, tolerance):
    layer = build_operator(order, two_sided, dtype)
    hidden = hidden.to(dtype)
    operator = layer.mixing_operator(hidden)
    output = layer(hidden[None])[0].detach()
    assert output.std() > 0.01
    assert operator.offset.std() > 1e-3, "a constant of zero would not test it"
    rebuilt = operator.matvec(hidden) + operator.offset
    torch.testing.assert_close(rebuilt, output, rtol=0, atol=tolerance * max(1, output.abs().max().item()))


@every_kind
def test_full_blocks_are_the_jacobian(build_operator, hidden, order, two_sided):
    layer = build_operator(order, two_sided)
    found = layer.mixing_operator(hidden).blocks(EVERYWHERE, EVERYWHERE, "full")
    torch.testing.assert_close(found, jacobian(layer, hidden), rtol=0, atol=1e-12)


@every_kind
def test_value_blocks_are_the_jacobian_with_gates_held(build_operator, hidden, monkeypatch, order, two_sided):
    """Gates are held inside the layer itself, by a product that passes no gradient to its gate."""
    layer = build_operator(order, two_sided)
    found = layer.mixing_operator(hidden).blocks(EVERYWHERE, EVERYWHERE, "value")
    monkeypatch.setattr(Product, "forward", lambda self, signal, gate: signal * gate.detach())
    torch.testing.assert_close(found, jacobian(layer, hidden), rtol=0, atol=1e-12)


@every_kind
def test_gate_blocks_are_the_jacobian_with_the_value_held(build_operator, hidden, monkeypatch, order, two_sided):
    layer = build_operator(order, two_sided)
    found = layer.mixing_operator(hidden).blocks(EVERYWHERE, EVERYWHERE, "gates")
    streams = layer.streams

    def with_held_value(*inputs):
        *gates, value = streams(*inputs)
        return (*gates, value.detach())

    monkeypatch.setattr(layer, "streams", with_held_value)
    torch.testing.assert_close(found, jacobian(layer, hidden), rtol=0, atol=1e-12)


@every_kind
def test_value_and_gates_add_up_to_the_full_jacobian(build_operator, hidden, order, two_sided):
    operator = build_operator(order, two_sided).mixing_operator(hidden)
    value, gates, full = (operator.blocks(EVERYWHERE, EVERYWHERE, path) for path in PATHS)
    torch.testing.assert_close(value + gates, full, rtol=0, atol=1e-13)
    assert min(value.norm(), gates.norm()) > 0.05 * full.norm(), "each part must matter for the sum to say anything"


@every_kind
def test_blocks_applied_to_an_input_are_the_matvec(build_operator, hidden, order, two_sided):
    operator = build_operator(order, two_sided).mixing_operator(hidden)
    inputs = torch.randn_like(hidden)
    expected = torch.einsum("ijoe,je->io", operator.blocks(EVERYWHERE, EVERYWHERE), inputs)
    torch.testing.assert_close(operator.matvec(inputs), expected, rtol=0, atol=1e-12)


@every_kind
def test_rmatvec_is_the_adjoint_of_matvec(build_operator, hidden, order, two_sided):
    operator = build_operator(order, two_sided).mixing_operator(hidden)
    x, y = torch.randn(2, LENGTH, WIDTH, dtype=torch.float64)
    left, right = (y * operator.matvec(x)).sum(), (operator.rmatvec(y) * x).sum()
    assert left.item() == pytest.approx(right.item(), abs=1e-12)
    assert abs(left) > 1e-3


@pytest.mark.parametrize("stream", range(4))
def test_walking_back_is_the_adjoint_of_walking_forth_from_every_door(operator, stream):
    x, y = torch.randn(2, WIDTH, LENGTH, dtype=torch.float64)
    left = (y * walk_forward(operator.factors(), stream, x)).sum()
    right = (walk_backward(operator.factors(), stream, y) * x).sum()
    assert left.item() == pytest.approx(right.item(), abs=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_causal_operator_has_nothing_above_the_diagonal_and_the_two_sided_one_has(build_operator, hidden, order):
    for path in PATHS:
        ahead = build_operator(order).mixing_operator(hidden).window(path=path).triu(1)
        assert ahead.max() < 1e-13
        assert build_operator(order, True).mixing_operator(hidden).window(path=path).triu(1).max() > 1e-2


# --- windows ----------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("path", PATHS)
def test_norms_are_the_frobenius_norms_of_the_blocks(build_operator, hidden, order, two_sided, path):
    """The norms come from a Gram matrix and never see a block."""
    operator = build_operator(order, two_sided).mixing_operator(hidden)
    expected = operator.blocks(EVERYWHERE, EVERYWHERE, path).flatten(2).norm(dim=2)
    torch.testing.assert_close(operator.norms(EVERYWHERE, EVERYWHERE, path), expected, rtol=1e-7, atol=1e-9)


def test_norms_in_single_precision_are_those_of_single_precision_blocks(build_operator, hidden):
    operator = build_operator(3, dtype=torch.float32).mixing_operator(hidden.float())
    found, blocks = operator.window(path="full"), operator.blocks(EVERYWHERE, EVERYWHERE, "full")
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, blocks.flatten(2).norm(dim=2).double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(2, 10), slice(4, 7)),  # tall: by columns
        (slice(4, 7), slice(2, 10)),  # wide: by rows
        (slice(3, 4), slice(0, LENGTH)),
        (slice(-4, None), slice(None, -5)),
        (slice(0, LENGTH, 3), slice(1, LENGTH, 2)),
        (slice(1, LENGTH, 2), slice(0, LENGTH, 3)),
    ],
)
def test_window_is_cut_from_the_whole_whether_made_by_rows_or_by_columns(operator, rows, columns, path):
    whole = operator.blocks(EVERYWHERE, EVERYWHERE, path)
    torch.testing.assert_close(operator.blocks(rows, columns, path), whole[rows][:, columns], rtol=0, atol=1e-12)
    norms = operator.window(path=path)[rows][:, columns]
    torch.testing.assert_close(operator.norms(rows, columns, path), norms, rtol=0, atol=1e-9)
    torch.testing.assert_close(operator.window(rows, columns, path=path), norms, rtol=0, atol=1e-9)


@pytest.mark.parametrize("path", PATHS)
def test_rows_and_columns_are_those_of_the_window(operator, path):
    window = operator.window(path=path)
    for position in range(LENGTH):
        torch.testing.assert_close(operator.row(position, path), window[position], rtol=0, atol=1e-9)
        torch.testing.assert_close(operator.column(position, path), window[:, position], rtol=0, atol=1e-9)


@pytest.mark.parametrize("position", [-1, LENGTH, 500])
def test_position_outside_the_sequence_is_refused(operator, position):
    for ask in (operator.row, operator.column):
        with pytest.raises(ModelError, match=f"Position {position} came; expected 0 to {LENGTH - 1}"):
            ask(position)


@pytest.mark.parametrize(("rows", "columns"), [(slice(5, 5), slice(0, 3)), (slice(0, 3), slice(LENGTH, LENGTH + 4))])
def test_empty_window_is_refused(operator, rows, columns):
    with pytest.raises(ModelError, match="is empty; the sequence has 11 tokens"):
        operator.window(rows, columns)


def test_unknown_path_is_refused(operator):
    with pytest.raises(ModelError, match="'values' came; expected one of value, gates, full"):
        operator.window(path="values")


@pytest.mark.parametrize("path", PATHS)
def test_share_compares_a_path_with_the_whole_on_the_window_asked_for(operator, path):
    rows, columns = slice(2, 9), slice(0, 5)
    expected = operator.blocks(rows, columns, path).norm() / operator.blocks(rows, columns, "full").norm()
    assert operator.share(path, rows, columns) == pytest.approx(expected.item(), rel=1e-9)
    if path != "full":
        assert operator.share(path, rows, columns) != pytest.approx(operator.share(path), rel=1e-3)


def test_share_of_a_silent_window_is_zero_and_not_undefined(operator):
    gates, signals, filters, first_lag = operator.factors()
    silent = HyenaFactors(0 * gates, 0 * signals, filters, first_lag)
    assert HyenaMixing(silent, operator.projections).share() == 0


# --- pooling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bins", "height", "width"), [(3, 9, 6), (4, 10, 7), (5, 5, 11), (1, 6, 6), (20, 4, 6), (7, 12, 3)]
)
def test_pooling_keeps_the_energy_whether_or_not_bins_divide_the_window(bins, height, width):
    """Each cell stands for as many squares as it covers; cells that overlapped would count some of them twice."""
    torch.manual_seed(0)
    norms = torch.rand(height, width, dtype=torch.float64)
    pooled = pool_norms(norms, bins)
    assert pooled.shape == (min(bins, height), min(bins, width))
    heights, widths = ([len(part) for part in torch.arange(side).tensor_split(min(bins, side))] for side in norms.shape)
    area = torch.tensor(heights)[:, None] * torch.tensor(widths)
    assert (area * pooled.square()).sum().item() == pytest.approx(norms.square().sum().item())
    assert max(heights) - min(heights) <= 1


def test_pooled_cell_is_the_root_of_the_mean_square_of_what_it_covers():
    norms = torch.arange(15, dtype=torch.float64).reshape(3, 5)
    covered = norms[:2, 3:]
    assert pool_norms(norms, 2)[0, 1].item() == pytest.approx(covered.square().mean().sqrt().item())
    assert torch.equal(pool_norms(norms, 5), norms)


def test_window_in_bins_is_the_pooled_window(operator):
    rows, columns = slice(1, 11), slice(0, 7)
    expected = pool_norms(operator.window(rows, columns, path="full"), 3)
    torch.testing.assert_close(operator.window(rows, columns, bins=3, path="full"), expected)


# --- by hand ----------------------------------------------------------------------------------------------------------


def by_hand() -> HyenaMixing:
    """Two channels, three positions, one filter a channel, short convolutions that pass through but for one stream."""
    factors = HyenaFactors(
        gates=torch.tensor([[[1.0, 2.0, 5.0], [1.0, 1.0, 1.0]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]),
        signals=torch.tensor([[[1.0, 0.0, 7.0], [0.0, 0.0, 0.0]], [[1.0, 1.0, 1.0], [0.0, 2.0, 0.0]]]),
        filters=torch.tensor([[[0.5, 0.25, 0.0], [1.0, 0.0, 0.0]]]),
        first_lag=0,
    )
    identity = torch.eye(2)
    projections = HyenaProjections(
        weights=torch.stack([identity, identity, torch.tensor([[1.0, 1.0], [0.0, 2.0]])]),
        biases=torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]),
        short_taps=torch.tensor([[[1.0, 0.0]] * 2, [[1.0, 0.0]] * 2, [[1.0, 10.0], [1.0, 0.0]]]),
        short_biases=torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 3.0]]),
        short_first_lag=0,
        out_weight=torch.tensor([[1.0, 0.0], [2.0, 1.0]]),
        out_bias=torch.tensor([0.5, 0.0]),
    )
    return HyenaMixing(factors, projections)


def test_value_block_by_hand():
    """From position 1 to 2: channel 0 through lag 1 by gates 5 and 2, and through lag 0 by the short tap 10."""
    channel_0 = 5 * 0.25 * 2 * 1 + 5 * 0.5 * 3 * 10  # 77.5
    channel_1 = 0.0  # its filter has no lag but 0
    expected = torch.tensor([[channel_0, channel_0], [2 * channel_0, 2 * channel_0 + 2 * channel_1]])
    block = by_hand().blocks(slice(2, 3), slice(1, 2))[0, 0]
    torch.testing.assert_close(block, expected, rtol=0, atol=1e-4)
    assert by_hand().norms(slice(2, 3), slice(1, 2)).item() == pytest.approx(77.5 * 10**0.5, rel=1e-6)


def test_gate_blocks_by_hand():
    """Gate 0 acts at its own position on the signal there; gate 1 acts where it stands and the filter carries it on."""
    operator = by_hand()
    here = operator.blocks(slice(2, 3), slice(2, 3), "gates")[0, 0]
    channel_0 = 7 + 5 * 0.5 * 1  # signal of gate 0, plus gate 0 times lag 0 times the signal of gate 1
    torch.testing.assert_close(here, torch.tensor([[channel_0, 0.0], [2 * channel_0, 0.0]]), rtol=0, atol=1e-5)
    before = operator.blocks(slice(2, 3), slice(1, 2), "gates")[0, 0]
    torch.testing.assert_close(before, torch.tensor([[5 * 0.25, 0.0], [2 * 5 * 0.25, 0.0]]), rtol=0, atol=1e-5)


def test_matvec_and_offset_by_hand():
    """Position 0 sees itself alone: value, both gates, lag 0, output projection."""
    operator = by_hand()
    inputs = torch.tensor([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    mixed = torch.tensor([1 * 0.5 * 1 * (1 + 2), 1 * 1 * 4 * (2 * 2)])
    expected = torch.stack([mixed[0], 2 * mixed[0] + mixed[1]])
    torch.testing.assert_close(operator.matvec(inputs)[0], expected, rtol=0, atol=1e-5)
    constant = torch.tensor([1 * 0.5 * 1 * 1, 1 * 1 * 4 * 3.0])
    torch.testing.assert_close(
        operator.offset[0], torch.stack([constant[0] + 0.5, 2 * constant[0] + constant[1]]), rtol=0, atol=1e-5
    )


# --- the short convolution --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "first_lag"), [(3, 0), (3, -1), (3, -2), (5, -2), (1, 0), (2, 3), (3, -7)])
def test_short_convolution_equals_the_double_loop(count, first_lag):
    torch.manual_seed(0)
    signal, taps = torch.randn(2, 3, 6, dtype=torch.float64), torch.randn(3, count, dtype=torch.float64)
    expected = torch.zeros_like(signal)
    for i in range(6):
        for tap in range(count):
            if 0 <= i - first_lag - tap < 6:
                expected[..., i] += taps[:, tap] * signal[..., i - first_lag - tap]
    torch.testing.assert_close(short_convolution(signal, taps, first_lag), expected, rtol=0, atol=1e-14)


@every_kind
@pytest.mark.parametrize("path", PATHS)
def test_chosen_cells_are_those_of_the_window_wherever_they_are(build_operator, hidden, order, two_sided, path):
    """Order 2 has a formula of its own, without convolutions; at both ends short taps reach over the edge."""
    operator = build_operator(order, two_sided).mixing_operator(hidden)
    some = torch.tensor([LENGTH - 1, 0, 5, 6]), torch.tensor([6, 5, 0, 1, LENGTH - 1])
    stretch = torch.arange(2, LENGTH), torch.arange(LENGTH - 3)  # neighbours are read in another way
    for rows, columns in (some, stretch):
        expected = operator.window(path=path)[rows][:, columns]
        assert expected.max() > 0
        torch.testing.assert_close(operator.cells(rows, columns, path), expected, rtol=0, atol=1e-12)


@every_kind
def test_the_use_of_a_channel_is_the_energy_of_a_row_that_has_no_other_channel(
    build_operator, hidden, order, two_sided
):
    operator = build_operator(order, two_sided).mixing_operator(hidden)
    alone = []
    for channel in range(operator.width):
        only = torch.zeros(operator.width, dtype=torch.float64)
        only[channel] = 1
        projections = operator.projections._replace(out_weight=operator.projections.out_weight * only)
        alone.append(HyenaMixing(operator.factors(), projections).row(4).square().sum())
    use = operator.channel_use(4)
    torch.testing.assert_close(use, torch.stack(alone) / sum(alone), rtol=0, atol=1e-12)
    assert use.sum() == pytest.approx(1)


@pytest.mark.parametrize("path", PATHS)
def test_cells_do_not_depend_on_how_many_are_computed_at_once(build_operator, hidden, monkeypatch, path):
    operator = build_operator(2, False).mixing_operator(hidden)
    everything = torch.arange(LENGTH)
    expected = operator.cells(everything, everything, path)
    monkeypatch.setattr(operators, "STRIP", 1)
    torch.testing.assert_close(operator.cells(everything, everything, path), expected, rtol=0, atol=1e-14)
