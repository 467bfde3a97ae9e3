import base64
import zlib

import numpy as np
import pytest

from genomic_lens.report.packing import MISSING, ArrayStore, coarsen, quantise


def read(store, entry):
    """The array that an entry describes, as the script reads it."""
    data = zlib.decompress(base64.b64decode(store.text()))
    count = int(np.prod(entry["shape"]))
    if entry["type"] == "float32":
        return np.frombuffer(data, "<f4", count, entry["at"]).reshape(entry["shape"])
    codes = np.frombuffer(data, np.uint8, count, entry["at"]).reshape(entry["shape"]).astype(float)
    middle = 127 if entry["type"] == "signed" else 0
    values = entry["peak"] * ((codes - middle) / (254 - middle)) ** 3
    return np.where(codes == MISSING, np.nan, values)


def heavy_tailed(seed=0, shape=(40, 30)):
    random = np.random.default_rng(seed)
    return np.exp(random.normal(0, 3, shape))


def test_arrays_come_back_whatever_their_order_and_type():
    random = np.random.default_rng(0)
    store = ArrayStore()
    codes = store.codes(random.random((3, 5)), signed=False)  # 15 bytes, so that what follows is not aligned
    floats = random.normal(size=7)
    floats[2] = np.nan
    entry = store.floats(floats)
    np.testing.assert_array_equal(read(store, entry), floats.astype(np.float32))
    assert read(store, codes).shape == (3, 5)


@pytest.mark.parametrize("signed", [False, True])
def test_the_cube_root_is_off_by_half_a_level_at_most(signed):
    values = heavy_tailed()
    if signed:
        values *= np.random.default_rng(1).choice([-1, 1], values.shape)
    store = ArrayStore()
    back = read(store, store.codes(values, signed))
    peak = np.cbrt(np.abs(values).max())
    assert np.abs(np.cbrt(back) - np.cbrt(values)).max() <= peak / (2 * (127 if signed else 254)) * (1 + 1e-9)
    assert np.abs(back).max() == pytest.approx(np.abs(values).max(), rel=1e-12)
    far = np.abs(values) > np.abs(values).max() / 1000
    assert (np.abs(back / values - 1)[far] < (0.13 if signed else 0.062)).all()


def test_signs_and_zero_survive():
    codes, _ = quantise(np.array([-8.0, -1e-9, 0.0, 1e-9, 8.0]), signed=True)
    assert codes.tolist() == [0, 127, 127, 127, 254]


def test_masked_cells_are_neither_zero_nor_part_of_the_peak():
    codes, peak = quantise(np.array([np.nan, 0.0, 2.0, np.inf]))
    assert codes.tolist() == [MISSING, 0, 254, MISSING]
    assert peak == 2.0


def test_an_empty_map_is_zero_everywhere():
    codes, peak = quantise(np.zeros((2, 2)))
    assert (codes == 0).all()
    assert peak == 0.0


def test_binning_keeps_the_energy_of_the_map():
    weights = heavy_tailed(shape=(10, 9))
    binned, size = coarsen(weights, most=4)
    assert size == 3
    assert binned.shape == (4, 3)
    cells = np.add.reduceat(np.ones(10), range(0, 10, 3))[:, None] * np.full(3, 3)
    assert (cells * binned**2).sum() == pytest.approx((weights**2).sum(), rel=1e-12)


def test_binning_by_hand_with_masked_cells():
    weights = np.full((4, 4), np.nan)
    weights[0, 0], weights[1, 1] = 3.0, 4.0
    weights[2:, 2:] = [[1.0, 1.0], [1.0, 5.0]]
    binned, _ = coarsen(weights, most=2)
    np.testing.assert_allclose(binned, [[np.sqrt(25 / 2), np.nan], [np.nan, np.sqrt(28 / 4)]])


def test_small_maps_are_left_as_they_are():
    weights = heavy_tailed(shape=(8, 8))
    assert coarsen(weights, most=8)[0] is weights
