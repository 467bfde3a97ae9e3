"""Explicit and modal filters: taps by hand, memories that give what the taps give, modes that one can read."""

import math

import pytest
import torch

from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model.convolution.explicit_filters import ExplicitFilter
from genomic_lens.model.convolution.filters import ImplicitFilter
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.convolution.long_convolution import long_convolution
from genomic_lens.model.convolution.modal_filters import ModalFilter, half_lives, log_rates_and_angles, periods

LONG = 600  # more than a modal memory follows at once


def explicit(channels=4, skip=True):
    return ExplicitFilter(channels, reach=7, groups=2, skip=skip)


def medium(channels=4, skip=True):
    return ExplicitFilter(channels, reach=40, skip=skip)


def implicit(channels=4, skip=True):
    return ImplicitFilter(channels, l_max=LONG, width=8, skip=skip)


def fading(channels=4, skip=True):
    return ModalFilter(channels, l_max=LONG, modes=3, skip=skip)


def turning(channels=4, skip=True):
    return ModalFilter(channels, l_max=LONG, modes=3, skip=skip, turning=True)


KINDS = (implicit, explicit, medium, fading, turning)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("cuts", [[1] * 20, [LONG], [300, 300], [50, 1, 1, 400, 1, 147]])
@torch.no_grad()
def test_a_memory_gives_what_the_taps_give_however_the_sequence_is_cut(kind, skip, cuts):
    torch.manual_seed(0)
    filters = kind(skip=skip).double()
    values = torch.randn(2, sum(cuts), 4, dtype=torch.float64)
    whole = long_convolution(values.transpose(1, 2), filters(sum(cuts))).transpose(1, 2)
    for channels in (slice(0, 4), slice(2, 4)):
        memory = filters.memory(2, sum(cuts), channels)
        parts = torch.cat([memory.follow(part) for part in values[..., channels].split(cuts, dim=1)], dim=1)
        torch.testing.assert_close(parts, whole[..., channels], rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_fork_goes_its_own_way(kind):
    filters = kind().double()
    start, ends = torch.randn(1, 10, 4).double(), torch.randn(3, 5, 4).double()
    memory = filters.memory(1, 15, slice(0, 4))
    memory.follow(start)
    forked, again = memory.fork(3), memory.fork(1)
    together = forked.follow(ends)
    whole = long_convolution(torch.cat([start.expand(3, -1, -1), ends], 1).transpose(1, 2), filters(15))
    torch.testing.assert_close(together, whole.transpose(1, 2)[:, 10:], rtol=0, atol=1e-10)
    torch.testing.assert_close(again.follow(ends[:1]), together[:1], rtol=0, atol=1e-10)
    torch.testing.assert_close(memory.follow(ends[:1]), together[:1], rtol=0, atol=1e-10)


def test_taps_by_hand():
    filters = ModalFilter(1, l_max=10, modes=2, skip=True).double()
    with torch.no_grad():
        filters.log_rates.copy_(
            torch.tensor([[math.log(2), math.log(4)]], dtype=torch.float64).log()
        )  # one half, one quarter
        filters.residues.copy_(torch.tensor([[1.0, 2.0]]))
        filters.bias.fill_(10)
    expected = [0.5**lag + 2 * 0.25**lag + 10 * (lag == 0) for lag in range(7)]
    assert filters(7)[0].tolist() == pytest.approx(expected, abs=1e-12)
    assert half_lives(filters)[0].tolist() == pytest.approx([1, 0.5])
    turns = ModalFilter(1, l_max=10, modes=1, skip=False, turning=True).double()
    with torch.no_grad():
        turns.log_rates.fill_(math.log(math.log(2) / 5))
        turns.angles.fill_(2 * math.pi / 3)
        turns.residues.copy_(torch.tensor([[[1.0, 0.0]]]))
    expected = [0.5 ** (lag / 5) * math.cos(2 * math.pi * lag / 3) for lag in range(9)]
    assert turns(9)[0].tolist() == pytest.approx(expected, abs=1e-12)
    assert (half_lives(turns).item(), periods(turns).item()) == pytest.approx((5, 3))
    assert periods(filters).isinf().all()


def test_single_precision_keeps_the_phase_after_a_hundred_thousand_positions():
    filters = turning()
    exact = turning().double()
    exact.load_state_dict({name: value.double() for name, value in filters.state_dict().items()})
    with torch.no_grad():
        filters.log_rates.fill_(-14)
        exact.log_rates.fill_(-14)
        assert (filters(100_000).double() - exact(100_000)).abs().max() < 1e-4 * exact(100_000).abs().max()


@torch.no_grad()
def test_published_poles_become_the_same_taps():
    poles = torch.polar(torch.rand(2, 3).double() * 0.5 + 0.4, torch.rand(2, 3).double() * 6 - 3)
    filters = ModalFilter(2, l_max=10, modes=3, skip=False, turning=True).double()
    log_rates, angles = log_rates_and_angles(poles)
    filters.log_rates.copy_(log_rates)
    filters.angles.copy_(angles)
    residues = torch.view_as_complex(filters.residues)
    expected = torch.stack([(residues * poles**lag).sum(-1).real for lag in range(30)], dim=-1)
    torch.testing.assert_close(filters(30), expected, rtol=0, atol=1e-12)
    with pytest.raises(ModelError, match="expected all below 1"):
        log_rates_and_angles(torch.ones(1, 1, dtype=torch.complex64))


def test_groups_share_taps_and_the_skip_term_is_of_one_channel():
    filters = explicit()
    taps = filters(100)
    assert taps.shape == (4, 7)
    assert filters(3).shape == (4, 3)
    shared = taps - torch.nn.functional.pad(filters.bias[:, None], (0, 6))
    torch.testing.assert_close(shared[0], shared[1])
    assert not torch.equal(shared[1], shared[2])
    with pytest.raises(ConfigurationError, match="groups of one size"):
        ExplicitFilter(5, reach=7, groups=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("two_sided", [False, True])
def test_an_operator_with_any_filters_rebuilds_its_output_and_its_jacobian(kind, order, two_sided):
    torch.manual_seed(0)
    layer = HyenaOperator(4, 64, order=order, two_sided=two_sided, filters=kind, bias=False).double().eval()
    hidden = torch.randn(60, 4, dtype=torch.float64)
    operator, everywhere = layer.mixing_operator(hidden), slice(0, 60)
    output = layer(hidden[None])[0]
    torch.testing.assert_close(operator.matvec(hidden) + operator.offset, output, rtol=0, atol=1e-10)
    exact = torch.autograd.functional.jacobian(layer, hidden[None])[0, :, :, 0]
    torch.testing.assert_close(
        operator.blocks(everywhere, everywhere, "full").permute(0, 2, 1, 3), exact, rtol=0, atol=1e-10
    )
    cells = operator.cells(torch.arange(60), torch.arange(60))
    torch.testing.assert_close(cells, operator.norms(everywhere, everywhere).to(cells.dtype), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_all_ways_through_an_operator_agree_and_every_parameter_learns(kind):
    torch.manual_seed(0)
    layer = HyenaOperator(4, LONG, filters=kind, bias=False).double()
    hidden, mask = torch.randn(2, 80, 4, dtype=torch.float64), torch.ones(2, 80, dtype=torch.bool)
    mask[1, 50:] = False
    learning = layer.train()(hidden, mask)
    learning.square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    layer.eval()
    with torch.no_grad():
        fast, spelt = layer(hidden, mask), layer.spelt_out(hidden, mask)
    torch.testing.assert_close(fast, spelt, rtol=0, atol=1e-10)
    torch.testing.assert_close(fast, learning.detach(), rtol=0, atol=1e-10)


def test_a_changed_filter_is_seen_by_the_fast_way():
    layer, hidden = HyenaOperator(4, 64, filters=fading).eval(), torch.randn(1, 60, 4)
    with torch.no_grad():
        before = layer(hidden)
        layer.filter_fn.residues *= 2
        torch.testing.assert_close(layer(hidden), layer.spelt_out(hidden))
        assert not torch.allclose(layer(hidden), before)


@torch.no_grad()
def test_a_memory_in_single_precision_does_not_drift():
    torch.manual_seed(0)
    filters = ModalFilter(4, l_max=20_000, modes=2)
    filters.log_rates.fill_(math.log(math.log(2) / 20_000))
    values = torch.randn(1, 20_000, 4)
    memory = filters.memory(1, 20_000, slice(0, 4))
    stepwise = torch.cat([memory.follow(part) for part in values.split([10_000, *[1] * 10_000], dim=1)], dim=1)
    whole = long_convolution(values.double().transpose(1, 2), filters.double()(20_000)).transpose(1, 2)
    assert (stepwise - whole).abs().max() < 1e-5 * whole.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_modes_in_half_precision_give_finite_taps(dtype):
    for kind in (fading, turning):
        filters = kind().to(dtype)
        assert filters(100).isfinite().all()
        assert filters.memory(1, 100, slice(0, 4)).follow(torch.zeros(1, 3, 4, dtype=dtype)).dtype == dtype
