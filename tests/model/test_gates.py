"""Explain mode: the same function, made of modules only, and gone without a trace."""

import pytest
import torch
from torch import nn

from genomic_lens.model.gates import InverseRoot, LayerNorm, Product, explain


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_spelt_out_norm_is_the_fused_norm(dtype, tolerance):
    """Width 5 tells the biased variance from the unbiased one; weight and bias are not the trivial ones."""
    torch.manual_seed(0)
    norm = LayerNorm(5, eps=1e-3).to(dtype)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    hidden = torch.cat([3 + 2 * torch.randn(7, 5), torch.full((1, 5), 4.0)]).to(dtype)
    expected = nn.functional.layer_norm(hidden, (5,), norm.weight, norm.bias, eps=1e-3)
    torch.testing.assert_close(norm(hidden), expected, rtol=0, atol=0)
    with explain(norm):
        torch.testing.assert_close(norm(hidden), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("pooling", ["mean", "last", "first"])
@pytest.mark.parametrize(("order", "two_sided"), [(2, False), (3, False), (2, True), (3, True)])
def test_model_in_explain_mode_equals_the_fast_path(build_model, order, two_sided, pooling):
    model = build_model(hyena_order=order, two_sided=two_sided, pooling=pooling)
    ids = torch.randint(7, 12, (3, 40))
    with torch.no_grad():
        fast = model(ids).logits
        with explain(model):
            slow = model(ids).logits
    torch.testing.assert_close(slow, fast, rtol=0, atol=1e-5)
    assert fast.std() > 0.1


def test_every_product_and_nonlinearity_is_a_module_that_is_called_once(build_model, monkeypatch):
    """With all of them replaced by linear maps the model is affine in its embeddings, so none is hidden elsewhere."""
    model = build_model(hyena_order=3).double()
    with torch.no_grad():
        one, other = model.get_input_embeddings().weight[torch.randint(7, 11, (2, 1, 30))]

    def bend(model):
        with torch.no_grad():
            ends = [model(inputs_embeds=inputs).logits for inputs in (one, other)]
            return (model(inputs_embeds=(one + other) / 2).logits - sum(ends) / 2).abs().max()

    calls = {}
    kinds = (Product, InverseRoot, nn.GELU)
    expected = {name for name, module in model.named_modules() if isinstance(module, kinds)}
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda *_, name=name: calls.update({name: calls.get(name, 0) + 1}))
    with explain(model), torch.no_grad():
        model(inputs_embeds=one)
        assert calls == dict.fromkeys(expected, 1)
        assert bend(model) > 1e-2
        monkeypatch.setattr(Product, "forward", lambda self, left, right: 0.3 * left + 0.2 * right)
        monkeypatch.setattr(InverseRoot, "forward", lambda self, value: 0.1 * value)
        monkeypatch.setattr(nn.GELU, "forward", lambda self, value: 0.5 * value)
        assert bend(model) < 1e-10
    assert bend(model) > 1e-2, "the fused norm is no module of linear parts, so outside explain mode it must show"


def state(model: nn.Module) -> list:
    return [(module.training, getattr(module, "explaining", None)) for module in model.modules()]


def test_state_comes_back_as_it_was_module_by_module(build_model):
    """Half of the model is in training mode, as when part of it is frozen; `model.train()` would forget that."""
    model = build_model().train()
    model.backbone.layers[0].eval()
    before = state(model)
    with explain(model) as explained:
        assert explained is model
        assert {training for training, _ in state(model)} == {False}
        assert {explaining for _, explaining in state(model)} == {True, None}
        with explain(model.backbone):
            pass
        assert model.backbone.ln_f.explaining, "an inner use must not end an outer one"
    assert state(model) == before


def test_state_comes_back_after_an_exception(build_model):
    model = build_model().train()
    before = state(model)
    with pytest.raises(KeyboardInterrupt), explain(model):
        raise KeyboardInterrupt
    assert state(model) == before


def test_explain_mode_of_one_model_leaves_another_alone(build_model):
    model, other = build_model(), build_model()
    with explain(model):
        assert not other.backbone.ln_f.explaining
