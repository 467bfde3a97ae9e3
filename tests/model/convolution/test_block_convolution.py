"""Blocks add up to the convolution in one piece, whatever their number, whichever way and however far filters look."""

import pytest
import torch

from genomic_lens.model.convolution.block_convolution import Circle, block_products, blocks_of, filter_blocks
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.convolution.long_convolution import long_convolution, transform_size


def in_blocks(signal, taps, first_lag, parts):
    """The way of `fast_mixing`, with the number of blocks given."""
    length = signal.shape[-1]
    size = -(-length // parts)
    windows, place = filter_blocks(taps, first_lag, length, size)
    circle = Circle(transform_size(size, windows.shape[-1], place), 64 * parts, signal)
    whole = torch.nn.functional.pad(signal, (0, parts * size - length)).unflatten(-1, (parts, size))
    ahead = windows.shape[-2] // 2 if first_lag else 0
    products = block_products(circle.spectrum(whole), circle.spectrum(windows, place), -ahead)
    return circle.values(products, size).flatten(-2)[..., :length], windows.shape[-2]


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("length", [28, 29, 50])
@pytest.mark.parametrize("two_sided", [False, True])
def test_blocks_add_up_to_the_whole(parts, length, two_sided):
    torch.manual_seed(length)
    first_lag = 1 - length if two_sided else 0
    signal = torch.randn(2, 3, length, dtype=torch.float64)
    taps = torch.randn(3, length - first_lag, dtype=torch.float64)
    filtered, windows = in_blocks(signal, taps, first_lag, parts)
    torch.testing.assert_close(filtered, long_convolution(signal, taps, first_lag), rtol=0, atol=1e-12)
    filled = -(-length // -(-length // parts))  # 29 positions in blocks of 5 fill six of seven
    assert windows == (2 * filled - 1 if two_sided else filled)


@pytest.mark.parametrize(("reach", "windows"), [(0, 1), (1, 2), (10, 2), (11, 3)])
def test_windows_beyond_a_short_filter_are_left_out(reach, windows):
    signal, taps = torch.randn(1, 50, dtype=torch.float64), torch.randn(1, reach + 1, dtype=torch.float64)
    filtered, found = in_blocks(signal, taps, 0, 5)
    torch.testing.assert_close(filtered, long_convolution(signal, taps), rtol=0, atol=1e-12)
    assert found == windows


def test_each_tap_stands_in_its_windows():
    windows, place = filter_blocks(torch.arange(1.0, 7.0), 0, length=6, size=2)
    assert windows.tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert place == -1


def test_short_signals_and_those_on_other_devices_stay_in_one_piece():
    cpu = torch.device("cpu")
    assert blocks_of(8191, cpu) == (1, 8191)
    assert blocks_of(8192, cpu) == (4, 2048)
    assert blocks_of(1_000_000, cpu) == (8, 125_000)
    assert blocks_of(1_000_000, torch.device("cuda")) == (1, 1_000_000)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("length", [8192, 8195])
def test_the_operator_takes_the_same_way(two_sided, length):
    torch.manual_seed(0)
    operator = HyenaOperator(d_model=4, l_max=9000, order=3, two_sided=two_sided).double().eval()
    hidden = torch.randn(1, length, 4, dtype=torch.float64)
    mask = torch.ones(1, length, dtype=torch.bool)
    mask[:, 5000:] = False
    with torch.no_grad():
        found = operator(hidden, mask)
        assert operator.spectra.kept[1][0][1].shape[-2] == (7 if two_sided else 4)
        torch.testing.assert_close(found, operator.spelt_out(hidden, mask), rtol=0, atol=1e-10)
