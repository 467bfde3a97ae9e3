"""The mixing operator of attention against automatic differentiation, against its own definition, and by hand."""

import pytest
import torch

from genomic_lens.errors import ModelError
from genomic_lens.model.layers.attention import RotaryAttention
from genomic_lens.model.layers.gates import Softmax
from genomic_lens.model.mixing import attention_mixing
from genomic_lens.model.mixing.attention_mixing import (
    AttentionFactors,
    AttentionMixing,
    AttentionProjections,
    AttentionWeights,
    rotary_tables,
    turn,
)

LENGTH, WIDTH, DOUBLE = 11, 8, torch.float64
EVERYWHERE = slice(0, LENGTH)
PATHS = ["value", "gates", "full"]
every_path = pytest.mark.parametrize("path", PATHS)
both_sides = pytest.mark.parametrize("two_sided", [False, True])
every_kind = pytest.mark.parametrize(
    ("two_sided", "options"),
    [(side, options) for side in (False, True) for options in ({}, {"num_heads": 4, "bias": False}, {"num_heads": 1})],
)


@pytest.fixture
def build():
    """Makes a seeded layer whose weights are far from uniform and in which no bias is zero."""

    def build(two_sided=False, dtype=DOUBLE, **changes):
        torch.manual_seed(1)
        options = {"d_model": WIDTH, "num_heads": 2, "l_max": 16, "bias": True, "base": 100.0} | changes
        layer = RotaryAttention(two_sided=two_sided, **options)
        with torch.no_grad():
            layer.qkv_proj.weight *= 3
        return layer.to(dtype).eval()

    return build


@pytest.fixture
def hidden():
    return torch.randn(LENGTH, WIDTH, dtype=DOUBLE, generator=torch.Generator().manual_seed(7))


def jacobian(layer, hidden: torch.Tensor) -> torch.Tensor:
    """Derivative of each output (rows) with respect to each input, as (rows, columns, width, width)."""
    return torch.autograd.functional.jacobian(layer, hidden[None])[0, :, :, 0].permute(0, 2, 1, 3)


# --- exactness --------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (DOUBLE, 1e-12)])
def test_value_path_and_offset_rebuild_the_output(build, hidden, two_sided, options, dtype, tolerance):
    layer, hidden = build(two_sided, dtype, **options), hidden.to(dtype)
    operator, output = layer.mixing_operator(hidden), layer(hidden[None])[0].detach()
    assert operator.offset.shape == output.shape
    assert min(output.std(), operator.offset.std()) > 0.01, "a constant of zero would not test it"
    rebuilt = operator.matvec(hidden) + operator.offset
    torch.testing.assert_close(rebuilt, output, rtol=0, atol=tolerance * max(1, output.abs().max().item()))


@every_kind
def test_full_blocks_are_the_jacobian(build, hidden, two_sided, options):
    layer = build(two_sided, **options)
    found = layer.mixing_operator(hidden).blocks(EVERYWHERE, EVERYWHERE, "full")
    torch.testing.assert_close(found, jacobian(layer, hidden), rtol=0, atol=1e-10)


@every_kind
def test_value_blocks_are_the_jacobian_with_the_weights_held(build, hidden, monkeypatch, two_sided, options):
    """The weights are held inside the layer itself, by a softmax that passes no gradient."""
    layer = build(two_sided, **options)
    found = layer.mixing_operator(hidden).blocks(EVERYWHERE, EVERYWHERE, "value")
    layer.explaining = True
    monkeypatch.setattr(layer.softmax, "forward", lambda scores: Softmax.forward(layer.softmax, scores).detach())
    torch.testing.assert_close(found, jacobian(layer, hidden), rtol=0, atol=1e-10)


@every_kind
def test_gate_blocks_are_the_jacobian_with_the_values_held(build, hidden, monkeypatch, two_sided, options):
    layer = build(two_sided, **options)
    found = layer.mixing_operator(hidden).blocks(EVERYWHERE, EVERYWHERE, "gates")
    streams = layer.streams

    def with_held_values(hidden):
        queries, keys, values = streams(hidden)
        return queries, keys, values.detach()

    monkeypatch.setattr(layer, "streams", with_held_values)
    torch.testing.assert_close(found, jacobian(layer, hidden), rtol=0, atol=1e-10)


@every_kind
def test_each_path_has_a_share_of_its_own(build, hidden, two_sided, options):
    operator = build(two_sided, **options).mixing_operator(hidden)
    value, gates, full = (operator.blocks(EVERYWHERE, EVERYWHERE, path) for path in PATHS)
    torch.testing.assert_close(value + gates, full, rtol=0, atol=1e-12)
    assert min(value.norm(), gates.norm()) > 0.05 * full.norm()
    assert operator.share() == pytest.approx((value.norm() / full.norm()).item(), rel=1e-9)


@every_kind
def test_blocks_applied_to_an_input_are_the_matvec_and_transposed_the_rmatvec(build, hidden, two_sided, options):
    operator = build(two_sided, **options).mixing_operator(hidden)
    inputs, blocks = torch.randn_like(hidden), operator.blocks(EVERYWHERE, EVERYWHERE)
    forth, back = torch.einsum("ijoe,je->io", blocks, inputs), torch.einsum("ijoe,io->je", blocks, inputs)
    torch.testing.assert_close(operator.matvec(inputs), forth, rtol=0, atol=1e-12)
    torch.testing.assert_close(operator.rmatvec(inputs), back, rtol=0, atol=1e-12)


@every_kind
def test_rmatvec_is_the_adjoint_of_matvec(build, hidden, two_sided, options):
    operator = build(two_sided, **options).mixing_operator(hidden)
    x, y = torch.randn(2, LENGTH, WIDTH, dtype=DOUBLE)
    with torch.no_grad():
        left, right = (y * operator.matvec(x)).sum(), (operator.rmatvec(y) * x).sum()
    assert left.item() == pytest.approx(right.item(), abs=1e-11)
    assert abs(left) > 1e-3


@every_path
def test_causal_operator_has_nothing_above_the_diagonal_and_the_two_sided_one_has(build, hidden, path):
    causal, two_sided = (build(side).mixing_operator(hidden) for side in (False, True))
    assert causal.causal
    assert not two_sided.causal
    assert causal.window(path=path).triu(1).max() == 0
    assert causal.blocks(EVERYWHERE, EVERYWHERE, path).flatten(2).norm(dim=2).triu(1).max() == 0
    assert two_sided.window(path=path).triu(1).max() > 1e-2


# --- weights ----------------------------------------------------------------------------------------------------------


@both_sides
def test_weights_are_those_of_the_layer(build, hidden, two_sided):
    layer = build(two_sided)
    expected = layer.weights(hidden[None])[0]
    operator = layer.mixing_operator(hidden)
    torch.testing.assert_close(operator.attention(), expected, rtol=0, atol=1e-12)
    weights, rows, columns = AttentionWeights(operator.factors()), torch.tensor([7, 2, 2]), torch.tensor([0, 9, 2])
    torch.testing.assert_close(weights.between(rows, columns), expected[:, rows][..., columns], rtol=0, atol=1e-12)
    pairs = weights.between(rows[:, None], columns[:, None])
    torch.testing.assert_close(pairs[..., 0, 0], expected[:, rows, columns], rtol=0, atol=1e-12)
    mixed = expected[:, rows] @ operator.factors().values
    torch.testing.assert_close(weights.mixed(rows), mixed, rtol=0, atol=1e-12)


def test_only_the_rows_asked_for_are_computed_and_each_once(build, hidden, monkeypatch):
    """A row costs what a row must: nothing of the other rows."""
    operator, asked = build().mixing_operator(hidden), []
    scores_between = attention_mixing.scores_between

    def spy(factors, rows, columns):
        asked.append((rows.tolist(), len(columns)))
        return scores_between(factors, rows, columns)

    monkeypatch.setattr(attention_mixing, "scores_between", spy)
    first = operator.row(4)
    assert asked == [([4], LENGTH), ([4], LENGTH)]
    assert torch.equal(operator.row(4), first)
    assert asked[2:] == [([4], LENGTH)]
    del asked[:]
    operator.cells(torch.tensor([9, 4, 9]), torch.tensor([0, 1]))
    assert asked == [([9], LENGTH), ([9, 4, 9], 2)]


def test_turns_depend_on_the_distance_and_can_be_taken_back():
    states = torch.randn(2, 5, 6, dtype=DOUBLE)
    cosines, sines = rotary_tables(torch.arange(5), 6, base=100.0)
    assert cosines.dtype == torch.float32
    torch.testing.assert_close(sines[3], (3 * 100.0 ** -(torch.arange(3) / 3)).sin(), rtol=0, atol=1e-6)
    turned = turn(states, cosines, sines)
    assert turned.dtype == DOUBLE
    assert torch.equal(turned[:, 0], states[:, 0])
    torch.testing.assert_close(turned.norm(dim=-1), states.norm(dim=-1), rtol=1e-6, atol=0)
    torch.testing.assert_close(turn(turned, cosines, -sines), states, rtol=0, atol=1e-6)


# --- windows ----------------------------------------------------------------------------------------------------------


@every_kind
@every_path
def test_norms_are_the_frobenius_norms_of_the_blocks(build, hidden, two_sided, options, path):
    """Off the diagonal the norms come from products of the layer's matrices and never see a block."""
    operator = build(two_sided, **options).mixing_operator(hidden)
    expected = operator.blocks(EVERYWHERE, EVERYWHERE, path).flatten(2).norm(dim=2)
    found = operator.norms(EVERYWHERE, EVERYWHERE, path)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert expected.tril(-1).max() > 0.1


@every_path
def test_norms_in_single_precision_are_those_of_single_precision_blocks(build, hidden, path):
    operator = build(dtype=torch.float32).mixing_operator(hidden.float())
    found, blocks = operator.window(path=path), operator.blocks(EVERYWHERE, EVERYWHERE, path)
    assert found.dtype == DOUBLE
    expected = blocks.flatten(2).norm(dim=2)
    torch.testing.assert_close(found, expected.double(), rtol=1e-4, atol=1e-4)
    cells = operator.cells(torch.arange(LENGTH), torch.arange(LENGTH), path)
    torch.testing.assert_close(cells, expected, rtol=1e-3, atol=1e-3)


@both_sides
@every_path
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(2, 10), slice(4, 7)),
        (slice(4, 7), slice(2, 10)),
        (slice(3, 4), slice(0, LENGTH)),
        (slice(-4, None), slice(None, -5)),
        (slice(0, LENGTH, 3), slice(1, LENGTH, 2)),
    ],
)
def test_window_is_cut_from_the_whole(build, hidden, two_sided, rows, columns, path):
    operator = build(two_sided).mixing_operator(hidden)
    whole, norms = operator.blocks(EVERYWHERE, EVERYWHERE, path), operator.window(path=path)
    torch.testing.assert_close(operator.blocks(rows, columns, path), whole[rows][:, columns], rtol=0, atol=1e-12)
    torch.testing.assert_close(operator.window(rows, columns, path=path), norms[rows][:, columns], rtol=0, atol=1e-9)


@both_sides
@every_path
def test_rows_and_columns_are_those_of_the_window(build, hidden, two_sided, path):
    operator = build(two_sided).mixing_operator(hidden)
    window = operator.window(path=path)
    for position in range(LENGTH):
        torch.testing.assert_close(operator.row(position, path), window[position], rtol=0, atol=1e-9)
        torch.testing.assert_close(operator.column(position, path), window[:, position], rtol=0, atol=1e-9)


@both_sides
@every_path
def test_chosen_cells_are_those_of_the_window_wherever_they_are(build, hidden, two_sided, path):
    """Positions may come in any order, and more than once."""
    operator = build(two_sided).mixing_operator(hidden)
    rows, columns = torch.tensor([LENGTH - 1, 0, 5, 6, 5]), torch.tensor([6, 5, 0, 5, LENGTH - 1])
    expected = operator.window(path=path)[rows][:, columns]
    torch.testing.assert_close(operator.cells(rows, columns, path), expected, rtol=0, atol=1e-9)


@both_sides
@every_path
@pytest.mark.parametrize("strip", [1, 40, 300])
def test_nothing_depends_on_how_many_cells_are_computed_at_once(build, hidden, monkeypatch, two_sided, path, strip):
    expected = build(two_sided).mixing_operator(hidden).window(path=path)
    monkeypatch.setattr(attention_mixing, "STRIP", strip)
    operator = build(two_sided).mixing_operator(hidden)
    torch.testing.assert_close(operator.window(path=path), expected, rtol=0, atol=1e-9)
    blocks = operator.blocks(EVERYWHERE, EVERYWHERE, path)
    torch.testing.assert_close(blocks.flatten(2).norm(dim=2), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("position", [-1, LENGTH, 500])
def test_position_outside_the_sequence_is_refused(build, hidden, position):
    operator = build().mixing_operator(hidden)
    for ask in (operator.row, operator.column, operator.channel_use):
        with pytest.raises(ModelError, match=f"Position {position} came; expected 0 to {LENGTH - 1}"):
            ask(position)


@pytest.mark.parametrize(("rows", "columns"), [(slice(5, 5), slice(0, 3)), (slice(0, 3), slice(LENGTH, LENGTH + 4))])
def test_empty_window_is_refused(build, hidden, rows, columns):
    operator = build().mixing_operator(hidden)
    for ask in (operator.window, operator.blocks):
        with pytest.raises(ModelError, match="is empty; the sequence has 11 tokens"):
            ask(rows, columns)


def test_unknown_path_is_refused(build, hidden):
    operator = build().mixing_operator(hidden)
    for ask in (operator.norms, operator.blocks):
        with pytest.raises(ModelError, match="'values' came; expected one of value, gates, full"):
            ask(EVERYWHERE, EVERYWHERE, "values")


@both_sides
def test_the_use_of_a_channel_is_the_energy_of_a_row_that_has_no_other_channel(build, hidden, two_sided):
    operator = build(two_sided).mixing_operator(hidden)
    alone = []
    for channel in range(WIDTH):
        only = torch.zeros(WIDTH, dtype=DOUBLE)
        only[channel] = 1
        projections = operator.projections._replace(out_weight=operator.projections.out_weight * only.view(2, 4))
        alone.append(AttentionMixing(operator.factors(), projections).row(4).square().sum())
    use = operator.channel_use(4)
    torch.testing.assert_close(use, torch.stack(alone) / sum(alone), rtol=0, atol=1e-12)
    assert use.sum() == pytest.approx(1)


# --- by hand ----------------------------------------------------------------------------------------------------------


def by_hand() -> AttentionMixing:
    """Two heads of two channels over two positions, no turns; the second head carries nothing.

    Both positions look at both with weight one half, for all queries are zero.
    """
    values = torch.tensor([[[1.0, 0.0], [5.0, 0.0]], [[7.0, 7.0], [7.0, 7.0]]])
    keys = torch.tensor([[[1.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    factors = AttentionFactors(torch.zeros(2, 2, 2), keys, values, torch.ones(2, 1), torch.zeros(2, 1), False)
    weights = torch.eye(4).view(2, 2, 4).repeat(3, 1, 1, 1)
    weights[2, 0] *= 3
    out_weight = torch.eye(4).view(4, 2, 2).clone()
    out_weight[:, 1] = 0
    value_bias = torch.tensor([[1.0, 2.0], [50.0, 50.0]])
    return AttentionMixing(factors, AttentionProjections(weights, value_bias, out_weight, torch.full((4,), 0.5)))


def test_value_path_by_hand():
    """The first head's two channels, three times as large, halved by the weight: a block of 1.5 in two channels."""
    operator = by_hand()
    expected = torch.diag(torch.tensor([1.5, 1.5, 0.0, 0.0])).expand(2, 2, 4, 4)
    torch.testing.assert_close(operator.blocks(slice(0, 2), slice(0, 2)), expected)
    torch.testing.assert_close(operator.row(0), torch.full((2,), 1.5 * 2**0.5, dtype=DOUBLE))
    torch.testing.assert_close(operator.offset, torch.tensor([[1.5, 2.5, 0.5, 0.5]]).expand(2, 4))
    inputs = torch.tensor([[1.0, 0.0, 9.0, 9.0], [3.0, 4.0, 9.0, 9.0]])
    torch.testing.assert_close(operator.matvec(inputs), torch.tensor([[6.0, 6.0, 0.0, 0.0]]).expand(2, 4))


def test_query_path_by_hand():
    """Queries are zero, so keys move nothing. A query channel moves scores by its keys, 1 and 3, over the root of two.

    Values lie 2 below and 2 above their mean of 3: the output moves by (-2 · 1 + 2 · 3) / 2 / sqrt(2).
    """
    expected = torch.zeros(2, 2, 4, 4)
    expected[0, 0, 0, 0] = expected[1, 1, 0, 0] = 2 / 2**0.5
    torch.testing.assert_close(by_hand().blocks(slice(0, 2), slice(0, 2), "gates"), expected)
    torch.testing.assert_close(by_hand().window(path="gates"), torch.eye(2, dtype=DOUBLE) * 2**0.5)
