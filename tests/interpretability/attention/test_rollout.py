"""Rollout: the Jacobian of all layers together, with gates held or not, in bases, and what the probes leave open."""

from contextlib import ExitStack
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.interpretability.attention.hidden_attention import hidden_attention
from genomic_lens.interpretability.attention.rollout import blocks_of, norms_and_error, random_directions, rollout
from genomic_lens.model.chunks.patch_attention import PatchPooling, PatchSoftmax, PatchUnpooling
from genomic_lens.model.chunks.routing import frozen_routing
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.hyena_dna import HyenaDNAForSequenceClassification
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification, HyenaGLTModel
from genomic_lens.model.layers.attention import RotaryAttention
from genomic_lens.model.layers.gates import Softmax
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaForSequenceClassification
from genomic_lens.model.token_models import HyenaGLTForCausalLM, HyenaGLTForTokenClassification
from genomic_lens.records import HiddenAttention
from tests.interpretability.test_architectures import ALL
from tests.model.chunks.test_stages import small_model

SEQUENCE = "CAGGTAAGTCATTGCA"
TOKENIZER = DNATokenizer()
WIDTH = 8
MORE = {"order 3": {"hyena_order": 3, "n_layers": 2}, "words": {"kmer_sizes": (3, 4), "n_layers": 2}}
KINDS = ALL | MORE | {"two stages": ALL["two stages"] | {"stage_widths": (8, 12)}}


def build(kind, two_sided=False, model=HyenaGLTForSequenceClassification, **changes):
    return small_model(model, KINDS[kind] | {"d_model": WIDTH, "num_heads": 2}, two_sided=two_sided, **changes)


def body(model, ids):
    """From embeddings to the stream before the last norm, and the embeddings of the ids."""
    backbone = model.backbone
    embedded = backbone.embed(ids, None).detach()

    def run(hidden):
        if backbone.stage is not None:
            return backbone.stage(hidden, None, ids)[0]
        for layer in backbone.layers:
            hidden = layer(hidden)
        return hidden

    return run, embedded


def jacobian(model, sequence=SEQUENCE):
    """Derivative of the whole body, (rows, columns, width, width), with the boundaries of chunks held."""
    ids = torch.from_numpy(TOKENIZER.encode(sequence))[None]
    run, embedded = body(model, ids)
    with frozen_routing(model, input_ids=ids):
        found = torch.autograd.functional.jacobian(lambda hidden: run(hidden[None])[0], embedded[0], vectorize=True)
    return found.permute(0, 2, 1, 3)


def held_gate(product, inputs, output):
    """The same output, with the second factor as a constant."""
    return inputs[0] * inputs[1].detach()


def held_norm(norm, inputs, output):
    """The same output, by a scale that has no derivative."""
    centred = inputs[0] - inputs[0].mean(-1, keepdim=True)
    root = (centred.square().mean(-1, keepdim=True) + norm.eps).rsqrt().detach()
    return centred * root * norm.weight + norm.bias


def jacobian_with_held_gates(model, sequence=SEQUENCE):
    """The same while products hold their gates and softmaxes give constants, by no operator of the library."""
    with ExitStack() as stack:
        for module in model.modules():
            hooks = []
            if isinstance(module, HyenaOperator):
                hooks = [gate.register_forward_hook(held_gate) for gate in module.gates]
            if isinstance(module, RotaryAttention):
                module.explaining = True
                stack.callback(setattr, module, "explaining", False)
            if isinstance(module, (Softmax, PatchSoftmax)):
                hooks = [module.register_forward_hook(lambda _, __, output: output.detach())]
            if isinstance(module, PatchPooling):
                hooks = [module.norm_bases.register_forward_hook(held_norm)]
            if isinstance(module, PatchUnpooling):
                hooks = [module.norm_keys.register_forward_hook(held_norm)]
            for hook in hooks:
                stack.callback(hook.remove)
        return jacobian(model, sequence)


@cache
def solved(kind, two_sided=False):
    """A model and its two Jacobians."""
    model = build(kind, two_sided)
    return model, jacobian(model), jacobian_with_held_gates(model)


# --- exactness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("two_sided", [False, True], ids=["causal", "two-sided"])
def test_both_paths_are_the_norms_of_the_jacobian_of_all_layers(kind, two_sided):
    model, full, value = solved(kind, two_sided)
    for path, expected in (("full", full), ("value", value)):
        found = rollout(model, TOKENIZER, SEQUENCE, path=path, probes=None)
        np.testing.assert_allclose(found.weights, expected.norm(dim=(2, 3)), rtol=1e-6, atol=1e-9)
        assert found.share == pytest.approx(float(expected.norm() / full.norm()), rel=1e-9)
    assert float((value - full).norm() / full.norm()) > 0.05, "holding the gates must matter"


def test_striped_hyena_rolls_out():
    striped = StripedHyenaConfig(
        vocab_size=12, d_model=8, n_layers=3, num_heads=2, sequence_length=64, initializer_range=0.3
    )
    torch.manual_seed(0)
    check_against_autograd(StripedHyenaForSequenceClassification(striped).double().eval())


def test_hyena_dna_rolls_out(build_hyena_dna):
    check_against_autograd(build_hyena_dna(HyenaDNAForSequenceClassification, initializer_range=0.3).double())


def check_against_autograd(model):
    full, value = jacobian(model), jacobian_with_held_gates(model)
    found = [rollout(model, TOKENIZER, SEQUENCE, path=path, probes=None).weights for path in ("full", "value")]
    for weights, expected in zip(found, (full, value), strict=True):
        np.testing.assert_allclose(weights, expected.norm(dim=(2, 3)), rtol=1e-6, atol=1e-9)


def test_one_layer_alone_is_its_map_between_residual_norm_and_mlp():
    """Where the MLP is silent and the norm does nothing, the rollout is the mixer's map beside the residual."""
    model = build("order 3", n_layers=1)
    block = model.backbone.layers[0]
    nn.init.zeros_(block.mlp.fc2.weight)
    block.norm1 = nn.Identity()
    rolled = rollout(model, TOKENIZER, SEQUENCE, probes=None)
    alone = hidden_attention(model, TOKENIZER, SEQUENCE)[0]
    apart = ~np.eye(len(SEQUENCE), dtype=bool)
    np.testing.assert_allclose(rolled.weights[apart], alone.weights[apart], rtol=1e-9, atol=1e-12)
    assert (np.abs(rolled.weights - alone.weights)[~apart] > 0.1).all()


def test_layers_in_between_are_rolled_out_alone():
    model = build("modal-attention-hyena")
    ids = torch.from_numpy(TOKENIZER.encode(SEQUENCE))[None]
    blocks, hidden = model.backbone.layers, model.backbone.embed(ids, None).detach()
    entered = blocks[0](hidden).detach()[0]
    found = torch.autograd.functional.jacobian(lambda states: blocks[2](blocks[1](states[None]))[0], entered)
    part = rollout(model, TOKENIZER, SEQUENCE, layers=(1, 2), path="full", probes=None)
    np.testing.assert_allclose(part.weights, found.permute(0, 2, 1, 3).norm(dim=(2, 3)), rtol=1e-6, atol=1e-10)
    assert (part.layer, part.layers) == (2, (1, 2))


# --- directions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["order 3", "se-mr-li-attention", "routing", "patches", "two stages", "merging"])
def test_contributions_to_a_class_add_up_to_gradient_times_input(kind):
    model = build(kind)
    ids = torch.from_numpy(TOKENIZER.encode(SEQUENCE))[None]
    record = rollout(model, TOKENIZER, SEQUENCE, target=1, path="full")
    _, embedded = body(model, ids)
    with frozen_routing(model, input_ids=ids):
        leaf = embedded.clone().requires_grad_()
        logits = model(inputs_embeds=leaf).logits[0]
        (gradient,) = torch.autograd.grad(logits[1] - logits.mean(), leaf)
    expected = (gradient * embedded)[0].sum(-1)
    np.testing.assert_allclose(record.weights.sum(0), expected, rtol=1e-6, atol=1e-10)
    assert (record.kind, record.direction, record.share, record.error) == ("contribution", "LABEL_1", 1.0, 0.0)


@pytest.mark.parametrize("kind", ["order 3", "modal-attention-hyena", "routing", "patches"])
def test_a_given_direction_reads_the_blocks(kind):
    model, full, value = solved(kind)
    direction = np.random.default_rng(0).normal(size=WIDTH)
    for path, blocks in (("full", full), ("value", value)):
        ids = torch.from_numpy(TOKENIZER.encode(SEQUENCE))[None]
        _, embedded = body(model, ids)
        expected = torch.einsum("o,ijoe,je->ij", torch.from_numpy(direction), blocks, embedded[0])
        record = rollout(model, TOKENIZER, SEQUENCE, target=direction, path=path)
        np.testing.assert_allclose(record.weights, expected, rtol=1e-6, atol=1e-9)
        rows = np.random.default_rng(1).normal(size=(len(SEQUENCE), WIDTH))
        expected = torch.einsum("io,ijoe,je->ij", torch.from_numpy(rows), blocks, embedded[0])
        record = rollout(model, TOKENIZER, SEQUENCE, target=rows, path=path)
        np.testing.assert_allclose(record.weights, expected, rtol=1e-6, atol=1e-9)


def test_models_that_answer_for_each_base_have_targets_too():
    for kind, target, name in (
        (HyenaGLTForTokenClassification, (1, 5), "LABEL_1 at 5"),
        (HyenaGLTForCausalLM, ("base", 5), "A at 5"),
    ):
        record = rollout(build("order 3", model=kind), TOKENIZER, SEQUENCE, target=target)
        assert record.direction == name
        last = 5 if kind is HyenaGLTForTokenClassification else 4
        assert np.abs(record.weights[last]).max() > 0
        assert not np.delete(record.weights, last, axis=0).any()


# --- probes -----------------------------------------------------------------------------------------------------------


def test_probes_come_near_and_say_how_near():
    model = build("order 3")
    exact = rollout(model, TOKENIZER, SEQUENCE, probes=None)
    errors = []
    for probes in (2, 5):
        ratios = []
        for seed in range(8):
            record = rollout(model, TOKENIZER, SEQUENCE, probes=probes, seed=seed)
            off = np.linalg.norm(record.weights - exact.weights) / np.linalg.norm(exact.weights)
            ratios.append(off / record.error)
            assert (record.probes, record.seed) == (probes, seed)
        errors.append(off)
        assert 0.5 < np.mean(ratios) < 2
    assert errors[1] < errors[0]
    assert (exact.error, exact.probes) == (0, 0)
    assert rollout(model, TOKENIZER, SEQUENCE, probes=99).error == 0


def test_energy_of_probes_is_right_on_average():
    blocks = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    energies = [(random_directions(6, 2, seed) @ blocks).square().sum() for seed in range(1200)]
    assert float(torch.stack(energies).mean()) == pytest.approx(float(blocks.square().sum()), rel=0.03)


def test_the_error_is_that_of_a_mean_without_putting_back():
    squares = torch.tensor([[[1.0], [3.0]]], dtype=torch.float64)  # two of four: the mean of 2 channels' energies
    norms, error = norms_and_error(squares, width=4)
    assert float(norms) == pytest.approx(2)
    standard = (2 * 2 * 0.5) ** 0.5  # of the sum: root of variance × probes × share that was not drawn
    assert error == pytest.approx(standard / (2 * 2) / 2)


def test_the_same_seed_gives_the_same_map():
    model = build("order 3")
    first, second = (rollout(model, TOKENIZER, SEQUENCE, probes=3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)
    assert np.abs(rollout(model, TOKENIZER, SEQUENCE, probes=3, seed=5).weights - first.weights).max() > 0


# --- bases ------------------------------------------------------------------------------------------------------------


def test_windows_are_cut_from_the_whole():
    model = build("modal-attention-hyena", two_sided=True)
    whole = rollout(model, TOKENIZER, SEQUENCE, probes=None)
    part = rollout(model, TOKENIZER, SEQUENCE, rows=(9, 12), columns=(2, 5), probes=None)
    assert (part.rows, part.columns) == ((9, 12), (2, 5))
    np.testing.assert_allclose(part.weights, whole.weights[9:12, 2:5], rtol=1e-9)


def test_copies_that_go_through_together_change_nothing(monkeypatch):
    model = build("routing")
    expected = rollout(model, TOKENIZER, SEQUENCE, rows=(3, 9), probes=None).weights
    for positions in (1, 40):
        monkeypatch.setattr(import_module("genomic_lens.interpretability.attention.rollout"), "AT_ONCE", positions)
        found = rollout(model, TOKENIZER, SEQUENCE, rows=(3, 9), probes=None).weights
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_masked_bases_are_nan_and_the_others_as_they_were():
    sequence, model = "CAGNTAAGTCNNTGCA", build("order 3")
    record = rollout(model, TOKENIZER, sequence, path="full", probes=None)
    known = np.array(list(sequence)) != "N"
    assert (np.isnan(record.weights) == ~np.outer(known, known)).all()
    expected = jacobian(model, sequence).norm(dim=(2, 3)).numpy()
    inside = np.ix_(known, known)
    np.testing.assert_allclose(record.weights[inside], expected[inside], rtol=1e-6, atol=1e-10)


def test_special_tokens_leave_base_coordinates():
    model = build("order 3")
    whole = rollout(model, DNATokenizer(special="cls_sep"), SEQUENCE, probes=None)
    part = rollout(model, DNATokenizer(special="cls_sep"), SEQUENCE, rows=(3, 5), columns=(0, 4), probes=None)
    assert whole.weights.shape == (16, 16)
    np.testing.assert_allclose(part.weights, whole.weights[3:5, 0:4], rtol=1e-9)


def test_the_record_says_how_it_was_made_and_comes_back(tmp_path):
    model = build("order 3")
    record = rollout(model, TOKENIZER, SEQUENCE, rows=(3, 6), probes=4, seed=2)
    assert (record.kind, record.layers, record.path, record.model) == ("rollout", (0, 1), "value", fingerprint(model))
    again = HiddenAttention.load(record.save(tmp_path / "rollout.npz"))
    np.testing.assert_array_equal(again.weights, record.weights)
    assert again.to_dict() == record.to_dict()
    assert record.to_dataframe().shape == (3 * 16, 3)
    assert not record.signed


def test_the_model_is_left_as_it_was():
    model = build("patches", dropout=0.5).train()
    flags = [part.training for part in model.modules()]
    rollout(model, TOKENIZER, SEQUENCE, rows=(3, 4), probes=2)
    rollout(model, TOKENIZER, SEQUENCE, rows=(3, 4), target=0)
    assert [part.training for part in model.modules()] == flags
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_parameters_do_not_matter():
    model = build("order 3")
    expected = rollout(model, TOKENIZER, SEQUENCE, target=1).weights
    found = rollout(model.requires_grad_(False), TOKENIZER, SEQUENCE, target=1).weights
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"layers": (1, 0)}, ModelError, "this model has 3 blocks"),
        ({"layers": (0, 3)}, ModelError, "this model has 3 blocks"),
        ({"layers": (0, 1)}, ModelError, "begin or end on chunks"),
        ({"path": "gates"}, ConfigurationError, "expected value or full"),
        ({"probes": 0}, ConfigurationError, "a probe or more"),
        ({"rows": (3, 99)}, DataError, "expected a span"),
        ({"target": np.zeros(3)}, DataError, r"expected \(8,\)"),
        ({"target": "donor"}, ConfigurationError, "donor"),
    ],
)
def test_what_cannot_be_is_refused(options, error, says):
    with pytest.raises(error, match=says):
        rollout(build("routing"), TOKENIZER, SEQUENCE, **options)


def test_a_model_without_a_head_has_no_target_and_one_without_blocks_no_rollout():
    model = build("order 3", model=HyenaGLTModel)
    with pytest.raises(ModelError, match="has no head"):
        rollout(model, TOKENIZER, SEQUENCE, target=0)
    model.backbone.layers = nn.ModuleList()
    assert blocks_of(model) == []
    with pytest.raises(ModelError, match="has 0 blocks"):
        rollout(model, TOKENIZER, SEQUENCE)
