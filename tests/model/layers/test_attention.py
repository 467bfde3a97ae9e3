"""Rotary attention: against its definition, alone and padded, spelt out, and one position at a time."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model.layers import attention
from genomic_lens.model.layers.attention import AttentionMemory, RotaryAttention, padding_shows, visible
from genomic_lens.model.layers.gates import Contraction, Exponential, Product, Reciprocal, explain
from genomic_lens.model.mixing.attention_mixing import AttentionMixing, rotary_tables, turn
from genomic_lens.model.mixing.tracing import mixers, trace

DOUBLE = torch.float64
SIDES = pytest.mark.parametrize("two_sided", [False, True])


@pytest.fixture
def build():
    """Makes a seeded layer of width 8 whose weights are far from uniform and in which no bias is zero."""

    def build(two_sided=False, dtype=DOUBLE, **changes):
        torch.manual_seed(1)
        options = {"d_model": 8, "num_heads": 2, "l_max": 32, "bias": True} | changes
        layer = RotaryAttention(two_sided=two_sided, **options)
        with torch.no_grad():
            layer.qkv_proj.weight *= 3
        return layer.to(dtype).eval()

    return build


def states(batch=1, length=12, width=8, seed=0):
    return torch.randn(batch, length, width, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


# --- what it computes -------------------------------------------------------------------------------------------------


def by_definition(layer: RotaryAttention, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and output for (length, d_model), a pair and a head at a time, channels turned as complex numbers."""
    length, heads, width = len(hidden), layer.num_heads, layer.head_width
    queries, keys, values = layer.qkv_proj(hidden).view(length, 3, heads, width).unbind(1)
    speeds = layer.base ** (-torch.arange(width // 2, dtype=DOUBLE) * 2 / width)

    def turned(vector, position):
        pairs = torch.complex(vector[: width // 2], vector[width // 2 :])
        return pairs * torch.polar(torch.ones(width // 2, dtype=DOUBLE), speeds * position)

    weights = torch.zeros(heads, length, length, dtype=DOUBLE)
    mixed = torch.zeros(length, heads, width, dtype=DOUBLE)
    for head in range(heads):
        for i in range(length):
            seen = range(length) if layer.two_sided else range(i + 1)
            scores = [(turned(queries[i, head], i) * turned(keys[j, head], j).conj()).real.sum() for j in seen]
            weights[head, i, : len(seen)] = (torch.stack(scores) / width**0.5).softmax(0)
            mixed[i, head] = weights[head, i] @ values[:, head]
    return weights, layer.out_proj(mixed.flatten(1))


@SIDES
@pytest.mark.parametrize("options", [{}, {"base": 100.0}, {"num_heads": 4}, {"num_heads": 1}, {"bias": False}])
def test_output_and_weights_are_those_of_the_definition(build, two_sided, options):
    """Angles are made in single precision, hence the tolerance."""
    layer, hidden = build(two_sided, **options), states()
    weights, expected = by_definition(layer, hidden[0])
    torch.testing.assert_close(layer(hidden)[0], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(layer.weights(hidden)[0], weights, rtol=0, atol=1e-6)
    assert weights.amax(-1).mean() > 0.4, "weights that are nearly uniform would test little"


def test_only_distances_matter(build):
    """The same input at positions 20 … 31 gives the same weights within itself as at 0 … 11."""
    layer, hidden = build(), states()
    scores = []
    for start in (0, 20):
        queries, keys, _ = layer.streams(hidden, start)
        scores.append(queries @ keys.mT)
    torch.testing.assert_close(*scores, rtol=0, atol=1e-5)
    assert (layer.streams(hidden)[0] - layer.streams(hidden, 20)[0]).abs().max() > 0.5


def test_turns_are_in_single_precision_in_a_half_precision_layer(build):
    layer, hidden = build(dtype=torch.bfloat16), states().bfloat16()
    projected = layer.qkv_proj(hidden).view(1, 12, 3, 2, 4).permute(2, 0, 3, 1, 4)
    tables = rotary_tables(torch.arange(20, 32), 4)
    for rank, found in enumerate(layer.streams(hidden, 20)[:2]):
        assert found.dtype == torch.bfloat16
        assert torch.equal(found, turn(projected[rank].float(), *tables).bfloat16())
        rough = turn(projected[rank], *(table.bfloat16() for table in tables))
        assert not torch.equal(found, rough), "in half precision throughout, the test would say nothing"


@SIDES
def test_later_positions_matter_only_to_two_sided_attention(build, two_sided):
    layer, hidden = build(two_sided), states()
    changed = hidden.clone()
    changed[:, 8:] = states(seed=1)[:, 8:]
    moved = (layer(changed) - layer(hidden)).abs().amax(dim=(0, 2))
    assert moved[8:].min() > 1e-3
    assert moved[:8].min() > 1e-3 if two_sided else moved[:8].max() == 0


def test_width_that_does_not_divide_into_even_heads_is_refused():
    for heads in (3, 8):
        with pytest.raises(ConfigurationError, match=f"d_model is 8 and num_heads {heads}"):
            RotaryAttention(8, heads, 16)


def test_input_beyond_the_reach_is_refused_and_the_longest_is_taken(build):
    layer = build(l_max=16)
    assert layer(states(length=16)).isfinite().all()
    for ask in (layer, layer.weights, lambda hidden: layer.mixing_operator(hidden[0])):
        with pytest.raises(ModelError, match="17 tokens; this attention reaches 16"):
            ask(states(length=17))


def test_dropout_acts_in_training_alone(build):
    layer, hidden = build(dropout=0.5), states()
    assert torch.equal(layer(hidden), layer(hidden))
    layer.train()
    assert not torch.allclose(layer(hidden), layer(hidden))


def test_output_projection_is_marked_as_one_that_writes_to_the_residual():
    assert RotaryAttention(8, 2, 16).out_proj.writes_residual


# --- masks ------------------------------------------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("side", ["left", "right", "both"])
@pytest.mark.parametrize("form", ["fused", "spelt out"])
def test_padding_neither_gives_nor_receives(build, two_sided, dtype, side, form):
    """Within 1e-6, for left padding shifts positions, and angles are rounded; padding's output is the bias alone."""
    layer, hidden = build(two_sided, dtype), states(length=6).to(dtype)
    layer.explaining = layer.softmax.explaining = form == "spelt out"
    noise = 100 * states(length=5, seed=1).to(dtype)
    parts = {"left": (noise, hidden), "right": (hidden, noise), "both": (noise, hidden, noise)}[side]
    mask = torch.cat([torch.full((1, part.shape[1]), part is hidden) for part in parts], dim=1)
    found = layer(torch.cat(parts, dim=1), mask)
    torch.testing.assert_close(found[mask], layer(hidden)[0], rtol=0, atol=1e-6)
    assert torch.equal(found[~mask], layer.out_proj.bias.expand_as(found[~mask]))


@SIDES
def test_sequences_of_a_batch_do_not_see_each_other(build, two_sided):
    """Lengths 12, 7 and 1, one padded on the left; integer masks are as good."""
    layer, hidden = build(two_sided), states(batch=3)
    mask = torch.zeros(3, 12, dtype=torch.long)
    spans = [slice(0, 12), slice(5, 12), slice(0, 1)]
    for row, span in enumerate(spans):
        mask[row, span] = 1
    found = layer(hidden, mask)
    for row, span in enumerate(spans):
        torch.testing.assert_close(found[row, span], layer(hidden[[row], span])[0], rtol=0, atol=1e-6)


@SIDES
def test_padding_gets_no_gradient_and_makes_none_undefined(build, two_sided):
    layer, hidden = build(two_sided), states(batch=2).requires_grad_()
    mask = torch.arange(12) >= torch.tensor([[0], [5]])
    layer(hidden, mask)[mask].square().sum().backward()
    assert hidden.grad.isfinite().all()
    assert hidden.grad[~mask].abs().max() == 0
    assert hidden.grad[mask].abs().amax(-1).min() > 1e-4


@SIDES
def test_the_fused_kernel_never_gets_a_row_that_sees_nothing(build, monkeypatch, two_sided):
    """Some kernels make such rows undefined, in their output or in its gradient."""
    fused, given = attention.scaled_dot_product_attention, []

    def spy(queries, keys, values, seen, *options, **more):
        given.append(seen)
        return fused(queries, keys, values, seen, *options, **more)

    monkeypatch.setattr(attention, "scaled_dot_product_attention", spy)
    layer, mask = build(two_sided), torch.arange(12) >= torch.tensor([[0], [5]])
    layer(states(batch=2), mask)
    assert given[0].any(-1).all()
    assert given[0].numel() == (2 * 12 if two_sided else 2 * 12 * 12), "of a two-sided layer one row for all positions"
    layer(states(batch=2), mask.fill_(True))
    assert given[1] is None


@SIDES
def test_weights_of_a_row_sum_to_one_and_are_zero_at_padding(build, two_sided):
    layer, hidden = build(two_sided), states(batch=2)
    mask = torch.arange(12) >= torch.tensor([[0], [5]])
    weights = layer.weights(hidden, mask)
    assert weights.shape == (2, 2, 12, 12)
    torch.testing.assert_close(weights.sum(-1), mask[:, None].double().expand(2, 2, 12), rtol=0, atol=1e-12)
    assert weights[1, :, :, :5].abs().max() == 0


@pytest.mark.parametrize(
    ("row", "shows"), [([1, 1, 1], False), ([1, 1, 0], False), ([0, 1, 1], True), ([1, 0, 1], True)]
)
def test_a_mask_is_made_only_where_padding_would_show(row, shows):
    mask = torch.tensor([[1, 1, 1], row])
    assert padding_shows(mask) == shows
    assert padding_shows(mask.bool()) == shows
    assert not padding_shows(None)


def test_who_sees_whom():
    assert visible(2)[0, 0].tolist() == [[True, False], [True, True]]
    assert visible(2, causal=False).all()
    assert visible(2, torch.tensor([[True, False]]), causal=False)[0, 0].tolist() == [[True, False], [False, False]]


# --- explain mode -----------------------------------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("padded", [False, True])
def test_spelt_out_form_is_the_fused_one(build, two_sided, padded):
    layer, hidden = build(two_sided), states(batch=3)
    mask = torch.arange(12) >= torch.tensor([[0], [3], [11]]) if padded else None
    fused = layer(hidden, mask)
    with explain(layer):
        assert layer.explaining
        torch.testing.assert_close(layer(hidden, mask), fused, rtol=0, atol=1e-12)


@SIDES
def test_every_product_and_nonlinearity_is_a_module_that_is_called_once(build, monkeypatch, two_sided):
    """With all of them replaced by linear maps the layer is affine in its input, so none is hidden elsewhere."""
    layer, calls = build(two_sided), []
    one, other = states(), states(seed=1)

    def bend():
        return (layer((one + other) / 2) - (layer(one) + layer(other)) / 2).abs().max()

    kinds = (Contraction, Exponential, Reciprocal, Product)
    steps = [name for name, module in layer.named_modules() if isinstance(module, kinds)]
    for name in steps:
        layer.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    with explain(layer), torch.no_grad():
        layer(one)
        assert calls == ["scores", "softmax.exponential", "softmax.reciprocal", "softmax.share", "mix"]
        assert sorted(calls) == sorted(steps)
        assert bend() > 1e-2
        scores = torch.randn(2, 4, 12, 12, dtype=DOUBLE)
        monkeypatch.setattr(layer.scores, "forward", lambda left, right: torch.einsum("bhid,hdij->bhij", left, scores))
        monkeypatch.setattr(layer.mix, "forward", lambda left, right: right)
        monkeypatch.setattr(Product, "forward", lambda self, left, right: 0.3 * left + 0.2 * right)
        monkeypatch.setattr(Exponential, "forward", lambda self, value: value.nan_to_num(neginf=0))
        monkeypatch.setattr(Reciprocal, "forward", lambda self, value: 0.5 * value)
        assert bend() < 1e-10


# --- one position after the other -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [[12], [11, 1], [1, 1, 10], [5, 1, 3, 3], [1] * 12])
def test_new_positions_are_those_of_the_whole_however_it_is_cut(build, cuts):
    layer, hidden = build(), states(batch=2)
    memory = layer.empty_memory(2, 12)
    found = torch.cat([layer.onwards(part, memory) for part in hidden.split(cuts, dim=1)], dim=1)
    torch.testing.assert_close(found, layer(hidden), rtol=0, atol=1e-12)
    assert memory.length == 12


@torch.no_grad()
def test_a_forked_memory_goes_its_own_way_with_each_sequence_so_many_times_in_a_row(build):
    layer, hidden = build(), states(batch=2)
    memory = layer.empty_memory(2, 12)
    layer.onwards(hidden[:, :7], memory)
    before = AttentionMemory(memory.keys.clone(), memory.values.clone(), 7)
    variants = states(batch=6, seed=1)[:, 7:]
    found = layer.onwards(variants, memory.fork(3))
    whole = layer(torch.cat([hidden[:, :7].repeat_interleave(3, 0), variants], dim=1))
    torch.testing.assert_close(found, whole[:, 7:], rtol=0, atol=1e-12)
    assert memory.length == 7
    assert torch.equal(memory.keys, before.keys)
    assert torch.equal(memory.values, before.values)


def test_what_cannot_be_led_on_is_refused(build):
    with pytest.raises(ModelError, match="two-sided"):
        build(two_sided=True).empty_memory(1, 8)
    layer = build()
    with pytest.raises(ModelError, match="33 tokens; this attention reaches 32"):
        layer.empty_memory(1, 33)
    memory = layer.empty_memory(1, 8)
    layer.onwards(states(length=6), memory)
    with pytest.raises(ModelError, match="9 positions came, and there is room for 8"):
        layer.onwards(states(length=3), memory)
    assert memory.length == 6


# --- its operator -----------------------------------------------------------------------------------------------------


class Model(nn.Module):
    """Embedding and attention: the least that a trace asks of a model."""

    def __init__(self, layer):
        super().__init__()
        self.table, self.layer = nn.Embedding(12, 8).double(), layer
        self.config = SimpleNamespace(pad_token_id=4)

    def forward(self, input_ids, attention_mask):
        return self.layer(self.table(input_ids), attention_mask)


def test_a_bare_layer_is_found_and_traced(build):
    model = Model(build())
    assert mixers(model) == [model.layer]
    ids = torch.randint(7, 11, (2, 9), generator=torch.Generator().manual_seed(0))
    ids[1, :4] = 4
    seen = trace(model, ids)
    for item in (0, 1):
        operator = seen.operator(0, item)
        assert isinstance(operator, AttentionMixing)
        assert operator.length == (9, 5)[item]
        rebuilt = operator.matvec(seen.entered(0, item)) + operator.offset
        torch.testing.assert_close(rebuilt, seen.mixed(0, item), rtol=0, atol=1e-6)


def test_operator_of_a_layer_carries_no_gradient(build):
    """A kept graph would hold the memory of every map that was drawn."""
    operator = build().mixing_operator(states()[0].requires_grad_())
    tensors = [*operator.factors()[:5], *operator.projections]
    found = operator.window(path="full"), operator.offset, operator.attention(), operator.rmatvec(states()[0])
    assert not any(tensor.requires_grad for tensor in (*tensors, *found))
