"""Any window of a map, at any zoom, against the same map written out pair by pair."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.interpretability.attention.levels import FINE, finest, pool_lags, pool_sums, sum_products
from genomic_lens.interpretability.attention.pyramid import (
    AttentionPyramid,
    diagonal_distance,
    exact_cell,
    pooled_record,
    pooling_error,
)
from genomic_lens.interpretability.attention.separable_maps import SEPARABLE, DiagonalEnergy, Magnitude, cut
from genomic_lens.model.convolution import hyena
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.layers.attention import RotaryAttention
from genomic_lens.model.mixing.operators import HyenaFactors, HyenaMixing, HyenaProjections
from genomic_lens.records import PooledAttention

PATHS = ["value", "gates", "full", "gate 0", "gate 1"]
KINDS = list(SEPARABLE)


def layer_of(length, width=6, two_sided=False, seed=0, dtype=torch.float64, **options):
    """A layer with weights large enough to bend, and what it reads: four letters, normed, as after an embedding."""
    torch.manual_seed(seed)
    layer = HyenaOperator(width, length, two_sided=two_sided, **options).to(dtype)
    torch.nn.init.normal_(layer.in_proj.weight, std=0.4)
    letters = torch.nn.functional.layer_norm(torch.randn(4, width, dtype=dtype), (width,))
    return layer, letters[torch.randint(4, (length,))]


def operator_of(length, **options):
    layer, hidden = layer_of(length, **options)
    return layer.mixing_operator(hidden)


def dense_map(operator, kind="diagonal", path="value"):
    """All pairs at once: squared diagonal forms, or magnitudes."""
    everything = slice(0, operator.length)
    if kind == "diagonal":
        kernels, streams = operator.kernels(everything, everything, path), len(operator.streams(path))
        gram = operator.gram(path).unflatten(1, (streams, -1)).unflatten(0, (streams, -1))
        own = torch.einsum("sdtd->dst", gram)
        return torch.einsum("ijsd,dst,ijtd->ij", kernels, own, kernels)
    factors, parts = operator.factors(), operator.projections
    lags = torch.arange(operator.length)[:, None] - torch.arange(operator.length) - factors.first_lag
    heard = factors.filters[0][:, lags.clamp_min(0)] * (lags >= 0)
    weights = parts.out_weight.norm(dim=0) * parts.weights[2].norm(dim=1) * parts.short_taps[2].abs().sum(1)
    return torch.einsum("d,di,dij,dj->ij", weights, factors.gates[0].abs(), heard.abs(), factors.gates[1].abs())


def pooled_dense(values, kind, rows, columns, known=None):
    """The mean over all known pairs of each cell, or its root."""
    pairs = torch.ones_like(values) if known is None else (known[:, None] & known).to(values)
    cells = torch.full((len(rows), len(columns)), torch.nan, dtype=torch.float64)
    for at, row in enumerate(rows):
        for where, column in enumerate(columns):
            part = slice(row, row + rows.step), slice(column, column + columns.step)
            if pairs[part].any():
                cells[at, where] = (values[part] * pairs[part]).sum() / pairs[part].sum()
    return cells.sqrt() if kind == "diagonal" else cells


def distance(found, expected):
    return float((found - expected).norm() / expected.norm())


def even_operator(length, block, two_sided=False, width=3):
    """Gates that change every `block` positions, short convolutions that pass everything on, any filter."""
    torch.manual_seed(1)
    gates = torch.randn(2, width, length // block, dtype=torch.float64).repeat_interleave(block, -1)
    taps, first = (2 * length - 1, 1 - length) if two_sided else (length, 0)
    factors = HyenaFactors(gates, torch.zeros_like(gates), torch.randn(1, width, taps, dtype=torch.float64), first)
    through = torch.zeros(3, width, 3, dtype=torch.float64)
    through[..., 1 if two_sided else 0] = 1
    mixes = torch.randn(4, width, width, dtype=torch.float64)
    nothing = torch.zeros(3, width, dtype=torch.float64)
    projections = HyenaProjections(mixes[:3], nothing, through, nothing, -1 if two_sided else 0, mixes[3], nothing[0])
    return HyenaMixing(factors, projections)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_rows_and_columns_are_the_diagonal_form_of_every_path(path, two_sided):
    operator = operator_of(40, two_sided=two_sided)
    dense = dense_map(operator, path=path)
    source = DiagonalEnergy(operator, torch.ones(40, dtype=torch.bool), path=path)
    rows = torch.stack([source.row(place, 3, 38) for place in range(40)])
    columns = torch.stack([source.column(place, 0, 40) for place in range(40)], dim=1)
    torch.testing.assert_close(rows, dense[:, 3:38], rtol=0, atol=1e-12 * float(dense.max()))
    torch.testing.assert_close(columns, dense, rtol=0, atol=1e-12 * float(dense.max()))


@pytest.mark.parametrize("two_sided", [False, True])
def test_rows_and_columns_are_the_magnitudes_and_bound_the_norms(two_sided):
    operator = operator_of(40, two_sided=two_sided)
    dense = dense_map(operator, "magnitude")
    pyramid = AttentionPyramid(operator, "magnitude")
    for place in (0, 17, 39):
        torch.testing.assert_close(pyramid.row(place), dense[place], rtol=1e-10, atol=0)
        torch.testing.assert_close(pyramid.column(place), dense[:, place], rtol=1e-10, atol=0)
    norms, first = operator.norms(slice(0, 40), slice(0, 40)), operator.projections.short_first_lag
    reached = sum(cut(dense, shift, shift + 40) for shift in range(first, first + 3))
    assert (norms <= reached + 1e-12).all()


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_level_is_what_pooling_at_once_gives(kind, two_sided):
    operator = operator_of(FINE * 11 + 5, two_sided=two_sided)
    pyramid = AttentionPyramid(operator, kind)
    source, length = pyramid.map, operator.length
    outer, inner = source.outer(0, length), source.inner(0, length)
    assert len(pyramid.levels) == 5
    for rank, level in enumerate(pyramid.levels):
        size, bins = FINE * 2**rank, level.outer.shape[-1]
        lags = source.filters((-level.back - 1) * size, (bins + 1) * size)
        for found, direct in [
            (level.outer, pool_sums(outer, size)),
            (level.inner, pool_sums(inner, size)),
            (level.filters, pool_lags(lags, size)),
        ]:
            torch.testing.assert_close(found, direct, rtol=0, atol=1e-12 * float(direct.abs().max()))


def test_the_first_level_does_not_depend_on_the_stretches(monkeypatch):
    source = DiagonalEnergy(operator_of(700), torch.ones(700, dtype=torch.bool))
    whole, band = finest(source, torch.float64)
    monkeypatch.setattr("genomic_lens.interpretability.attention.levels.STRIP", 1)
    parts, other = finest(source, torch.float64)
    for one, two in zip((*whole[:3], band), (*parts[:3], other), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("rows", "columns", "q"), [(1, 1, 1), (5, 3, 2), (3, 7, 4), (70, 2, 1), (1, 40, 2)])
@pytest.mark.parametrize("room", [1, 300, 2**21])
def test_sums_of_products_are_those_of_three_loops(monkeypatch, rows, columns, q, room):
    monkeypatch.setattr("genomic_lens.interpretability.attention.levels.ROOM", room)
    outer, inner = torch.rand(2, rows * q), torch.rand(3, 2, columns * q)
    filters = torch.rand(3, 2, (rows + columns) * q - 1)
    lags = torch.arange(rows * q)[:, None] - torch.arange(columns * q) + columns * q - 1
    every = torch.einsum("di,pdij,pdj->ij", outer, filters[:, :, lags], inner)
    expected = every.unflatten(1, (columns, q)).unflatten(0, (rows, q)).sum((1, 3))
    torch.testing.assert_close(sum_products(outer, inner, filters, q), expected)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "q"), [(8, 1), (16, 1), (32, 4), (64, 2)])
def test_gates_that_are_even_within_bins_are_pooled_without_error(kind, two_sided, size, q):
    operator = even_operator(256, 32, two_sided)
    cells = range(0, 256, size)
    found = AttentionPyramid(operator, kind).cells(cells, cells, q)
    expected = pooled_dense(dense_map(operator, kind), kind, cells, cells)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("two_sided", [False, True])
def test_cells_of_as_many_bins_as_bases_are_exact(path, two_sided):
    operator = operator_of(150, two_sided=two_sided)
    cells = range(0, 150, 8)
    found = AttentionPyramid(operator, path=path).cells(cells, cells, q=8)
    torch.testing.assert_close(found, pooled_dense(dense_map(operator, path=path), "diagonal", cells, cells))


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("frequency", [1.0, 10.0])
def test_magnitudes_of_four_bins_a_side_are_within_half_a_percent_of_all_pairs(frequency, two_sided):
    operator = operator_of(2048, width=32, two_sided=two_sided, frequency=frequency, dtype=torch.float32)
    for kind, most in (("magnitude", 5e-3), ("diagonal", 2e-2)):
        pyramid = AttentionPyramid(operator, kind)
        exact, view, coarse = (pyramid.window(bins=64, q=q) for q in (32, 4, 1))
        error = distance(view.weights, exact.weights)
        assert 1e-5 < error < most
        assert distance(coarse.weights, exact.weights) > error
        assert error / 3 < pooling_error(pyramid, view, cells=32) < 3 * error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ((0, 300), (0, 300)),
        ((137, 201), (150, 190)),
        ((250, 300), (0, 60)),
        ((0, 60), (240, 300)),
        ((100, 101), (0, 300)),
    ],
)
@pytest.mark.parametrize("two_sided", [False, True])
def test_windows_of_any_place_are_part_of_the_map(kind, rows, columns, two_sided):
    operator = operator_of(300, two_sided=two_sided)
    dense = dense_map(operator, kind)
    pyramid = AttentionPyramid(operator, kind)
    window = pyramid.window(rows, columns, bins=20, q=16)
    size = window.rows.step
    assert max(window.weights.shape) <= 20
    for part, (start, stop) in zip((window.rows, window.columns), (rows, columns), strict=True):
        assert part.start == start, "with as many bins as bases, no edge moves"
        assert part[-1] < stop <= part[-1] + size
    torch.testing.assert_close(window.weights, pooled_dense(dense, kind, window.rows, window.columns))
    coarse = pyramid.window(rows, columns, bins=20, q=1)
    assert all(0 <= start - part.start < size for part, (start, _) in zip(coarse[1:3], (rows, columns), strict=True))


@pytest.mark.parametrize("path", PATHS)
def test_at_base_resolution_windows_and_lines_are_the_norms_over_all_channels(path):
    operator = operator_of(90)
    pyramid = AttentionPyramid(operator, path=path)
    window = pyramid.window((40, 90), (20, 60), bins=50)
    assert window.rows.step == 1
    torch.testing.assert_close(window.weights, operator.norms(slice(40, 90), slice(20, 60), path))
    everything = slice(0, 90)
    torch.testing.assert_close(pyramid.row(60), operator.norms(slice(60, 61), everything, path)[0])
    torch.testing.assert_close(pyramid.column(20), operator.norms(everything, slice(20, 21), path)[:, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_comes_from_ahead(kind):
    operator = operator_of(500)
    pyramid = AttentionPyramid(operator, kind)
    for size in (1, 4, 64, 128):
        cells = range(0, 500, size)
        assert not pyramid.cells(cells, cells).triu(1).any()
    assert AttentionPyramid(operator_of(500, two_sided=True), kind).cells(cells, cells).triu(1).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("two_sided", [False, True])
def test_masked_bases_do_not_count_and_tokens_may_begin_before_the_first_base(kind, two_sided):
    operator = operator_of(203, two_sided=two_sided)
    known = torch.ones(200, dtype=torch.bool)
    known[40:50] = known[128:144] = known[199] = False
    dense = dense_map(operator, kind)[2:202, 2:202]
    pyramid = AttentionPyramid(operator, kind, known=known, first=2)
    for size in (8, 16, 32):
        cells = range(0, 200, size)
        expected = pooled_dense(dense, kind, cells, cells, known)
        torch.testing.assert_close(pyramid.cells(cells, cells, q=size), expected, equal_nan=True)
    assert expected.isnan().any() == (size <= 16)
    window = pyramid.window((30, 60), (30, 60), bins=30)
    assert torch.equal(window.weights.isnan(), ~(known[30:60, None] & known[30:60]))
    assert torch.equal(pyramid.row(60).isnan(), ~known)
    assert pyramid.column(45).isnan().all()


@pytest.mark.parametrize("length", [1, 2, 15, 17, 100, 257])
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_that_are_no_power_of_two_have_short_last_cells(kind, length):
    operator = operator_of(length)
    pyramid = AttentionPyramid(operator, kind)
    window = pyramid.window(bins=4, q=4)
    exact = pooled_dense(dense_map(operator, kind), kind, window.rows, window.columns)
    assert window.weights.shape == exact.shape
    if window.rows.step > 1 or kind == "magnitude":
        assert distance(window.weights, exact) < 0.25
        assert float(window.weights[-1, -1]) == pytest.approx(float(exact[-1, -1]), rel=0.3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize(("row", "column", "size"), [(0, 0, 32), (64, 32, 32), (32, 96, 32), (192, 64, 64), (3, 7, 99)])
def test_a_cell_that_is_counted_out_is_the_mean_of_its_pairs(kind, two_sided, row, column, size):
    operator = operator_of(210, two_sided=two_sided)
    cells = range(row, row + 1, size), range(column, column + 1, size)
    expected = pooled_dense(dense_map(operator, kind), kind, *cells)
    assert exact_cell(AttentionPyramid(operator, kind), row, column, size) == pytest.approx(float(expected), rel=1e-9)


def test_the_distance_of_the_diagonal_form_is_that_from_norms():
    operator = operator_of(256, width=8)
    pyramid = AttentionPyramid(operator)
    window, cells = pyramid.window(bins=8), range(0, 256, 32)
    norms = pooled_dense(operator.norms(slice(0, 256), slice(0, 256)) ** 2, "diagonal", cells, cells)
    expected = distance(pooled_dense(dense_map(operator), "diagonal", cells, cells), norms)
    assert expected / 3 < diagonal_distance(pyramid, window, cells=64) < 3 * expected


def test_factors_in_half_precision_keep_the_error(monkeypatch):
    layer, hidden = layer_of(3000, width=16, dtype=torch.float32)
    plain = layer.mixing_operator(hidden)
    monkeypatch.setattr(hyena, "HELD", 0)
    held = layer.mixing_operator(hidden)
    assert held.factors().gates.dtype == torch.float16
    for kind in KINDS:
        one, two = (AttentionPyramid(operator, kind) for operator in (plain, held))
        assert two.levels[0].inner.dtype == torch.bfloat16
        for window in ({}, {"rows": (2000, 2200), "columns": (0, 200)}, {"rows": (50, 90), "columns": (40, 80)}):
            weights = [pyramid.window(**window, bins=50, q=2).weights for pyramid in (one, two)]
            assert distance(weights[1], weights[0]) < 2e-3
    for path in ("value", "gates", "full"):
        part = slice(100, 120), slice(90, 130), path
        assert distance(held.norms(*part), plain.norms(*part)) < 1e-3
    assert distance(held.matvec(hidden), plain.matvec(hidden)) < 1e-3


def test_error_is_measured_once_for_a_size_and_distance_of_cells():
    pyramid = AttentionPyramid(operator_of(600, width=4))
    near = [pyramid.window((0, 300), columns, bins=16, q=2) for columns in ((0, 300), (20, 320))]
    first, again = map(pyramid.errors, near)
    assert first == again
    assert first[0] > 0
    assert pyramid.errors(pyramid.window((0, 100), (400, 500), bins=8, q=2)) == (0, 0), "there is nothing"
    far = pyramid.window((400, 600), (0, 200), bins=16, q=2)
    assert pyramid.errors(far) != pyramid.errors(pyramid.window((400, 600), (400, 600), bins=16, q=2))


def test_records_say_how_they_were_made_and_come_back(tmp_path):
    pyramid = AttentionPyramid(operator_of(203, width=4))
    made = pooled_record(pyramid, pyramid.window((10, 203), (0, 203), bins=32, q=4), seed=3)
    record = PooledAttention("c0ffee", 203, layer=1, share=0.4, model="abc", **made)
    assert (record.rows, record.columns, record.cell, record.q) == ((10, 203), (0, 203), 8, 4)
    assert record.weights.dtype == np.float32
    assert 0 < record.error < 0.1
    assert 0 < record.diagonal_error < 0.5
    loaded = PooledAttention.load(record.save(tmp_path / "pooled.npz"))
    for item in fields(record):
        np.testing.assert_array_equal(getattr(loaded, item.name), getattr(record, item.name))
    table = record.to_dataframe()
    assert len(table) == record.weights.size
    assert table.iloc[-1].tolist() == [202, 203, 200, 203, record.weights[-1, -1]]
    near = pooled_record(pyramid, pyramid.window((0, 20), (0, 20)))
    assert (near["kind"], near["q"], near["error"], near["counted"], near["cell"]) == ("norm", 0, 0, 0, 1)


def test_what_has_no_pyramid_is_refused_in_a_sentence():
    attention = RotaryAttention(8, 2, l_max=9).mixing_operator(torch.randn(9, 8))
    with pytest.raises(ModelError, match="AttentionMixing came; only the map of a Hyena operator of order 2 separates"):
        AttentionPyramid(attention)
    with pytest.raises(ModelError, match="HyenaMixing of order 3 came"):
        AttentionPyramid(operator_of(20, order=3))
    with pytest.raises(ConfigurationError, match="'signed' came; .*base resolution: hidden_attention"):
        AttentionPyramid(operator_of(20), "signed")
    with pytest.raises(ConfigurationError, match="a pyramid has diagonal, magnitude"):
        AttentionPyramid(operator_of(20), "loud")
    with pytest.raises(ModelError, match="known of the path 'value' alone"):
        AttentionPyramid(operator_of(20), "magnitude", "full")
    pyramid = AttentionPyramid(operator_of(20))
    with pytest.raises(DataError, match="expected a span within 0–20"):
        pyramid.window((0, 21))
    with pytest.raises(DataError, match="Base 20 came; expected 0 to 19"):
        pyramid.row(20)


def test_cut_gives_zeros_where_there_is_nothing():
    values = torch.tensor([1.0, 2.0, 3.0])
    assert cut(values, -2, -1).tolist() == [0]
    assert cut(values, 5, 7).tolist() == [0, 0]
    assert cut(values, -1, 5).tolist() == [0, 1, 2, 3, 0, 0]
    assert cut(values, 1, 3).data_ptr() == values[1:].data_ptr()


def test_magnitudes_weigh_channels_by_their_projections():
    operator = operator_of(30)
    source = Magnitude(operator, torch.ones(30, dtype=torch.bool))
    silent = operator.projections._replace(out_weight=operator.projections.out_weight * (torch.arange(6) != 2))
    without = Magnitude(HyenaMixing(operator.factors(), silent), torch.ones(30, dtype=torch.bool))
    assert without.inner(0, 30)[0, 2].abs().max() == 0
    kept = [0, 1, 3, 4, 5]
    torch.testing.assert_close(without.inner(0, 30)[0, kept], source.inner(0, 30)[0, kept])
