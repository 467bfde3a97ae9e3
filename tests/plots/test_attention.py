"""The heatmap is the record, or its bin means; scales are honest about sign, size and masks."""

from dataclasses import replace

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.attention import draw_hidden_attention, plot_hidden_attention
from genomic_lens.plots.attention_cells import bin_means
from genomic_lens.plots.style import token
from genomic_lens.plots.words import describe
from genomic_lens.records import HiddenAttention, PooledAttention

from .conftest import words


def map_of(weights, rows, columns):
    return HiddenAttention("A" * 5000, weights, rows, columns, layer=0, path="value", share=0.9)


def test_without_binning_the_heatmap_is_the_record(looks):
    heat = plot_hidden_attention(looks).data[0]
    assert np.array_equal(heat.z, looks.weights, equal_nan=True)
    assert heat.x[2] + 0.5 == 202
    assert heat.y[7] + 0.5 == 107


def test_with_binning_each_cell_is_the_mean_of_its_bases_and_the_title_says_so():
    record = map_of(np.random.default_rng(0).random((512, 1024)), (0, 512), (1000, 2024))
    heat = plot_hidden_attention(record).data[0]
    expected = record.weights.reshape(256, 2, 256, 4).mean((1, 3))
    assert np.allclose(heat.z, expected)
    assert (heat.x[0], heat.x[1], heat.x[-1]) == (999.5, 1003.5, 2023.5)
    assert "each cell is the mean of 2 × 4 bases" in plot_hidden_attention(record).layout.title.text
    assert "each cell is the mean of 2 × 4 bases" in words(draw_hidden_attention(record))


def test_a_ragged_last_bin_is_the_mean_of_what_it_holds():
    weights = np.arange(21.0).reshape(3, 7)
    means, rows, columns = bin_means(weights, most=3)
    assert means.shape == (3, 3)
    assert columns.tolist() == [0, 3, 6, 7]
    assert means[1].tolist() == [8, 11, 13]
    assert rows.tolist() == [0, 1, 2, 3]


def test_masked_cells_do_not_pull_a_bin_to_zero_and_all_masked_stay_masked():
    weights = np.array([[4.0, np.nan, np.nan, np.nan]])
    assert np.array_equal(bin_means(weights, most=2)[0], [[4.0, np.nan]], equal_nan=True)


def test_a_record_that_is_binned_already_keeps_its_span_and_says_so():
    record = map_of(np.ones((10, 10)), (0, 1000), (0, 1000))
    figure = plot_hidden_attention(record)
    assert (figure.data[0].x[0], figure.data[0].x[-1]) == (-0.5, 999.5)
    assert "each cell stands for 100 × 100 bases" in figure.layout.title.text


def test_masked_cells_are_grey_or_hatched_and_not_the_colour_of_zero(looks):
    figure = plot_hidden_attention(looks)
    assert np.isnan(figure.data[0].z[9]).all()
    grey = figure.data[1]
    assert {colour for _, colour in grey.colorscale} == {token("masked")}
    assert np.array_equal(np.isfinite(grey.z), np.isnan(looks.weights))
    assert "grey: masked" in figure.layout.title.text
    ax = draw_hidden_attention(looks)
    mesh = ax.collections[0]
    assert mesh.get_array().mask[9].all()
    assert not mesh.get_array().mask[:9].any()
    assert any(patch.get_hatch() for patch in ax.patches)
    assert "hatched: masked" in words(ax)


def test_no_word_of_masks_where_there_are_none(looks):
    assert "masked" not in plot_hidden_attention(replace(looks, weights=np.ones((10, 20)))).layout.title.text


def test_titles_carry_layer_path_and_share(looks):
    for title in (plot_hidden_attention(looks).layout.title.text, words(draw_hidden_attention(looks))):
        for part in ("layer 2", "value path", "shows 47 % of the Jacobian"):
            assert part in title


def test_magnitudes_begin_at_zero_and_signed_values_are_symmetric(looks):
    heat = plot_hidden_attention(looks).data[0]
    assert (heat.zmin, heat.zmax) == (0, 0.8)
    signed = replace(looks, weights=np.array([[-2.0, 0.5]]), rows=(0, 1), columns=(0, 2), kind="signed")
    heat = plot_hidden_attention(signed).data[0]
    assert (heat.zmin, heat.zmax) == (-2, 2)
    assert heat.colorscale != plot_hidden_attention(looks).data[0].colorscale
    mesh = draw_hidden_attention(signed).collections[0]
    assert mesh.get_clim() == (-2, 2)
    middle = mesh.get_cmap()(mesh.norm(0.0))
    assert min(matplotlib.colors.to_rgb(middle)) > 0.9


def test_a_log_scale_shows_logarithms_at_most_four_decades_deep_and_says_so(looks):
    weights = np.array([[1.0, 1e-2], [0.0, 1e-9]])
    record = replace(looks, weights=weights, rows=(0, 2), columns=(0, 2))
    figure = plot_hidden_attention(record, log=True)
    assert np.allclose(figure.data[0].z, [[0, -2], [-4, -4]])
    assert np.array_equal(figure.data[0].customdata, weights)
    assert list(figure.data[0].colorbar.ticktext) == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert "log scale from 0.0001; 33.3 % of the cells are weaker" in figure.data[0].colorbar.title.text
    assert draw_hidden_attention(record, log=True).collections[0].norm(1e-4) == pytest.approx(0)


def test_a_log_scale_spreads_its_colours_over_what_is_seen():
    weights = np.geomspace(0.02, 0.5, 500).reshape(25, 20)
    record = map_of(weights, (0, 25), (100, 120))
    lowest = np.sort(weights.ravel())[4]  # 1 % of the cells are below
    heat = plot_hidden_attention(record, log=True).data[0]
    assert (heat.zmin, heat.zmax) == pytest.approx((np.log10(lowest), np.log10(0.5)))
    assert list(heat.colorbar.ticktext) == ["0.05", "0.1", "0.2", "0.5"]
    ax = draw_hidden_attention(record, log=True)
    assert ax.collections[0].get_clim() == pytest.approx((lowest, 0.5))
    label = ax.figure.axes[-1].get_ylabel()
    assert f"log scale from {lowest:.2g}; 0.8 % of the cells are weaker" in label


def test_cells_ahead_of_a_causal_row_are_empty_and_no_value():
    weights = np.tril(np.random.default_rng(0).random((6, 6)) + 0.1)
    weights[3] = np.nan
    record = HiddenAttention("ACGTAC", weights, (0, 6), (0, 6), layer=0, path="value", share=0.9)
    heat, masked = plot_hidden_attention(record, log=True).data
    assert np.array_equal(np.isfinite(heat.z), weights > 0)
    assert np.array_equal(np.isfinite(masked.z), np.isnan(weights))
    mesh, empty = draw_hidden_attention(record).collections
    ahead = np.triu(np.ones((6, 6), bool), 1) & ~np.isnan(weights)
    assert np.array_equal(~np.ma.getmaskarray(empty.get_array()), ahead)
    assert np.ma.getmaskarray(mesh.get_array())[ahead].all()
    assert matplotlib.colors.to_hex(empty.get_cmap()(0.0)) == token("grid").lower()


def test_a_map_that_looks_ahead_keeps_its_zeros():
    weights = np.eye(4)
    weights[0, 3] = 0.5
    record = HiddenAttention("ACGT", weights, (0, 4), (0, 4), layer=0, path="value", share=0.9)
    assert np.array_equal(plot_hidden_attention(record).data[0].z, weights)
    assert len(draw_hidden_attention(record).collections) == 1


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels(minor=True)]


def test_letters_stand_at_the_axes_of_eighty_bases_and_not_of_more(looks):
    figure, ax = plot_hidden_attention(looks), draw_hidden_attention(looks)
    assert ticks(ax.xaxis) == list(looks.sequence[200:220])
    assert ticks(ax.yaxis) == list(looks.sequence[100:110])
    assert list(ax.xaxis.get_minorticklocs()) == list(range(200, 220))
    assert figure.layout.xaxis.ticktext[:2] == ("A<br>200", "C")
    assert figure.layout.yaxis.ticktext[:2] == ("100 A", "C")
    wide = map_of(np.ones((80, 81)), (0, 80), (0, 81))
    assert len(ticks(draw_hidden_attention(wide).yaxis)) == 80
    assert ticks(draw_hidden_attention(wide).xaxis) == []
    small = plt.subplots(1, 3, figsize=(12, 4))[1][0]
    assert ticks(draw_hidden_attention(wide, small).yaxis) == []
    assert plot_hidden_attention(wide).layout.xaxis.ticktext is None


def test_a_map_of_a_pyramid_has_the_letters_of_the_sequence_that_is_passed(pooled):
    assert ticks(draw_hidden_attention(pooled).xaxis) == []
    assert ticks(draw_hidden_attention(pooled, sequence="ACGTTGCAAC").xaxis) == list("ACGTTGCAAC")


def test_a_log_scale_of_signed_values_is_refused(looks):
    for function in (plot_hidden_attention, draw_hidden_attention):
        with pytest.raises(DataError, match="signed map has no logarithm"):
            function(replace(looks, kind="signed"), log=True)


def test_row_zero_is_on_top(looks):
    low, high = plot_hidden_attention(looks).layout.yaxis.range
    assert (low, high) == (109.5, 99.5)
    assert draw_hidden_attention(looks).get_ylim() == (109.5, 99.5)


def test_a_map_of_zeros_or_masks_alone_can_be_drawn(looks):
    zeros = plot_hidden_attention(replace(looks, weights=np.zeros((10, 20)))).data[0]
    assert zeros.zmin < zeros.zmax
    masked = plot_hidden_attention(replace(looks, weights=np.full((10, 20), np.nan)))
    assert "all cells are masked" in masked.layout.meta["alt"]


KINDS = {
    "diagonal": ("Hidden attention (channels apart) of layer 2, value path", "channels apart", {"error": 0.02}),
    "signed": ("Signed hidden attention of layer 2, value path", "trace", {}),
    "contribution": ("Contributions to donor of layer 2", "contribution", {"direction": "donor", "error": 1e-7}),
    "weights": ("Attention weights of layer 2, head 3", "attention weight", {"head": 3}),
    "rollout": ("Hidden attention through layers 0 to 2, value path", "all layers", {"layers": (0, 2), "probes": 32}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_a_cell_holds(looks, kind):
    title, unit, options = KINDS[kind]
    record = replace(looks, kind=kind, **options)
    figure, ax = plot_hidden_attention(record), draw_hidden_attention(record)
    assert title in figure.layout.title.text
    assert title in words(ax)
    assert unit in figure.data[0].colorbar.title.text
    assert figure.layout.meta["alt"].startswith(title)


def test_kinds_that_have_a_sign_are_symmetric_and_the_others_begin_at_zero(looks):
    for kind in KINDS:
        heat = plot_hidden_attention(replace(looks, kind=kind)).data[0]
        assert heat.zmin == (-0.8 if kind in ("signed", "contribution") else 0)
    with pytest.raises(DataError, match="has no logarithm"):
        plot_hidden_attention(replace(looks, kind="contribution"), log=True)


def test_errors_are_told_where_there_are_any(looks):
    expected = {
        "diagonal": "off the exact norms by 0.02",
        "contribution": "rows add up to within 1e-07",
        "rollout": "from 32 probes, standard error 0.05",
    }
    for kind, sentence in expected.items():
        record = replace(looks, kind=kind, error=float(sentence.split()[-1]), probes=32)
        assert sentence in plot_hidden_attention(record).layout.title.text
    assert "within" not in plot_hidden_attention(replace(looks, kind="contribution")).layout.title.text


def test_weights_and_contributions_say_whose_share_is_shown(looks):
    title = plot_hidden_attention(replace(looks, kind="weights")).layout.title.text
    assert "the value path shows 47 % of the Jacobian" in title


@pytest.fixture
def pooled():
    """Cells of four bases; the last of ten is short. Rows 4–7 look at columns 0–3."""
    weights = np.array([[0.2, 0, 0], [0.9, 0.1, 0], [0.3, 0.4, np.nan]], dtype=np.float32)
    made = {"q": 2, "error": 0.004, "counted": 8, "diagonal_error": 0.03, "share": 0.4}
    return PooledAttention("c0ffee", 10, weights, (0, 10), (0, 10), cell=4, layer=1, **made)


def test_maps_of_a_pyramid_are_drawn_cell_by_cell_up_to_their_short_end(pooled):
    heat = plot_hidden_attention(pooled).data[0]
    np.testing.assert_array_equal(heat.z, np.where(pooled.weights > 0, pooled.weights, np.nan))
    assert heat.x.tolist() == heat.y.tolist() == [-0.5, 3.5, 7.5, 9.5]
    ax = draw_hidden_attention(pooled, log=True)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 9.5), (9.5, -0.5))


def test_maps_of_a_pyramid_say_what_a_cell_is_and_how_far_it_holds(pooled):
    for record, cell in ((pooled, "root mean square over"), (replace(pooled, kind="magnitude"), "mean over")):
        for title in (plot_hidden_attention(record).layout.title.text, words(draw_hidden_attention(record))):
            for part in (f"each cell is the {cell} 4 × 4 bases", "shows 40 % of the Jacobian", "layer 1, value path"):
                assert part in title.replace("<br>", " ").replace("\n", " ")
            assert "off the sum over all pairs by 0.004" in title
    exact = replace(pooled, error=0.0, diagonal_error=0.0)
    assert "off" not in plot_hidden_attention(exact).layout.title.text


def test_the_strongest_cell_of_a_pyramid_is_named_by_its_bases(pooled):
    assert describe(pooled) == (
        "Hidden attention (channels apart) of layer 1, value path, which shows 40 % of the Jacobian: rows 4–7 "
        "draw most on columns 0–3 (0.9)."
    )
    assert describe(replace(pooled, cell=1, kind="norm")).endswith("row 1 draws most on column 0 (0.9).")
    assert describe(replace(pooled, weights=pooled.weights * np.nan)).endswith("all cells are masked.")


def test_the_path_of_contributions_is_named_where_it_is_another(looks):
    full = replace(looks, kind="contribution", path="full", direction="donor")
    title = plot_hidden_attention(full).layout.title.text
    assert "layer 2, full path" in title
    assert "the value path" not in title
    assert "full path, which shows" in describe(full)
