"""The rules: each shares its step's change out exactly, and nothing of them stays behind."""

from collections import Counter

import pytest
import torch
from torch import nn

from genomic_lens.errors import ModelError
from genomic_lens.interpretability.attribution.rules import RULES, UNARY, exact_rules, rule_of
from genomic_lens.model.layers.attention import RotaryAttention
from genomic_lens.model.layers.gates import (
    Contraction,
    Exponential,
    InverseRoot,
    LayerNorm,
    Product,
    Reciprocal,
    RMSNorm,
    Softmax,
)

DOUBLE = torch.float64
ACTIVATIONS = [nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.ELU()]


class Apply(nn.Module):
    """A module given its inputs by a function, so that a leaf can stand in a model."""

    def __init__(self, module, split=lambda inputs: (inputs,)):
        super().__init__()
        self.module, self.split = module, split

    def forward(self, inputs):
        return self.module(*self.split(inputs))


def multipliers(model, actual, reference):
    """Multipliers of the sum of a model's outputs, and the outputs at the input and at the reference."""
    actual = actual.clone().requires_grad_()
    with exact_rules(model):
        first, second = model(torch.cat([actual, reference])).chunk(2)
        return torch.autograd.grad(first.sum(), actual)[0], first.detach(), second.detach()


# --- products -------------------------------------------------------------------------------------------------------


def test_a_product_solved_by_hand():
    """From (1, 1) to (3, 5): factor a changes by 2 and meets b at 3 on average, b by 4 and meets a at 2."""
    gate = Apply(Product(), lambda inputs: (inputs[:, 0], inputs[:, 1]))
    found, first, second = multipliers(gate, torch.tensor([[3.0, 5.0]]), torch.tensor([[1.0, 1.0]]))
    assert found.tolist() == [[3, 2]]
    assert (first - second).item() == 14 == (found * torch.tensor([[2.0, 4.0]])).sum()


def test_a_square_has_the_slope_of_its_chord():
    """Both factors are the same tensor, as in the variance of a layer norm: 9 - 1 over 3 - 1."""
    square = Apply(Product(), lambda inputs: (inputs, inputs))
    assert multipliers(square, torch.tensor([[3.0]]), torch.tensor([[1.0]]))[0].item() == 4


def test_a_product_that_broadcasts_solved_by_hand():
    """One scale s for two values, as in a layer norm: from v = (1, 2), s = 1 to v = (2, 4), s = 3.

    The multiplier of each value is the mean scale 2, that of the scale the sum of the mean values, 1.5 + 3.
    """
    scale = Apply(Product(), lambda inputs: (inputs[:, :2], inputs[:, 2:]))
    found, first, second = multipliers(scale, torch.tensor([[2.0, 4.0, 3.0]]), torch.tensor([[1.0, 2.0, 1.0]]))
    assert found.tolist() == [[2, 2, 4.5]]
    assert (first - second).sum().item() == 2 * 1 + 2 * 2 + 4.5 * 2


def test_pairs_of_a_batch_do_not_mix():
    """Each sequence has its own reference: two pairs at once give what each gives alone."""
    gate = Apply(Product(), lambda inputs: (inputs[:, 0], inputs[:, 1]))
    actual, reference = torch.randn(2, 2, dtype=DOUBLE), torch.randn(2, 2, dtype=DOUBLE)
    together = multipliers(gate, actual, reference)[0]
    alone = [multipliers(gate, actual[[rank]], reference[[rank]])[0] for rank in range(2)]
    assert torch.equal(together, torch.cat(alone))


def test_a_layer_norm_adds_up():
    """The norm is two products, a broadcast and an inverse root; its derivative alone misses the sum by far."""
    torch.manual_seed(0)
    norm = LayerNorm(6).double()
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    actual, reference = 3 * torch.randn(4, 5, 6, dtype=DOUBLE), torch.randn(4, 5, 6, dtype=DOUBLE)
    found, first, second = multipliers(norm, actual, reference)
    rise = (first - second).sum()
    assert (found * (actual - reference)).sum().item() == pytest.approx(rise.item(), abs=1e-12)
    actual.requires_grad_()
    (slope,) = torch.autograd.grad(norm(actual).sum(), actual)
    assert abs((slope * (actual - reference)).sum() - rise) > 0.1 * abs(rise)


def gap(model, actual, reference):
    """Completeness: how much of the rise the contributions miss, relative to the larger of it and them."""
    found, first, second = multipliers(model, actual, reference)
    contributions, rise = found * (actual - reference), (first - second).sum()
    scale = max(abs(rise), contributions.abs().sum(), 1e-3)
    assert contributions.abs().max() > 1e-6, "a model that does not move says nothing"
    return (abs(contributions.sum() - rise) / scale).item()


@pytest.mark.parametrize("width", [2, 7])
def test_a_root_mean_square_norm_adds_up(width):
    torch.manual_seed(0)
    norm = RMSNorm(width, eps=0.1).double()
    nn.init.normal_(norm.weight)
    actual, reference = 3 * torch.randn(4, 5, width, dtype=DOUBLE), torch.randn(4, 5, width, dtype=DOUBLE)
    assert gap(norm, actual, reference) < 1e-13
    actual[:, 2], reference[:, 3] = 0, 0
    assert gap(norm, actual, reference) < 1e-13


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_a_norm_of_nothing_against_nothing_has_finite_multipliers(dtype):
    """Embeddings of padding are zero in a sequence and its reference."""
    nothing = torch.zeros(1, 3, dtype=dtype)
    found = multipliers(RMSNorm(3).to(dtype), nothing, nothing)[0]
    torch.testing.assert_close(found, torch.full_like(nothing, 1e6))


# --- contractions ---------------------------------------------------------------------------------------------------


def halves(first: tuple[int, ...], second: tuple[int, ...]):
    """Splits (batch, numbers) into two tensors of such shapes a sequence."""
    count = torch.Size(first).numel()
    return lambda inputs: (inputs[:, :count].unflatten(1, first), inputs[:, count:].unflatten(1, second))


EQUATIONS = [
    ("bhid,bhjd->bhij", (2, 3, 4), (2, 5, 4)),  # scores
    ("bhij,bhjd->bhid", (2, 3, 5), (2, 5, 4)),  # mixed values
    ("bi,bi->bi", (6,), (6,)),
    ("bi,bj->b", (3,), (4,)),  # sums over axes that only one of them has
    ("b...i,bi->b...", (2, 3), (3,)),
    ("bii,bj->bij", (3, 3), (2,)),  # a diagonal
]


@pytest.mark.parametrize(("equation", "first", "second"), EQUATIONS)
def test_a_contraction_adds_up_and_is_the_same_products_added(equation, first, second):
    torch.manual_seed(0)
    split = halves(first, second)
    actual, reference = torch.randn(2, 3, sum(torch.Size(part).numel() for part in (first, second)), dtype=DOUBLE)
    contraction = Apply(Contraction(equation), split)
    assert gap(contraction, actual, reference) < 1e-13
    found = multipliers(contraction, actual, reference)[0]
    mean = ((actual + reference) / 2).requires_grad_()
    (expected,) = torch.autograd.grad(torch.einsum(equation, *split(mean)).sum(), mean)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_contraction_solved_by_hand():
    """From (1, 2) · (1, 1) = 3 to (3, 2) · (5, 1) = 17; only the first of each changes, as in the product above."""
    dot = Apply(Contraction("bi,bi->b"), halves((2,), (2,)))
    actual, reference = torch.tensor([[3.0, 2.0, 5.0, 1.0]]), torch.tensor([[1.0, 2.0, 1.0, 1.0]])
    found, first, second = multipliers(dot, actual, reference)
    assert found.tolist() == [[3, 1, 2, 2]]
    assert (first - second).item() == 14 == (found * (actual - reference)).sum()


def test_a_contraction_of_a_tensor_with_itself_adds_up():
    square = Apply(Contraction("bi,bi->b"), lambda inputs: (inputs, inputs))
    assert multipliers(square, torch.tensor([[3.0]]), torch.tensor([[1.0]]))[0].item() == 4


# --- softmax and attention ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [1e-9, 1e-3, 1.0, 30.0])
def test_a_softmax_adds_up_with_maxima_far_apart(spread):
    """In the last case scores differ by up to 150 within a row, and by 60 between a sequence and its reference."""
    torch.manual_seed(0)
    model = nn.Sequential(Apply(Softmax(), lambda inputs: (spread * inputs,)), nn.Linear(6, 1)).double()
    actual, reference = torch.randn(2, 4, 3, 6, dtype=DOUBLE)
    found, first, second = multipliers(model, actual, reference + 2)
    contributions = found * (actual - reference - 2)
    missed = abs(contributions.sum() - (first - second).sum()) / contributions.abs().sum()
    assert missed < max(1e-10, 1e-15 / spread)  # outputs that differ by 1e-9 are themselves rounded


class Attentive(nn.Module):
    """Two norms around an attention layer whose weights are far from uniform, and a bent read-out."""

    def __init__(self, mask=None, **options):
        super().__init__()
        self.mask, self.norm, self.attention = mask, RMSNorm(8, eps=0.1), RotaryAttention(8, 2, 16, **options)
        self.last, self.out, self.bend = LayerNorm(8), nn.Linear(8, 1), nn.GELU()
        with torch.no_grad():
            self.attention.qkv_proj.weight *= 4

    def forward(self, inputs):
        mask = None if self.mask is None else self.mask.repeat(len(inputs) // len(self.mask), 1)
        hidden = inputs + self.attention(self.norm(inputs), mask)
        hidden = hidden if mask is None else hidden * mask[..., None]
        return self.bend(self.out(self.last(hidden))).sum((1, 2))


PADDED = torch.arange(7) >= torch.tensor([[0], [3], [6]])


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("mask", [None, PADDED, PADDED.flip(1)], ids=["alone", "left", "right"])
def test_attention_between_norms_adds_up(two_sided, mask):
    """The derivative alone is far off, so the layer bends enough to tell."""
    torch.manual_seed(0)
    model = Attentive(mask, two_sided=two_sided, bias=True).double()
    actual, reference = 2 * torch.randn(2, 3, 7, 8, dtype=DOUBLE)
    assert gap(model, actual, reference) < 1e-10
    found, first, second = multipliers(model, actual, reference)
    (slope,) = torch.autograd.grad(model(actual.requires_grad_()).sum(), actual)
    missed = (slope * (actual - reference)).sum() - (first - second).sum()
    assert abs(missed) > 0.1 * abs((first - second).sum())
    if mask is not None:
        assert found[~mask].abs().max() == 0


@pytest.mark.parametrize("change", [1e-12, 1e-8, 1e-4, 1e-2])
def test_multipliers_of_attention_are_its_derivative_where_little_changes(change):
    """Closed forms do not lose digits where values are close; a quotient of differences would have none left."""
    torch.manual_seed(0)
    model = Attentive(bias=True).double()
    reference = torch.randn(2, 7, 8, dtype=DOUBLE)
    actual = reference + change * torch.randn(2, 7, 8, dtype=DOUBLE)
    found = multipliers(model, actual, reference)[0]
    middle = ((actual + reference) / 2).requires_grad_()
    (slope,) = torch.autograd.grad(model(middle).sum(), middle)
    assert (found - slope).abs().max() < (1e-9 + 10 * change**2) * slope.abs().max()


def test_attention_without_its_rules_does_not_add_up(monkeypatch):
    """Any of the rules taken away, the same model misses the sum."""
    torch.manual_seed(0)
    model = Attentive(bias=True).double()
    actual, reference = 2 * torch.randn(2, 3, 7, 8, dtype=DOUBLE)
    for kind in (Contraction, Exponential, Reciprocal):
        with monkeypatch.context() as patched:
            patched.setitem(RULES, kind, lambda module, inputs, output: None)
            assert gap(model, actual, reference) > 1e-3


# --- unary functions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_rescale_is_the_slope_of_the_chord(activation):
    actual, reference = torch.tensor([[2.0, -1.5, 0.7]], dtype=DOUBLE), torch.tensor([[-1.0, 1.0, 0.2]], dtype=DOUBLE)
    expected = (activation(actual) - activation(reference)) / (actual - reference)
    found = multipliers(Apply(activation), actual, reference)[0]
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_rescale_is_the_derivative_where_nothing_changes(activation):
    value = torch.tensor([[2.0, -1.5, 0.7]], dtype=DOUBLE)
    expected = torch.autograd.functional.jacobian(activation, value[0]).diag()
    torch.testing.assert_close(multipliers(Apply(activation), value, value)[0][0], expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("activation", [nn.GELU(), nn.SiLU(), nn.Sigmoid(), nn.Tanh()], ids=repr)
@pytest.mark.parametrize("change", [1e-7, 1e-5, 1e-3, 1e-1])
def test_rescale_stays_exact_in_single_precision_however_small_the_change(activation, change):
    """The quotient of two rounded differences would be off by more than half at the smallest of these changes."""
    actual, reference = torch.tensor([[0.7, -0.6]]) + change, torch.tensor([[0.7, -0.6]])
    wide = actual.double(), reference.double()
    expected = (activation(wide[0]) - activation(wide[1])) / (wide[0] - wide[1])
    found = multipliers(Apply(activation), actual, reference)[0]
    torch.testing.assert_close(found.double(), expected, rtol=2e-4, atol=0)


CLOSED = {
    "exponential": (Exponential(), torch.exp, torch.exp),
    "reciprocal": (Reciprocal(), torch.reciprocal, lambda value: -(value**-2)),
    "inverse root": (InverseRoot(), torch.rsqrt, lambda value: -(value**-1.5) / 2),
    "inverse root beside": (
        InverseRoot(beside=0.3),
        lambda value: 1 / (value**0.5 + 0.3),
        lambda value: -1 / (2 * value**0.5 * (value**0.5 + 0.3) ** 2),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("change", [0.0, 1e-6, 1e-4, 1e-2, 3.0])
def test_closed_forms_are_the_slope_of_the_chord_however_small_the_change(name, change):
    """In single precision, against the chord in double precision (against the derivative where nothing changes)."""
    module, function, derivative = CLOSED[name]
    actual, reference = torch.tensor([[0.5, 4.0]]) * (1 + change), torch.tensor([[0.5, 4.0]])
    wide, base = actual.double(), reference.double()
    chord = (function(wide) - function(base)) / (wide - base) if change else derivative(base)
    for first, second in ((actual, reference), (reference, actual)):
        found = multipliers(Apply(module), first, second)[0]
        torch.testing.assert_close(found.double(), chord, rtol=1e-6, atol=0)


def test_an_exponential_far_down_has_the_slope_of_its_chord_and_a_masked_one_has_none():
    actual = torch.tensor([[-torch.inf, 0.0, -200.0, 0.0]], dtype=DOUBLE)
    reference = torch.tensor([[-torch.inf, -800.0, -900.0, -torch.inf]], dtype=DOUBLE)
    found = multipliers(Apply(Exponential()), actual, reference)[0]
    expected = torch.tensor([[0.0, 1 / 800, torch.tensor(-200.0, dtype=DOUBLE).exp() / 700, 0.0]], dtype=DOUBLE)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-300)


# --- which module follows which rule --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leaf", [nn.Softmax(-1), nn.MaxPool1d(2), nn.BatchNorm1d(3), nn.LayerNorm(3), nn.Bilinear(1, 1, 1)]
)
def test_a_leaf_without_a_rule_is_refused_by_name(leaf):
    with (
        pytest.raises(ModelError, match=f"{type(leaf).__name__} has no attribution rule"),
        exact_rules(nn.Sequential(nn.Linear(3, 3), leaf)),
    ):
        pass


@pytest.mark.parametrize(
    "module", [nn.Linear(1, 1), nn.Dropout(), nn.ModuleList(), nn.Sequential(), LayerNorm(2), RMSNorm(2), Softmax()]
)
def test_linear_parts_and_containers_pass_through(module):
    """An empty container is a leaf, too: a model of depth 0 has one."""
    assert rule_of(module) is None


def test_the_forward_pass_is_unchanged(make_model):
    model, ids = make_model().eval(), torch.randint(7, 11, (4, 20))
    plain = model(ids).logits
    with exact_rules(model):
        torch.testing.assert_close(model(ids).logits, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"hyena_order": 2}, {"hyena_order": 3, "two_sided": True}, {"n_layers": 1}])
def test_every_product_and_every_bend_is_called_once_a_pass(make_model, options):
    """What makes the rules right: what is skipped is not explained, what is shared is twice."""
    model, calls = make_model(**options), Counter()
    steps = {name: part for name, part in model.named_modules() if isinstance(part, (Product, InverseRoot, *UNARY))}
    with exact_rules(model):
        for name, part in steps.items():
            part.register_forward_hook(lambda module, inputs, output, name=name: calls.update([name]))
        model(torch.randint(7, 11, (2, 20)))
    layers, order = model.config.n_layers, model.config.hyena_order
    assert len(steps) == layers * (order + 1 + 2 * 3) + 3
    assert calls == dict.fromkeys(steps, 1)


# --- nothing stays behind -------------------------------------------------------------------------------------------


def state(model):
    return [(part.training, getattr(part, "explaining", None), len(part._forward_hooks)) for part in model.modules()]


def test_hooks_and_state_are_put_back(make_model):
    model = make_model().train()
    model.head.eval()
    before = state(model)
    with exact_rules(model):
        assert state(model) != before
    assert state(model) == before


def test_hooks_and_state_are_put_back_after_an_error_inside(make_model):
    model = make_model().train()
    before = state(model)
    with pytest.raises(KeyboardInterrupt), exact_rules(model):
        raise KeyboardInterrupt
    assert state(model) == before


def test_hooks_and_state_are_put_back_after_a_refusal():
    """The activation before the refused leaf has its hook already."""
    model = nn.Sequential(nn.GELU(), LayerNorm(2), nn.Softmax(-1)).train()
    before = state(model)
    with pytest.raises(ModelError), exact_rules(model):
        pass
    assert state(model) == before


def test_the_gradient_after_the_block_is_the_derivative_again():
    model, value = nn.Sequential(nn.GELU()), torch.tensor([[1.0], [-2.0]], requires_grad=True)
    expected = torch.autograd.grad(model(value)[0].sum(), value)[0]
    with exact_rules(model):
        inside = torch.autograd.grad(model(value)[0].sum(), value)[0]
    assert not torch.allclose(inside, expected)
    assert torch.equal(torch.autograd.grad(model(value)[0].sum(), value)[0], expected)
