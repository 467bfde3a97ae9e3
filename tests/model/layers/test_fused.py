"""Fused kernels give the numbers of the modules for which they stand, and stand aside where somebody would notice."""

import pytest
import torch
from torch import nn

from genomic_lens.model.layers import fused
from genomic_lens.model.layers.fused import FULL, bend, kernels, mapped, may_fuse

needs_kernels = pytest.mark.skipif(not kernels(), reason="this machine has no fused kernels")


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return nn.Linear(24, 40), nn.GELU(approximate="tanh"), 3 * torch.randn(2, FULL, 24)


def test_the_gelu_is_that_of_torch():
    values = torch.linspace(-30, 30, 10_001, dtype=torch.float64)
    torch.testing.assert_close(bend(values), torch.nn.functional.gelu(values, approximate="tanh"), rtol=0, atol=1e-12)
    assert bend(torch.tensor([-1e30, -200.0, 0.0, 200.0, 1e30])).tolist() == [0, 0, 0, 200, torch.tensor(1e30).item()]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [7, FULL - 1, FULL, 3 * FULL])
def test_all_ways_agree(parts, rows, bias):
    linear, gelu = nn.Linear(24, 40, bias=bias), parts[1]
    values = 3 * torch.randn(rows, 24)
    with torch.no_grad():
        assert may_fuse(linear, values) == (rows % FULL == 0 and kernels())
        torch.testing.assert_close(mapped(linear, values), linear(values), rtol=0, atol=1e-5)
        torch.testing.assert_close(mapped(linear, values, gelu), gelu(linear(values)), rtol=0, atol=1e-5)


@needs_kernels
def test_extreme_values_are_bent_as_torch_bends_them(parts):
    linear, values = nn.Linear(1, 1), torch.tensor([-1e30, -200.0, 0.0, 200.0, 1e30, torch.nan]).repeat(FULL)[:, None]
    with torch.no_grad():
        linear.weight.fill_(1.0)
        linear.bias.zero_()
        assert may_fuse(linear, values)
        found, expected = mapped(linear, values, parts[1]), parts[1](linear(values))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0, equal_nan=True)


@needs_kernels
def test_a_slice_of_a_batch_is_read_where_it_lies(parts):
    linear, gelu, values = parts
    wide = torch.cat([values, values], dim=1)
    with torch.no_grad():
        assert may_fuse(linear, wide[:, FULL // 2 : FULL // 2 + FULL])
        found = mapped(linear, wide[:, FULL // 2 : FULL // 2 + FULL], gelu)
        assert torch.equal(found, mapped(linear, wide[:, FULL // 2 : FULL // 2 + FULL].contiguous(), gelu))


class Ternary(nn.Parameter):
    """A weight that is not what its numbers say, as those of quantised models."""


class Doubled(nn.Linear):
    """Not torch's own."""

    def forward(self, values):
        return 2 * super().forward(values)


@needs_kernels
def test_modules_that_are_not_torchs_own_or_have_listeners_are_called(parts):
    linear, gelu, values = parts
    calls = []
    with torch.no_grad():
        assert may_fuse(linear, values)
        assert not may_fuse(Doubled(24, 40), values)
        other, patched = nn.Linear(24, 40), nn.Linear(24, 40)
        other.weight, patched.forward = Ternary(other.weight.detach()), lambda values: values
        assert not may_fuse(other, values)
        assert mapped(patched, values) is values
        linear.register_forward_hook(lambda *_: calls.append("linear"))
        mapped(linear, values, gelu)
        gelu.register_forward_hook(lambda *_: calls.append("gelu"))
        mapped(nn.Linear(24, 40), values, gelu)
    assert calls == ["linear", "gelu"]
    assert mapped(nn.Linear(24, 40), values, nn.ReLU()).min() == 0


@needs_kernels
def test_other_numbers_gradients_and_switches_keep_to_the_modules(parts):
    linear, gelu, values = parts
    assert mapped(linear, values, gelu).requires_grad
    with torch.no_grad():
        assert not may_fuse(linear.double(), values.double())
        linear.float()
        assert not may_fuse(linear, values[:, 1:]), "a number of rows that may never come again"
        with torch.autocast("cpu"):
            assert mapped(linear, values, gelu).dtype is torch.bfloat16
        with torch.backends.mkldnn.flags(enabled=False):
            assert not may_fuse(linear, values)


def test_without_kernels_the_modules_do_it(parts, monkeypatch):
    linear, gelu, values = parts
    monkeypatch.setattr(fused, "kernels", lambda: False)
    with torch.no_grad():
        assert not may_fuse(linear, values)
        torch.testing.assert_close(mapped(linear, values, gelu), gelu(linear(values)), rtol=0, atol=1e-6)
