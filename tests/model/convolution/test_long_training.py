"""Gradients taken in stretches are those of the plain way, however the sequence is cut."""

import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.model.convolution import fast_mixing, hyena, long_training
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.convolution.long_training import StretchedConvolution, mix_and_learn
from genomic_lens.model.convolution.short_convolution import ShortConvolution
from genomic_lens.model.layers.blocks import HyenaBlock
from genomic_lens.model.layers.gates import explain

KINDS = [(2, False), (3, False), (4, False), (2, True), (3, True)]


@pytest.fixture
def build():
    def build(order=2, two_sided=False, **changes):
        torch.manual_seed(order)
        shape = {"d_model": 12, "l_max": 80, "order": order, "two_sided": two_sided} | changes
        return HyenaOperator(**shape).double()

    return build


def gradients(way, operator, hidden, mask=None):
    """Of a task that weighs each output, for the weights and for the input."""
    operator.zero_grad()
    hidden = hidden.clone().requires_grad_()
    out = way(operator, hidden, mask)
    weigh = torch.cos(torch.arange(out.numel(), dtype=out.dtype)).view_as(out)
    (out * weigh).sum().backward()
    return out.detach(), hidden.grad, [weight.grad.clone() for weight in operator.parameters()]


@pytest.mark.parametrize("stretch", [1, 2, 7, 64])
@pytest.mark.parametrize(("order", "two_sided"), KINDS)
def test_values_and_gradients_equal_the_plain_way(build, monkeypatch, order, two_sided, stretch):
    monkeypatch.setattr(fast_mixing, "STRETCH", stretch)
    monkeypatch.setattr(fast_mixing, "LONG_SIGNAL", 1)
    monkeypatch.setattr(fast_mixing, "TRANSFORMS", 3)
    operator, hidden = build(order, two_sided, short_kernel=5), torch.randn(2, 30, 12, dtype=torch.float64)
    expected, found = (gradients(way, operator, hidden) for way in (HyenaOperator.spelt_out, mix_and_learn))
    assert all(grad.abs().max() > 1e-6 for grad in expected[2])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("order", "two_sided"), KINDS)
def test_padding_is_silent_and_gets_no_gradient(build, monkeypatch, order, two_sided):
    monkeypatch.setattr(fast_mixing, "STRETCH", 7)
    operator, hidden = build(order, two_sided), torch.randn(2, 50, 12, dtype=torch.float64)
    mask = torch.ones(2, 50, dtype=torch.bool)
    mask[0, :9], mask[1, 33:] = False, False
    expected, found = (gradients(way, operator, hidden, mask) for way in (HyenaOperator.spelt_out, mix_and_learn))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    assert found[1][0, :9].abs().max() == 0


def test_a_block_learns_the_same_either_way(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(fast_mixing, "STRETCH", 8)
    block = HyenaBlock(HyenaGLTConfig(d_model=8, sequence_length=40, dropout=0.0)).double().train()
    hidden, seen = torch.randn(2, 33, 8, dtype=torch.float64), []
    found = gradients(lambda block, hidden, mask: block(hidden, mask), block, hidden)
    monkeypatch.setattr(hyena, "mix_and_learn", None)  # nobody calls it in explain mode
    with explain(block):
        torch.testing.assert_close(gradients(lambda b, h, m: b(h, m), block, hidden), found, rtol=1e-9, atol=1e-11)
    block.mixer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        torch.testing.assert_close(block.eval()(hidden), found[0], rtol=0, atol=1e-11)
    torch.testing.assert_close(seen[0], block.norm1(hidden))


def test_short_input_outside_training_stays_twice_differentiable(build, monkeypatch):
    """Gradients of gradients, as some attributions want them, go the plain way."""
    operator, hidden = build().eval(), torch.randn(1, 9, 12, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(operator(hidden).sum(), hidden, create_graph=True)
    first.square().sum().backward()
    assert hidden.grad.abs().max() > 0
    monkeypatch.setattr(hyena, "LONG", 8)
    (first,) = torch.autograd.grad(operator(hidden).sum(), hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.square().sum().backward()


@pytest.mark.parametrize("first_lag", [0, -6])
def test_both_convolutions_have_right_gradients(first_lag):
    torch.manual_seed(0)
    taps = torch.randn(9, 7 - first_lag, dtype=torch.float64, requires_grad=True)
    parts = [torch.randn(2, size, 9, dtype=torch.float64, requires_grad=True) for size in (3, 4)]
    assert torch.autograd.gradcheck(lambda *a: StretchedConvolution.apply(a[0], first_lag, *a[1:]), (taps, *parts))
    signal = torch.randn(2, 8, 3, dtype=torch.float64, requires_grad=True)
    rows, bias = torch.randn(3, 3, dtype=torch.float64, requires_grad=True), torch.zeros(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(ShortConvolution.apply, (signal, rows, bias.requires_grad_()))


def test_dropout_acts_and_half_precision_stays_finite(build, monkeypatch):
    monkeypatch.setattr(fast_mixing, "STRETCH", 16)
    operator, hidden = build(dropout=0.5).float(), torch.randn(1, 60, 12)
    assert not torch.equal(operator(hidden), operator(hidden))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = mix_and_learn(operator.eval(), hidden)
    out.float().square().sum().backward()
    assert all(weight.grad.isfinite().all() and weight.grad.abs().max() > 0 for weight in operator.parameters())
    with torch.no_grad():
        torch.testing.assert_close(out.float(), operator.spelt_out(hidden), rtol=0.1, atol=0.05)


def test_windows_know_their_neighbours():
    parts = torch.arange(5.0).view(1, 5, 1).split(2, dim=1)
    seen = [(window.flatten().tolist(), left, right) for window, left, right in long_training.windows(parts, 2, 1)]
    assert seen == [([0, 1, 2], 0, 1), ([0, 1, 2, 3, 4], 2, 1), ([2, 3, 4], 2, 0)]
