"""What one number says about a block: against the blocks themselves, in every kind of operator."""

import pytest
import torch

from genomic_lens.errors import ModelError
from genomic_lens.model.layers.attention import RotaryAttention
from genomic_lens.model.mixing.block_measures import (
    contributions,
    diagonal_norms,
    head_count,
    head_weights,
    one_head,
    traces,
)
from genomic_lens.model.mixing.chunk_mixing import SmoothingMixing, UnmergedMixing
from genomic_lens.model.mixing.operators import HyenaMixing
from tests.model.mixing.test_operators import PATHS

LENGTH, WIDTH = 11, 4
EVERYWHERE = slice(0, LENGTH)
WINDOWS = [
    (EVERYWHERE, EVERYWHERE),
    (slice(2, 9), slice(4, 7)),
    (slice(4, 6), EVERYWHERE),
    (slice(0, 11, 2), slice(3, 4)),
]
INDEX = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 4, -1, 5])
KINDS = ["hyena 2", "hyena 3", "hyena two-sided", "attention", "attention two-sided", "merged", "merged attention"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def states(count=LENGTH, seed=7):
    return torch.randn(count, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def operator_of(build_operator):
    def build(kind, count=LENGTH):
        torch.manual_seed(3)
        if kind.startswith("merged"):
            return UnmergedMixing(build("attention" if kind.endswith("attention") else "hyena 3", 6), INDEX)
        two_sided = kind.endswith("two-sided")
        if kind.startswith("attention"):
            layer = RotaryAttention(WIDTH, 2, 16, two_sided=two_sided, bias=True).double()
            torch.nn.init.normal_(layer.qkv_proj.weight)
        else:
            layer = build_operator(3 if kind.endswith("3") else 2, two_sided)
        return layer.mixing_operator(states(count))

    return build


def dense(operator, path="value"):
    return operator.blocks(EVERYWHERE, EVERYWHERE, path).detach()


# --- traces -----------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_traces_are_those_of_the_blocks(operator_of, kind, path, rows, columns):
    operator = operator_of(kind)
    expected = dense(operator, path).diagonal(dim1=-2, dim2=-1).sum(-1)[rows][:, columns]
    found = traces(operator, rows, columns, path)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert found.dtype == torch.float64


def test_an_operator_that_is_not_known_has_traces_by_its_blocks(operator_of, monkeypatch):
    smoothing = SmoothingMixing(torch.tensor([1.0, 0.5, 0.8], dtype=torch.float64), width=WIDTH)
    found = traces(smoothing, slice(0, 3), slice(0, 3))
    torch.testing.assert_close(found, WIDTH * smoothing.coefficients(slice(0, 3), slice(0, 3)))
    monkeypatch.setattr("genomic_lens.model.mixing.attention_mixing.STRIP", 1)
    torch.testing.assert_close(traces(smoothing, slice(1, 3), slice(0, 2)), found[1:, :2])
    torch.testing.assert_close(traces(smoothing, slice(0, 3, 2), slice(0, 2)), found[::2, :2])


def test_a_layer_that_copies_has_the_width_as_its_trace(operator_of):
    """Weights that all look at oneself, and projections that do nothing: each state arrives as it is."""
    layer = RotaryAttention(WIDTH, 2, 16).double()
    with torch.no_grad():
        layer.qkv_proj.weight.copy_(torch.cat([torch.zeros(2 * WIDTH, WIDTH), torch.eye(WIDTH)]))
        layer.out_proj.weight.copy_(torch.eye(WIDTH))
    first = traces(layer.mixing_operator(states()), slice(0, 1), slice(0, 1))
    assert float(first) == pytest.approx(WIDTH)


# --- the diagonal form ------------------------------------------------------------------------------------------------


def orthogonal(operator: HyenaMixing) -> HyenaMixing:
    """The same with an output projection whose columns are at right angles, of different lengths."""
    turned = torch.linalg.qr(operator.projections.out_weight)[0] * torch.tensor([1.0, 2.0, 3.0, 4.0])
    return HyenaMixing(operator.factors(), operator.projections._replace(out_weight=turned.double()))


@pytest.mark.parametrize("kind", ["hyena 2", "hyena 3", "hyena two-sided"])
@pytest.mark.parametrize("path", ["value", "gate 0", "gate 1"])
def test_the_diagonal_form_is_exact_where_columns_are_at_right_angles(operator_of, kind, path):
    """On one stream; between two streams of a channel there are products that it leaves out."""
    operator = orthogonal(operator_of(kind))
    exact = operator.norms(EVERYWHERE, EVERYWHERE, path)
    torch.testing.assert_close(diagonal_norms(operator, EVERYWHERE, EVERYWHERE, path), exact, rtol=1e-9, atol=1e-12)
    general = operator_of(kind)
    exact, found = general.norms(EVERYWHERE, EVERYWHERE, path), diagonal_norms(general, EVERYWHERE, EVERYWHERE, path)
    assert float((exact - found).norm() / exact.norm()) > 0.01


@pytest.mark.parametrize("kind", ["hyena 2", "hyena 3", "hyena two-sided", "merged"])
@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_the_diagonal_form_is_the_sum_over_channels(operator_of, kind, rows, columns):
    operator = operator_of(kind)
    inner = operator.inner if kind == "merged" else operator
    everything = slice(0, inner.length)
    kernels, (weights, out) = inner.kernels(everything, everything, "value")[:, :, 0], (
        inner.projections.weights[-1], inner.projections.out_weight,
    )  # fmt: skip
    squares = sum((kernels[..., d] * out[:, d].norm() * weights[d].norm()).square() for d in range(WIDTH))
    expected = squares.sqrt()
    if kind == "merged":
        places = INDEX.clamp_min(0)
        expected = expected[places][:, places] * operator.portion * (INDEX >= 0)[:, None]
    found = diagonal_norms(operator, rows, columns)
    torch.testing.assert_close(found, expected[rows][:, columns], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["attention", "attention two-sided", "merged attention"])
def test_of_attention_the_diagonal_form_leaves_out_what_heads_carry_together(operator_of, kind):
    operator = operator_of(kind)
    alone = [one_head(operator, head).norms(EVERYWHERE, EVERYWHERE).square() for head in (0, 1)]
    found = diagonal_norms(operator, EVERYWHERE, EVERYWHERE)
    torch.testing.assert_close(found, sum(alone).sqrt(), rtol=1e-9, atol=1e-12)
    with pytest.raises(ModelError, match="gates path of attention has no channel-diagonal form"):
        diagonal_norms(operator, EVERYWHERE, EVERYWHERE, "gates")


def test_smoothing_has_no_diagonal_form():
    with pytest.raises(ModelError, match="A SmoothingMixing has no channel-diagonal form"):
        diagonal_norms(SmoothingMixing(torch.ones(2), 1), slice(0, 2), slice(0, 2))


# --- contributions ----------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize(("rows", "columns"), WINDOWS)
def test_contributions_are_the_blocks_between_a_direction_and_an_input(operator_of, kind, rows, columns):
    operator, inputs, directions = operator_of(kind), states(seed=1), states(seed=2)
    expected = torch.einsum("io,ijoe,je->ij", directions, dense(operator), inputs)
    found = contributions(operator, inputs, directions, rows, columns)
    torch.testing.assert_close(found, expected[rows][:, columns], rtol=0, atol=1e-12)


@every_kind
def test_rows_of_contributions_add_up_to_the_output(operator_of, kind, monkeypatch):
    operator, inputs, directions = operator_of(kind), states(), states(seed=2)
    for strip in (2**18, 1, 100):
        monkeypatch.setattr("genomic_lens.model.mixing.attention_mixing.STRIP", strip)
        cells = contributions(operator, inputs, directions, EVERYWHERE, EVERYWHERE)
        expected = (directions * operator.matvec(inputs)).sum(-1)
        torch.testing.assert_close(cells.sum(1), expected, rtol=0, atol=1e-12)
    assert expected.std() > 1e-2


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["attention", "attention two-sided", "merged attention"])
@pytest.mark.parametrize("path", PATHS)
def test_heads_together_are_the_layer(operator_of, kind, path):
    operator = operator_of(kind)
    assert head_count(operator) == 2
    heads = [one_head(operator, head) for head in (0, 1)]
    torch.testing.assert_close(sum(dense(head, path) for head in heads), dense(operator, path), rtol=0, atol=1e-12)
    inputs = states(seed=1)
    torch.testing.assert_close(sum(head.matvec(inputs) for head in heads), operator.matvec(inputs))
    torch.testing.assert_close(sum(head.rmatvec(inputs) for head in heads), operator.rmatvec(inputs))
    torch.testing.assert_close(sum(head.offset for head in heads), operator.offset)
    for head in heads:
        norms = head.norms(EVERYWHERE, EVERYWHERE, path)
        torch.testing.assert_close(norms, dense(head, path).flatten(2).norm(dim=2), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["attention", "attention two-sided"])
def test_weights_are_those_of_the_attention(operator_of, kind):
    operator = operator_of(kind)
    weights = head_weights(operator, EVERYWHERE, EVERYWHERE)
    torch.testing.assert_close(weights, operator.attention(), rtol=0, atol=1e-12)
    torch.testing.assert_close(head_weights(operator, slice(2, 5), slice(1, 3)), weights[:, 2:5, 1:3])
    torch.testing.assert_close(head_weights(one_head(operator, 1), EVERYWHERE, EVERYWHERE)[0], weights[1])


def test_weights_between_chunks_are_divided_among_their_tokens(operator_of):
    operator = operator_of("merged attention")
    weights = head_weights(operator, EVERYWHERE, EVERYWHERE)
    inside = INDEX >= 0
    torch.testing.assert_close(weights[:, inside].sum(-1), torch.ones(2, int(inside.sum())).double())
    assert weights[:, ~inside].abs().max() == weights[:, :, ~inside].abs().max() == 0
    torch.testing.assert_close(weights[:, 3, 0], operator.inner.attention()[:, 2, 0] / 2)


def test_what_has_no_heads_says_so(operator_of):
    operator = operator_of("hyena 2")
    assert head_count(operator) == head_count(operator_of("merged")) == 0
    with pytest.raises(ModelError, match="HyenaMixing has no heads"):
        one_head(operator, 0)
    with pytest.raises(ModelError, match="HyenaMixing has no attention weights"):
        head_weights(operator, EVERYWHERE, EVERYWHERE)
    with pytest.raises(ModelError, match="Head 2 was asked for; this layer has 2"):
        one_head(operator_of("attention"), 2)


# --- gates one by one -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hyena 2", "hyena 3", "hyena two-sided"])
def test_gates_one_by_one_add_up(operator_of, kind):
    operator = operator_of(kind)
    each = [dense(operator, f"gate {gate}") for gate in range(operator.order)]
    torch.testing.assert_close(sum(each), dense(operator, "gates"), rtol=0, atol=1e-12)
    assert min(part.norm() for part in each) > 0.01
    norms = operator.norms(EVERYWHERE, EVERYWHERE, "gate 1")
    torch.testing.assert_close(norms, each[1].flatten(2).norm(dim=2), rtol=1e-7, atol=1e-9)
    with pytest.raises(ModelError, match="'gate 9' came; expected one of value, gates, full, gate 0"):
        operator.norms(EVERYWHERE, EVERYWHERE, "gate 9")
