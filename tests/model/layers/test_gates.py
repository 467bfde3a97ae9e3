"""Explain mode: the same function, made of modules only, and gone without a trace."""

import pytest
import torch
from torch import nn

from genomic_lens.model.layers.gates import (
    Contraction,
    Exponential,
    InverseRoot,
    LayerNorm,
    Product,
    Reciprocal,
    RMSNorm,
    Softmax,
    explain,
)

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])


@PRECISIONS
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


@PRECISIONS
def test_root_mean_square_norm_has_its_constant_outside_the_root(dtype, tolerance):
    """A constant as large as the states tells outside from inside; the last row is zero, as padding may be."""
    torch.manual_seed(0)
    norm = RMSNorm(5, eps=0.5).to(dtype)
    nn.init.normal_(norm.weight)
    hidden = torch.cat([1 + torch.randn(7, 5), torch.zeros(1, 5)]).to(dtype)
    expected = norm.weight * hidden / (hidden.square().mean(-1, keepdim=True).sqrt() + 0.5)
    torch.testing.assert_close(norm(hidden), expected, rtol=0, atol=tolerance)
    with explain(norm):
        torch.testing.assert_close(norm(hidden), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("explaining", [False, True])
def test_gradient_of_the_norm_of_nothing_is_finite(explaining):
    norm, hidden = RMSNorm(3, eps=1e-3), torch.zeros(1, 3, requires_grad=True)
    norm.explaining = explaining
    (slope,) = torch.autograd.grad(norm(hidden)[0, 0], hidden)
    torch.testing.assert_close(slope, torch.tensor([[1e3, 0.0, 0.0]]))


def test_inverse_root_with_something_beside_it():
    value = torch.tensor([4.0, 0.25])
    assert InverseRoot(beside=1.0)(value).tolist() == pytest.approx([1 / 3, 1 / 1.5])
    assert InverseRoot(beside=0.5)(torch.zeros(1)).item() == 2
    assert torch.equal(InverseRoot()(value), value.rsqrt())


def test_contraction_is_the_sum_of_products_that_its_equation_says():
    left, right = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    expected = torch.stack([one @ other.T for one, other in zip(left, right, strict=True)])
    torch.testing.assert_close(Contraction("bid,bjd->bij")(left, right), expected)
    assert "bid,bjd->bij" in repr(Contraction("bid,bjd->bij"))


# --- softmax ----------------------------------------------------------------------------------------------------------


def masked_scores(batch: int, dtype=torch.float64) -> torch.Tensor:
    """Scores of (batch, 2, 4, 6): some masked, one row wholly, of every second sequence two."""
    torch.manual_seed(0)
    scores = 3 * torch.randn(batch, 2, 4, 6, dtype=dtype)
    scores[:, :, 1, 4:] = -torch.inf
    scores[:, 0, 2] = -torch.inf
    scores[::2, 1, 3] = -torch.inf
    return scores


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
@PRECISIONS
def test_spelt_out_softmax_is_the_fused_one_and_masked_rows_are_zero(batch, dtype, tolerance):
    softmax, scores = Softmax(), masked_scores(batch, dtype)
    expected = scores.softmax(-1).nan_to_num(0)
    assert expected[:, 0, 2].max() == 0
    torch.testing.assert_close(softmax(scores), expected, rtol=0, atol=0)
    with explain(softmax):
        torch.testing.assert_close(softmax(scores), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("explaining", [False, True])
def test_gradient_of_masked_rows_is_zero_and_not_undefined(explaining):
    softmax, scores = Softmax(), masked_scores(3).requires_grad_()
    softmax.explaining = explaining
    (slope,) = torch.autograd.grad(softmax(scores)[..., 0].sum(), scores)
    assert slope.isfinite().all()
    assert slope[:, 0, 2].abs().max() == 0
    assert slope[:, 0, 0].abs().min() > 0


@pytest.mark.parametrize("height", [1e4, -1e4])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_large_scores_do_not_overflow(batch, height):
    softmax, scores = Softmax(), torch.tensor([[0.0, 1.0, -2.0]]).repeat(batch, 1)
    with explain(softmax):
        torch.testing.assert_close(softmax(scores + height), scores.softmax(-1), rtol=0, atol=1e-3)


def test_a_sequence_and_its_reference_have_the_same_constant_taken_off_halfway_between_their_maxima():
    """Maxima of 100 and 0 in single precision: with either taken off, the exponentials of one would be lost."""
    softmax, seen = Softmax(), []
    softmax.exponential.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    scores = torch.tensor([[100.0, 99.0], [3.0, 1.0], [-1.0, 0.0], [1.0, -5.0]])
    with explain(softmax):
        torch.testing.assert_close(softmax(scores), scores.softmax(-1), rtol=1e-5, atol=0)
        softmax(scores[:3])
    assert seen[0].tolist() == [[50, 49], [1, -1], [-51, -50], [-1, -7]]
    assert seen[1].tolist() == [[0, -1], [0, -2], [-1, 0]]


def test_the_constant_that_is_taken_off_has_no_gradient():
    """Each exponential by itself, before it is divided, moves with its own score alone."""
    softmax, scores, seen = Softmax(), torch.tensor([[2.0, 1.0], [0.0, -1.0]], requires_grad=True), []
    softmax.exponential.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with explain(softmax):
        softmax(scores)
    (slope,) = torch.autograd.grad(seen[0].sum(), scores)
    torch.testing.assert_close(slope, seen[0].detach())


def test_parts_of_the_softmax_are_called_once():
    softmax, calls = Softmax(), []
    for module in softmax.children():
        module.register_forward_hook(lambda module, inputs, output: calls.append(type(module)))
    softmax(torch.zeros(2, 3))
    assert calls == []
    with explain(softmax):
        softmax(torch.zeros(2, 3))
    assert calls == [Exponential, Reciprocal, Product]


# --- models -----------------------------------------------------------------------------------------------------------


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
