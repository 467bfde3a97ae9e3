"""Attention between bases and their patches: exact against dense attention, by hand, with padding, and explained."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.interpretability.attribution.rules import exact_rules
from genomic_lens.model.chunks.chunking import reduce_by_chunk, to_bases
from genomic_lens.model.chunks.patch_attention import (
    PatchPooling,
    PatchSoftmax,
    PatchUnpooling,
    own_patch,
    pooling_weights,
)
from genomic_lens.model.layers.gates import explain

DOUBLE = torch.float64
WIDTH, HEADS = 6, 2
INDEX = torch.tensor([[0, 0, 0, 1, 2, 2, 2, 2, 3, 3], [0, 1, 1, 2, 2, 2, 3, 3, 3, 3], [0, 0, 1, 1, 1, 1, 1, 2, 2, 3]])
PATCHES = 4


def build(kind, **options):
    """A seeded layer whose norms are not trivial."""
    torch.manual_seed(0)
    layer = kind(WIDTH, HEADS, **options).to(DOUBLE)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def bases(batch=3, length=10):
    torch.manual_seed(1)
    return torch.randn(batch, length, WIDTH, dtype=DOUBLE)


class Both(nn.Module):
    """From bases to patches and back, added to what was there."""

    def __init__(self, index=INDEX, **options):
        super().__init__()
        causal = options.pop("causal", False)
        self.pooling, self.unpooling = build(PatchPooling, **options), build(PatchUnpooling, causal=causal)
        self.index = index

    def forward(self, hidden):
        index = self.index[:1].expand(len(hidden), -1) if len(hidden) != len(self.index) else self.index
        return hidden + self.unpooling(hidden, self.pooling(hidden, index, PATCHES), index)


POOLINGS = [{"how": how, "queries": queries} for how in ("max", "mean") for queries in (1, 3)]


# --- who sees whom --------------------------------------------------------------------------------------------------


def test_visibility_equals_the_public_code(oracle):
    state = oracle("blt_patch.npz")
    seen = own_patch(torch.from_numpy(state["patch_ids"]), patches=21, repeats=2)
    np.testing.assert_array_equal(seen[:, None], state["xattn_dec"])
    np.testing.assert_array_equal(seen.transpose(1, 2)[:, None], state["xattn_enc"])


def test_sums_and_maxima_equal_a_loop_over_patches():
    """Patches without bases, bases without patches, and numbers in no order."""
    torch.manual_seed(0)
    index, values = torch.randint(-1, 5, (4, 30)), torch.randn(4, 30, 2, 3)
    index[0][index[0] == 2] = -1
    sums, peaks = reduce_by_chunk(values, index, 6), reduce_by_chunk(values, index, 6, "amax")
    for row in range(4):
        for patch in range(6):
            own = values[row, index[row] == patch]
            torch.testing.assert_close(sums[row, patch], own.sum(0))
            assert torch.equal(peaks[row, patch], own.amax(0) if len(own) else torch.full((2, 3), -torch.inf))
    given = to_bases(sums, index)
    for row in range(4):
        for base, patch in enumerate(index[row]):
            assert torch.equal(given[row, base], sums[row, patch] if patch >= 0 else torch.zeros(2, 3))


def test_long_patches_are_counted_without_rounding():
    """In half precision, adding ones would stop at 256."""
    hidden, index = torch.ones(1, 5000, 2, dtype=torch.bfloat16), torch.zeros(1, 5000, dtype=torch.long)
    assert reduce_by_chunk(hidden, index, 1).flatten().tolist() == pytest.approx([5000] * 2, rel=0.01)
    for how in ("max", "mean"):
        weights = pooling_weights(hidden, index, 1, how)
        assert weights.sum(1).flatten().tolist() == pytest.approx([1] * weights.shape[2], rel=1e-3)


# --- against dense attention ----------------------------------------------------------------------------------------


def heads(values):
    """(batch, tokens, width) to (batch, heads, tokens, width of a head)."""
    return values.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def dense(layer, asks, norm, offers, other_norm, seen):
    """Attention of all tokens to all others, with a table of who sees whom."""
    query, key, value = layer.q_proj(norm(asks)), *(part(other_norm(offers)) for part in (layer.k_proj, layer.v_proj))
    found = functional.scaled_dot_product_attention(*map(heads, (query, key, value)), attn_mask=seen[:, None])
    return layer.out_proj(found.transpose(1, 2).flatten(2))


def densely_pooled(layer, hidden, index):
    how = {"max": lambda own: own.amax(0), "mean": lambda own: own.mean(0)}[layer.how]
    rows = [
        torch.stack([how(row[of == patch]) for patch in range(PATCHES)]) for row, of in zip(hidden, index, strict=True)
    ]
    asks = layer.to_queries(torch.stack(rows)).reshape(len(hidden), PATCHES * layer.queries, WIDTH)
    seen = own_patch(index, PATCHES, layer.queries).transpose(1, 2)
    found = asks + dense(layer, asks, layer.norm_queries, hidden, layer.norm_bases, seen)
    return layer.join(found.reshape(len(hidden), PATCHES, -1))


def densely_unpooled(layer, hidden, states, index):
    offers = layer.to_keys(states).reshape(len(hidden), -1, WIDTH)
    seen = own_patch(index - int(layer.causal), PATCHES, layer.keys)
    found = dense(layer, hidden, layer.norm_bases, offers, layer.norm_keys, seen | ~seen.any(-1, keepdim=True))
    return found * seen.any(-1, keepdim=True)


def same_values_and_gradients(one, other, inputs):
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    weights = torch.randn(one.shape, dtype=DOUBLE)
    slopes = [torch.autograd.grad((found * weights).sum(), inputs) for found in (one, other)]
    for here, there in zip(*slopes, strict=True):
        torch.testing.assert_close(here, there, rtol=0, atol=1e-10)
        assert here.abs().max() > 1e-3


@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_pooling_equals_dense_attention(options):
    layer, hidden = build(PatchPooling, **options), bases().requires_grad_()
    inputs = (hidden, *layer.parameters())
    same_values_and_gradients(layer(hidden, INDEX, PATCHES), densely_pooled(layer, hidden, INDEX), inputs)


@pytest.mark.parametrize("keys", [2, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_unpooling_equals_dense_attention(causal, keys):
    layer = build(PatchUnpooling, keys=keys, causal=causal)
    hidden, states = bases().requires_grad_(), bases(length=PATCHES).requires_grad_()
    found = layer(hidden, states, INDEX)
    same_values_and_gradients(found, densely_unpooled(layer, hidden, states, INDEX), (hidden, states))
    first = INDEX == 0
    assert (found[first] == 0).all() == causal
    assert (found[~first].abs().sum(-1) > 1e-3).all()


@pytest.mark.parametrize("options", [*POOLINGS, {"keys": 2}, {"keys": 3}], ids=str)
def test_every_parameter_learns(options):
    layer = build(PatchUnpooling if "keys" in options else PatchPooling, **options)
    others = (bases(length=PATCHES), INDEX) if "keys" in options else (INDEX, PATCHES)
    found = layer(bases(), *others)
    (found * torch.randn(found.shape, dtype=DOUBLE)).sum().backward()
    assert {name: parameter.grad.abs().max() > 1e-6 for name, parameter in layer.named_parameters()} == dict.fromkeys(
        dict(layer.named_parameters()), True
    )


def test_nothing_grows_with_bases_times_patches():
    """What is kept for the backward pass: never more than queries times the states of the bases."""
    length, largest = 3000, []
    index, layer = (torch.arange(length) // 2)[None], build(PatchPooling, queries=2)
    unpooling = build(PatchUnpooling)

    def note(saved):
        largest.append(saved.numel())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
        hidden = bases(1, length).requires_grad_()
        unpooling(hidden, layer(hidden, index, length // 2), index)
    assert max(largest) <= 2 * length * WIDTH


# --- by hand --------------------------------------------------------------------------------------------------------


def bare(kind, **options):
    """One channel, every map the identity, no norms."""
    layer = kind(1, 1, **options).to(DOUBLE)
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    for name, _ in list(layer.named_children()):
        if name.startswith("norm"):
            setattr(layer, name, nn.Identity())
    return layer


def test_pooling_solved_by_hand():
    """Bases 1 and 3 are asked with their maximum 3: scores 3 and 9, so 1 counts 1 / (1 + e^6). Base 2 is alone."""
    hidden, index = torch.tensor([[[1.0], [3.0], [2.0]]], dtype=DOUBLE), torch.tensor([[0, 0, 1]])
    found = bare(PatchPooling)(hidden, index, 2).flatten().tolist()
    assert found == pytest.approx([3 + 3 - 2 / (1 + math.exp(6)), 4], abs=1e-14)
    found = bare(PatchPooling, how="mean")(hidden, index, 2).flatten().tolist()
    assert found == pytest.approx([2 + 3 - 2 / (1 + math.exp(4)), 4], abs=1e-14)


def test_unpooling_solved_by_hand():
    """Base 1 is offered the keys 2 and 6 by its patch, base 0.5 the keys -1 and -3."""
    layer = bare(PatchUnpooling)
    layer.to_keys.weight.data = torch.tensor([[1.0], [3.0]], dtype=DOUBLE)
    hidden = torch.tensor([[[1.0], [0.5], [7.0]]], dtype=DOUBLE)
    states, index = torch.tensor([[[2.0], [-1.0]]], dtype=DOUBLE), torch.tensor([[0, 1, -1]])
    expected = [6 - 4 / (1 + math.exp(4)), -1 - 2 / (1 + math.e), 0]
    assert layer(hidden, states, index).flatten().tolist() == pytest.approx(expected, abs=1e-14)
    layer.causal = True
    expected = [0, 6 - 4 / (1 + math.exp(2)), 0]
    assert layer(hidden, states, index).flatten().tolist() == pytest.approx(expected, abs=1e-14)


def test_bases_that_share_a_maximum_share_its_weight():
    hidden = torch.tensor([[[2.0], [1.0], [2.0], [0.0]]])
    weights = pooling_weights(hidden, torch.tensor([[0, 0, 0, 1]]), 2)
    assert weights.flatten().tolist() == [0.5, 0, 0.5, 1]


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_shares_sum_to_one_in_each_patch_however_large_the_scores(scale):
    scores = scale * torch.randn(3, 10, 2, HEADS)
    index = INDEX.masked_fill(torch.arange(10) == 4, -1)
    shares = PatchSoftmax()(scores, index, PATCHES)
    torch.testing.assert_close(reduce_by_chunk(shares, index, PATCHES), torch.ones(3, PATCHES, 2, HEADS))
    assert (shares[:, 4] == 0).all()


# --- padding, order, time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", POOLINGS, ids=str)
@pytest.mark.parametrize("pad", [(3, 0), (0, 3), (2, 2)])
@pytest.mark.parametrize("marked", ["mask", "index"])
def test_a_sequence_is_the_same_alone_in_a_batch_and_padded(marked, pad, options, causal):
    """Padding is large and, where a mask marks it, has the numbers of patches; slots for more patches stay empty."""
    model, hidden = Both(causal=causal, **options), bases()
    pooled = [model.pooling(row[None], of[None], PATCHES)[0] for row, of in zip(hidden, INDEX, strict=True)]
    alone = torch.stack(pooled)
    given = model.unpooling(hidden, alone, INDEX)
    padded = functional.pad(hidden, (0, 0, *pad), value=50.0)
    mask = functional.pad(torch.ones_like(INDEX), pad).bool()
    index = functional.pad(INDEX, pad, value=1 if marked == "mask" else -1)
    mask_or_none = mask if marked == "mask" else None
    found = model.pooling(padded, index, PATCHES + 2, mask_or_none)
    torch.testing.assert_close(found[:, :PATCHES], alone, rtol=0, atol=1e-12)
    assert (found[:, PATCHES:] == 0).all()
    back = model.unpooling(padded, found, index, mask_or_none)
    torch.testing.assert_close(back[mask].view_as(given), given, rtol=0, atol=1e-12)
    assert (back[~mask] == 0).all()


def test_gradients_are_finite_with_padding_and_empty_patches():
    model, hidden = Both(queries=2), bases().requires_grad_()
    index = INDEX.masked_fill(torch.arange(10) > 7, -1)
    states = model.pooling(hidden * 1e3, index, PATCHES + 1)
    model.unpooling(hidden, states, index).square().sum().backward()
    assert hidden.grad.isfinite().all()
    assert (hidden.grad[index < 0] == 0).all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_reading_from_the_other_end_turns_the_patches_around(options):
    """Also with states that several bases share, and in the gradients."""
    model, hidden = Both(**options), bases()
    hidden[:, 1] = hidden[:, 0]
    weights = torch.randn(3, PATCHES, WIDTH, dtype=DOUBLE)
    slopes, pooled = [], []
    for turn in (False, True):
        inputs = (hidden.flip(1) if turn else hidden).clone().requires_grad_()
        index = PATCHES - 1 - INDEX.flip(1) if turn else INDEX
        found = model.pooling(inputs, index, PATCHES)
        pooled.append(found.flip(1) if turn else found)
        (slope,) = torch.autograd.grad((pooled[-1] * weights).sum(), inputs)
        slopes.append(slope.flip(1) if turn else slope)
    torch.testing.assert_close(*pooled, rtol=0, atol=1e-12)
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", POOLINGS, ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_a_causal_way_back_carries_nothing_to_earlier_bases(causal, options):
    model, hidden = Both(INDEX[:1], causal=causal, **options), bases(1)
    before, earlier = model(hidden), []
    for place in range(10):
        changed = hidden.clone()
        changed[0, place] += 5.0
        moved = ((model(changed) - before).abs() > 1e-9).any(-1)[0]
        assert moved[place]
        earlier.append(moved[:place].any().item())
        if causal:
            following = INDEX[0] == INDEX[0, place] + 1
            assert moved[following].all()
    assert any(earlier) == (not causal)


# --- explain mode ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_explain_mode_equals_the_fast_path(options):
    """An odd batch holds no pairs; in pairs, a reference that is the sequence itself is the same, too."""
    model, hidden = Both(**options), bases()
    fast = model(hidden)
    with explain(model):
        torch.testing.assert_close(model(hidden), fast, rtol=0, atol=1e-10)
        pairs = model(torch.cat([hidden[:1], hidden[:1]]))
    torch.testing.assert_close(pairs, fast[:1].expand(2, -1, -1), rtol=0, atol=1e-10)
    assert not model.pooling.explaining


@pytest.mark.parametrize("how", ["max", "mean"])
def test_in_explain_mode_a_reference_is_pooled_from_the_same_bases(how):
    layer, hidden = build(PatchPooling, how=how), bases(2)
    index = INDEX[:1].expand(2, -1)
    frozen = layer.pooled(hidden, index, PATCHES)
    if how == "max":
        for patch in range(PATCHES):
            own = hidden[:, index[0] == patch]
            holder = own[0].argmax(0)
            frozen[1, patch] = own[1].gather(0, holder[None])[0]
    with explain(layer):
        found = layer.pooled(hidden, index, PATCHES)
    torch.testing.assert_close(found, frozen, rtol=0, atol=1e-12)
    changed = (found - layer.pooled(hidden, index, PATCHES)).abs().amax((1, 2)) > 1e-3
    assert changed.tolist() == [False, how == "max"]


@pytest.mark.parametrize("options", POOLINGS, ids=str)
def test_attributions_add_up(options):
    """Multipliers times change is the change of the output, exactly; derivatives miss it by far."""
    index = INDEX[:1].masked_fill(torch.arange(10) == 9, -1)
    model, (actual, reference) = Both(index, **options), bases(2)[:, None]
    weights = torch.randn(1, 10, WIDTH, dtype=DOUBLE)
    actual = (2 * actual).requires_grad_()
    with exact_rules(model):
        first, second = (model(torch.cat([actual, reference])) * weights).sum((1, 2))
        (found,) = torch.autograd.grad(first, actual)
    rise = (first - second).item()
    assert (found * (actual - reference)).sum().item() == pytest.approx(rise, rel=1e-10)
    (slope,) = torch.autograd.grad((model(actual) * weights).sum(), actual)
    assert abs((slope * (actual - reference)).sum().item() - rise) > 0.05 * abs(rise)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index", [INDEX + 1, INDEX - 2, INDEX[:, 1:], INDEX[:1]], ids=["too high", "too low", "too short", "one row"]
)
def test_numbers_that_do_not_fit_are_refused(index):
    """Unnoticed, a base would be counted in a patch of the next sequence."""
    with pytest.raises(ModelError, match="came; expected"):
        build(PatchPooling)(bases(), index, PATCHES)
    with pytest.raises(ModelError, match="came; expected"):
        build(PatchUnpooling)(bases(), bases(length=PATCHES), index)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PatchPooling(6, 4), "4 heads cannot share a width of 6"),
        (lambda: PatchUnpooling(6, 0), "0 heads cannot share"),
        (lambda: PatchPooling(6, 2, queries=0), "queries is 0; expected at least 1"),
        (lambda: PatchUnpooling(6, 2, keys=0), "keys is 0; expected at least 1"),
        (lambda: PatchPooling(6, 2, how="sum"), "'sum' came; expected max or mean"),
    ],
)
def test_bad_options_are_refused(call, words):
    with pytest.raises(ConfigurationError, match=words):
        call()
