"""The long convolution against its definition, summed out in double precision."""

import pytest
import torch

from genomic_lens.model.convolution.long_convolution import filter_spectrum, long_convolution, transposed_filter

CASES = [  # signal length, taps, first lag
    (13, 13, 0), (13, 5, 0), (5, 13, 0), (16, 31, -15), (7, 13, -6), (11, 4, -2), (11, 4, 3), (6, 5, -9), (1, 1, 0),
]  # fmt: skip


def direct(signal: torch.Tensor, taps: torch.Tensor, first_lag: int) -> torch.Tensor:
    """out[i] = sum over lags of taps[lag] signal[i - lag], with nothing beyond the ends."""
    out = torch.zeros_like(signal)
    for i in range(len(signal)):
        for tap, value in enumerate(taps):
            j = i - (first_lag + tap)
            if 0 <= j < len(signal):
                out[i] += value * signal[j]
    return out


@pytest.mark.parametrize(("length", "count", "first_lag"), CASES)
def test_equals_the_double_loop(length, count, first_lag):
    torch.manual_seed(0)
    signal, taps = torch.randn(length, dtype=torch.float64), torch.randn(count, dtype=torch.float64)
    torch.testing.assert_close(
        long_convolution(signal, taps, first_lag), direct(signal, taps, first_lag), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("two_sided", [False, True])
def test_equals_torch_conv1d_channel_by_channel(two_sided):
    torch.manual_seed(1)
    length = 101
    signal = torch.randn(3, 4, length, dtype=torch.float64)
    taps = torch.randn(4, 2 * length - 1 if two_sided else length, dtype=torch.float64)
    padding = (length - 1, length - 1 if two_sided else 0)
    padded = torch.nn.functional.pad(signal, padding)
    expected = torch.nn.functional.conv1d(padded, taps.flip(-1)[:, None], groups=4)
    found = long_convolution(signal, taps, 1 - length if two_sided else 0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_nothing_that_leaves_at_the_end_comes_back_at_the_start():
    """The transform is circular; with too little padding exactly this would show."""
    last = torch.zeros(64, dtype=torch.float64).index_fill(0, torch.tensor(63), 1.0)
    assert long_convolution(last, torch.ones(64, dtype=torch.float64))[:63].abs().max() < 1e-14
    ahead = long_convolution(last.flip(0), torch.ones(64, dtype=torch.float64), first_lag=-63)
    assert ahead[1:].abs().max() < 1e-14


@pytest.mark.parametrize(("length", "count", "first_lag"), CASES)
def test_transpose_satisfies_the_adjoint_identity(length, count, first_lag):
    """<y, T x> = <T' y, x> for random x and y, which fixes T' wholly."""
    torch.manual_seed(2)
    x, y = torch.randn(2, length, dtype=torch.float64)
    taps = torch.randn(count, dtype=torch.float64)
    left = y @ long_convolution(x, taps, first_lag)
    right = x @ long_convolution(y, *transposed_filter(taps, first_lag))
    assert left.item() == pytest.approx(right.item(), abs=1e-12)


def test_transposed_twice_is_the_filter_again():
    taps = torch.randn(6)
    twice, first_lag = transposed_filter(*transposed_filter(taps, -2))
    assert torch.equal(twice, taps)
    assert first_lag == -2


def test_spectrum_is_the_fourier_sum_over_lags():
    torch.manual_seed(3)
    taps, size, first_lag = torch.randn(5, dtype=torch.float64), 12, -2
    lags = first_lag + torch.arange(5, dtype=torch.float64)
    frequencies = torch.arange(size // 2 + 1, dtype=torch.float64) / size
    expected = (taps * torch.exp(-2j * torch.pi * frequencies[:, None] * lags)).sum(1)
    torch.testing.assert_close(filter_spectrum(taps, size, first_lag), expected, rtol=0, atol=1e-14)


def test_gradients_of_signal_and_taps_are_those_of_finite_differences():
    torch.manual_seed(4)
    signal = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    taps = torch.randn(2, 11, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *inputs: long_convolution(*inputs, -5), (signal, taps))


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_is_rounded_once_at_the_end(autocast):
    """Summed in half precision, 2,000 taps would be wrong in the second digit; rounded once, right to the bit."""
    torch.manual_seed(5)
    signal, taps = torch.randn(2000).bfloat16(), torch.randn(2000).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        found = long_convolution(signal, taps)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, long_convolution(signal.float(), taps.float()).bfloat16())


def test_precise_taps_keep_their_precision_beside_a_coarse_signal():
    taps = torch.tensor([1e8 + 0.5, -1e8], dtype=torch.float64)
    found = long_convolution(torch.ones(2), taps)
    assert found.dtype == torch.float32
    assert found[1].item() == pytest.approx(0.5, abs=1e-6)
