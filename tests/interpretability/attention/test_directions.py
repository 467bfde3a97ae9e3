"""Directions in which outputs are read: gradients against automatic differentiation, chunks, and what does not fit."""

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.interpretability.attention.directions import directions, given, nudging, shared, target_gradients
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification, HyenaGLTModel
from genomic_lens.model.mixing.tracing import mixers, trace
from genomic_lens.model.token_models import HyenaGLTForCausalLM, HyenaGLTForTokenClassification
from tests.model.chunks.test_stages import WAYS, small_model

SEQUENCE = "CAGGTAAGTCATTGC"
PLAIN = {"n_layers": 2}


@pytest.fixture
def ids(tokenizer):
    return torch.from_numpy(tokenizer.encode(SEQUENCE))[None]


def test_gradients_of_a_class_are_those_of_the_rest_of_the_model(tokenizer, ids):
    model = small_model(HyenaGLTForSequenceClassification, PLAIN)
    modules = dict(enumerate(model.backbone.layers))
    name, gradients = target_gradients(model, tokenizer, ids, modules, "LABEL_1")
    assert name == "LABEL_1"
    hidden = model.backbone.embed(ids, None)
    for layer, block in modules.items():
        hidden = block(hidden).detach().requires_grad_()
        rest = hidden
        for later in model.backbone.layers[layer + 1 :]:
            rest = later(rest)
        logits = model.head(model.backbone.ln_f(rest).mean(1))[0]
        (expected,) = torch.autograd.grad(logits[1] - logits.mean(), hidden)
        torch.testing.assert_close(gradients[layer], expected[0], rtol=1e-6, atol=1e-9)
        assert gradients[layer].abs().max() > 1e-3


@pytest.mark.parametrize("way", WAYS)
def test_what_chunks_get_is_divided_among_their_bases(tokenizer, ids, way):
    model = small_model(HyenaGLTForSequenceClassification, WAYS[way])
    seen = trace(model, ids)
    _, gradients = target_gradients(model, tokenizer, ids, dict(enumerate(mixers(model))), 0)
    _, towards = directions(model, tokenizer, ids, seen, 0)
    for layer, gradient in gradients.items():
        index = seen.chunk_index(layer)
        assert towards[layer].shape == (len(SEQUENCE), gradient.shape[1])
        sums = towards[layer]
        if index is not None:
            sums = torch.zeros_like(gradient).index_add(0, index[index >= 0], towards[layer][index >= 0])
        torch.testing.assert_close(sums, gradient, rtol=0, atol=1e-12)


def test_models_that_answer_for_each_base_are_asked_at_one(tokenizer, ids):
    for kind, target, at in ((HyenaGLTForTokenClassification, ("LABEL_2", 6), 6), (HyenaGLTForCausalLM, ("G", 6), 5)):
        model = small_model(kind, PLAIN)
        _, towards = directions(model, tokenizer, ids, trace(model, ids), target)
        assert towards[1].abs().sum(1).nonzero().flatten().tolist() == [at], "the last mixer is not followed by another"


def test_own_directions_have_length_one_and_those_given_are_as_they_are(tokenizer, ids):
    model = small_model(HyenaGLTModel, PLAIN)
    seen = trace(model, ids)
    name, towards = directions(model, tokenizer, ids, seen)
    assert name == "own output"
    torch.testing.assert_close(towards[1].norm(dim=-1), torch.ones(len(SEQUENCE), dtype=torch.float64))
    for direction in (np.arange(16), torch.randn(len(SEQUENCE), 16)):
        name, towards = directions(model, tokenizer, ids, seen, direction)
        assert name == "given direction"
        assert towards[0].shape == (len(SEQUENCE), 16)
        assert np.allclose(towards[0][3], direction[3] if direction.ndim == 2 else direction)


def test_nothing_stays_behind_also_after_an_error(tokenizer, ids):
    model = small_model(HyenaGLTModel, PLAIN).train()
    with pytest.raises(ModelError, match="has no head and answers nothing"):
        target_gradients(model, tokenizer, ids, dict(enumerate(mixers(model))), 0)
    assert model.training
    assert not any(part._forward_hooks for part in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    layer = torch.nn.Linear(1, 1)
    with pytest.raises(ZeroDivisionError), nudging({0: layer}):
        1 / 0  # noqa: B018
    assert not layer._forward_hooks


def test_what_is_not_there_is_refused(tokenizer, ids):
    model = small_model(HyenaGLTForSequenceClassification, PLAIN)
    with pytest.raises(ConfigurationError, match="'donor' came"):
        target_gradients(model, tokenizer, ids, {}, "donor")
    with pytest.raises(DataError, match=r"shape \(2, 16\) came; expected \(16,\), or \(15, 16\)"):
        given(np.zeros((2, 16)), torch.zeros(15, 16))


def test_tokens_of_no_chunk_have_no_direction():
    found = shared(torch.tensor([[6.0], [2.0]]), torch.tensor([-1, 0, 0, 1]))
    assert found.flatten().tolist() == [0.0, 3.0, 3.0, 2.0]
