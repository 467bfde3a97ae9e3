"""Attention between bases and patches as operators: rebuilt outputs, Jacobians, windows, padding, batches."""

import pytest
import torch
from torch import nn

from genomic_lens.errors import ModelError
from genomic_lens.model.chunks.patch_attention import PatchPooling, PatchUnpooling
from genomic_lens.model.hyena_glt import HyenaGLTModel
from genomic_lens.model.mixing.patch_mixing import PatchPoolingMixing, PatchUnpoolingMixing
from genomic_lens.model.mixing.tracing import recording, trace
from tests.model.chunks.test_stages import WAYS, small_model
from tests.model.mixing.test_operators import PATHS

WIDTH, LENGTH = 6, 11
EVERYWHERE = slice(0, LENGTH)
INDEX = torch.tensor([0, 0, 0, 1, 2, 2, 2, 2, 3, 3, 3])
OUTSIDE = torch.tensor([-1, 0, 0, 1, -1, 1, 1, 2, 2, -1, -1])
POOLINGS = [(PatchPooling, {"how": how, "queries": queries}) for how in ("max", "mean") for queries in (1, 3)]
READINGS = [(PatchUnpooling, {"causal": causal, "keys": keys}) for causal in (False, True) for keys in (1, 2)]
every_layer = pytest.mark.parametrize(("kind", "options"), POOLINGS + READINGS)
both_indices = pytest.mark.parametrize("index", [INDEX, OUTSIDE], ids=["all", "some outside"])


def build(kind, options, dtype=torch.float64):
    """A seeded layer whose norms are not trivial and whose weights are far from even."""
    torch.manual_seed(0)
    layer = kind(WIDTH, 2, **options).to(dtype)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.7)
    return layer


def states(count=LENGTH, seed=1):
    return torch.randn(count, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def spread(values, index):
    """Values of patches at the bases."""
    return values[index.clamp_min(0)] * (index >= 0)[:, None]


def answer_of(layer, index):
    """What a layer gives each base, as a function of what its operator says moves."""
    patches, hidden = int(index.max()) + 1, states()
    if isinstance(layer, PatchPooling):
        return lambda inputs: spread(layer(inputs[None], index[None], patches)[0], index)

    def read(inputs):  # each base stands for an even share of its patch
        counts = torch.bincount(index[index >= 0], minlength=patches)[:, None]
        sums = torch.zeros(patches, WIDTH, dtype=inputs.dtype).index_add(0, index[index >= 0], inputs[index >= 0])
        return layer(hidden[None].to(inputs.dtype), (sums / counts)[None], index[None])[0]

    return read


def operator_of(layer, index):
    dtype = next(layer.parameters()).dtype
    hidden, patches = states().to(dtype), states(int(index.max()) + 1, seed=2).to(dtype)
    if isinstance(layer, PatchPooling):
        return PatchPoolingMixing(layer, hidden, index)
    return PatchUnpoolingMixing(layer, hidden, patches, index)


def jacobian(function, at):
    return torch.autograd.functional.jacobian(function, at).permute(0, 2, 1, 3)


def hold(norm, inputs, output):
    """The same output, by a scale that has no derivative."""
    centred = inputs[0] - inputs[0].mean(-1, keepdim=True)
    root = (centred.square().mean(-1, keepdim=True) + norm.eps).rsqrt().detach()
    return centred * root * norm.weight + norm.bias


# --- exactness --------------------------------------------------------------------------------------------------------


@every_layer
@both_indices
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_value_path_and_offset_rebuild_the_output(kind, options, index, dtype, tolerance):
    layer = build(kind, options, dtype)
    operator = operator_of(layer, index)
    with torch.no_grad():
        output = answer_of(layer, index)(operator.inputs)
        rebuilt = operator.matvec(operator.inputs) + operator.offset
    assert min(output.std(), operator.offset.std()) > 0.01, "a constant of zero would not test it"
    torch.testing.assert_close(rebuilt, output, rtol=0, atol=tolerance * max(1, output.abs().max().item()))


@every_layer
@both_indices
def test_full_blocks_are_the_jacobian(kind, options, index):
    layer = build(kind, options)
    operator = operator_of(layer, index)
    expected = jacobian(answer_of(layer, index), operator.inputs)
    found = operator.blocks(EVERYWHERE, EVERYWHERE, "full")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert expected.norm() > 1


@every_layer
def test_value_blocks_are_the_jacobian_with_weights_and_scales_held(kind, options):
    layer = build(kind, options)
    operator = operator_of(layer, INDEX)
    held = [layer.softmax.register_forward_hook(lambda module, inputs, output: output.detach())]
    held.append((layer.norm_bases if kind is PatchPooling else layer.norm_keys).register_forward_hook(hold))
    expected = jacobian(answer_of(layer, INDEX), operator.inputs)
    for hook in held:
        hook.remove()
    found = operator.blocks(EVERYWHERE, EVERYWHERE)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    value, gates, full = (operator.blocks(EVERYWHERE, EVERYWHERE, path) for path in PATHS)
    torch.testing.assert_close(value + gates, full, rtol=0, atol=1e-12)
    assert gates.norm() > 0.05 * full.norm()
    assert operator.share() == pytest.approx(float(value.norm() / full.norm()), rel=1e-9)


@every_layer
@both_indices
def test_products_with_vectors_are_those_of_the_blocks_also_of_several_at_once(kind, options, index):
    operator = operator_of(build(kind, options), index)
    blocks, vectors = operator.blocks(EVERYWHERE, EVERYWHERE).detach(), torch.stack([states(seed=3), states(seed=4)])
    with torch.no_grad():
        forth, back = operator.matvec(vectors), operator.rmatvec(vectors)
        torch.testing.assert_close(forth, torch.einsum("ijoe,bje->bio", blocks, vectors), rtol=0, atol=1e-12)
        torch.testing.assert_close(back, torch.einsum("ijoe,bio->bje", blocks, vectors), rtol=0, atol=1e-12)
        torch.testing.assert_close(operator.matvec(vectors[0]), forth[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(operator.rmatvec(vectors[1]), back[1], rtol=0, atol=1e-12)


# --- windows ----------------------------------------------------------------------------------------------------------


@every_layer
@both_indices
@pytest.mark.parametrize("path", PATHS)
def test_norms_cells_rows_and_columns_are_those_of_the_blocks(kind, options, index, path):
    operator = operator_of(build(kind, options), index)
    whole = operator.blocks(EVERYWHERE, EVERYWHERE, path)
    expected = whole.flatten(2).norm(dim=2).detach()
    torch.testing.assert_close(operator.norms(EVERYWHERE, EVERYWHERE, path), expected, rtol=0, atol=1e-12)
    for rows, columns in ((slice(2, 9), slice(4, 7)), (slice(8, 9), EVERYWHERE), (slice(0, 11, 3), slice(1, 11, 2))):
        torch.testing.assert_close(operator.blocks(rows, columns, path), whole[rows][:, columns], rtol=0, atol=1e-12)
        found = operator.window(rows, columns, path=path)
        torch.testing.assert_close(found, expected[rows][:, columns], rtol=0, atol=1e-12)
    rows, columns = torch.tensor([10, 0, 5, 6, 5]), torch.tensor([6, 5, 0, 5, 10])
    torch.testing.assert_close(operator.cells(rows, columns, path), expected[rows][:, columns], rtol=0, atol=1e-12)
    torch.testing.assert_close(operator.row(6, path), expected[6], rtol=0, atol=1e-12)
    torch.testing.assert_close(operator.column(6, path), expected[:, 6], rtol=0, atol=1e-12)


def test_causal_means_that_no_base_draws_on_one_ahead():
    for kind, options, causal in (
        (PatchPooling, {}, False),
        (PatchUnpooling, {}, False),
        (PatchUnpooling, {"causal": True}, True),
    ):
        operator = operator_of(build(kind, options), INDEX)
        assert operator.causal is causal
        assert (operator.window(path="full").triu(1).max().item() == 0) is causal
    singles = PatchPoolingMixing(build(PatchPooling, {}), states(), torch.arange(LENGTH))
    assert singles.causal


# --- in a model -------------------------------------------------------------------------------------------------------


def patched(two_sided):
    return small_model(HyenaGLTModel, WAYS["patches"], two_sided=two_sided)


def batch(side):
    ids = torch.randint(7, 11, (2, 40), generator=torch.Generator().manual_seed(0))
    ids[1, slice(0, 17) if side == "left" else slice(23, 40)] = 4
    return ids, ids[1:, 17:] if side == "left" else ids[1:, :23]


@pytest.mark.parametrize("two_sided", [False, True], ids=["causal", "two-sided"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_trace_has_both_for_each_sequence_of_a_padded_batch(two_sided, side):
    model, (ids, alone) = patched(two_sided), batch(side)
    modules = {type(part): part for part in model.modules() if isinstance(part, (PatchPooling, PatchUnpooling))}
    with recording(modules) as kept:
        seen = trace(model, ids)
    single = trace(model, alone)
    for item in (0, 1):
        tokens, index = seen.tokens(item), seen.output.routing[0].index[item, seen.tokens(item)]
        down, up = seen.pooling(0, item), seen.unpooling(0, item)
        assert down.length == up.length == (40, 23)[item]
        for operator, output in (
            (down, kept[PatchPooling].returned[item][index]),
            (up, kept[PatchUnpooling].returned[item, tokens]),
        ):
            with torch.no_grad():
                rebuilt = operator.matvec(operator.inputs) + operator.offset
            torch.testing.assert_close(rebuilt, output, rtol=0, atol=1e-10)
    for ask in ("pooling", "unpooling"):
        found, expected = (getattr(part, ask)(0, item).window(path="full") for part, item in ((seen, 1), (single, 0)))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
        assert expected.max() > 1e-3


def test_a_stage_that_is_not_there_is_refused():
    seen = trace(patched(False), batch("left")[0])
    with pytest.raises(ModelError, match="Stage 1 was asked for; this model has 1 stages of patches"):
        seen.pooling(1)
    other = trace(small_model(HyenaGLTModel, WAYS["routing"]), batch("left")[0])
    with pytest.raises(ModelError, match="has 0 stages of patches"):
        other.unpooling()
