"""The explorer without a browser: its controls are moved, and what it shows is held against the functions behind it."""

import numpy as np
import pytest
import torch

from genomic_lens.dashboards import AttentionExplorer, jobs
from genomic_lens.dashboards.map_lines import line_of, thinned
from genomic_lens.dashboards.record_tiles import RecordTiles
from genomic_lens.interpretability import HiddenAttentionTiles, hidden_attention, positional_patterns
from genomic_lens.interpretability.attention.tiles import MapPlace
from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaForSequenceClassification
from genomic_lens.records import HiddenAttention

from .conftest import SEQUENCE


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """However slow the machine is, nothing waits to be told."""
    monkeypatch.setattr(jobs, "QUICK", float("inf"))


@pytest.fixture
def explorer(model, tokenizer):
    return AttentionExplorer(model, tokenizer, SEQUENCE)


@pytest.fixture
def striped():
    """Layer 3 is attention with four heads."""
    torch.manual_seed(0)
    config = StripedHyenaConfig(vocab_size=12, d_model=16, num_heads=4, sequence_length=64, num_classes=3)
    return StripedHyenaForSequenceClassification(config).eval()


def hidden(control):
    return control.layout.display == "none"


def cells(explorer):
    """The finest tile of the map that is shown, as the browser would ask for it."""
    return explorer.map.source.tile(MapPlace(0, 0, 0), *explorer.map.shown)


@pytest.mark.parametrize("path", ["value", "gate 0", "gate 1", "gates", "full"])
def test_every_path_of_a_layer_is_offered_and_shown_with_its_share(explorer, model, tokenizer, path):
    view = explorer.map
    assert path in dict(view.path.options).values()
    view.layer.value, view.path.value = 1, path
    record = hidden_attention(model, tokenizer, SEQUENCE, [1], [path])[0]
    np.testing.assert_allclose(cells(explorer), record.weights, atol=1e-6)
    assert f"shows {100 * record.share:.3g} % of the Jacobian" in view.foot.value
    assert explorer.map.tiles.map.endswith(f"/1/{path}")


@pytest.mark.parametrize("kind", ["diagonal", "signed", "contribution"])
def test_every_kind_of_map_is_shown_with_its_share_and_its_error(explorer, model, tokenizer, kind):
    view = explorer.map
    before = view.tiles.map
    view.kind.value, view.direction.value = kind, "donor"
    record = hidden_attention(model, tokenizer, SEQUENCE, [0], kind=kind, direction="donor")[0]
    np.testing.assert_allclose(cells(explorer), record.weights)
    assert view.tiles.map != before
    assert view.tiles.kind == ("norm" if kind == "diagonal" else "signed")
    assert f"shows {100 * record.share:.3g} % of the Jacobian" in view.foot.value
    assert kind in view.foot.value
    assert ("towards donor, rows add up to within" in view.foot.value) == (kind == "contribution")
    assert hidden(view.direction) == (kind != "contribution")


def test_contributions_hold_the_path_at_the_value(explorer):
    view = explorer.map
    view.path.value = "full"
    view.kind.value = "contribution"
    assert (view.path.value, view.path.disabled) == ("value", True)
    view.kind.value = "norm"
    assert not view.path.disabled
    assert view.source is view.session.tiles()


def test_weights_and_heads_are_offered_where_there_are_some(striped, tokenizer):
    explorer = AttentionExplorer(striped, tokenizer, SEQUENCE)
    view = explorer.map
    assert "weights" not in dict(view.kind.options).values()
    assert hidden(view.head)
    view.layer.value = 3
    assert "gate 0" not in dict(view.path.options).values()
    view.kind.value = "weights"
    for head in (0, 2):
        view.head.value = head
        record = hidden_attention(striped, tokenizer, SEQUENCE, [3], kind="weights", heads=[head])[0]
        np.testing.assert_allclose(cells(explorer), record.weights)
    np.testing.assert_allclose(np.nansum(cells(explorer), 1), 1, atol=1e-5)
    view.kind.value = "norm"
    expected = hidden_attention(striped, tokenizer, SEQUENCE, [3], heads=[2])[0]
    np.testing.assert_allclose(cells(explorer), expected.weights)
    view.layer.value = 0
    assert (view.head.value, view.kind.value) == (None, "norm")
    assert view.source is view.session.tiles()


def test_a_click_reads_the_row_and_the_column(explorer):
    tiles, lines = explorer.map.tiles, explorer.lines
    before = lines.foot.value
    tiles.cursor, tiles.partner = 31, 12
    assert lines.foot.value == before, "a pointer that moves asks for nothing"
    tiles.pinned = True
    whole = cells(explorer)
    np.testing.assert_allclose(lines.figure.data[0].y, whole[31], atol=1e-7)
    np.testing.assert_allclose(lines.figure.data[1].y, whole[:, 12], atol=1e-7)
    assert (lines.row.value, lines.column.value) == (31, 12)
    best = int(whole[31].argmax())
    assert f"Row 31 ({SEQUENCE[31]}) draws most on {best} ({SEQUENCE[best]})" in lines.foot.value
    tiles.cursor = 20
    assert lines.row.value == 20


def test_bases_that_are_typed_are_marked_on_the_map(explorer):
    explorer.lines.row.value = 25
    assert (explorer.map.tiles.cursor, explorer.map.tiles.pinned) == (25, True)
    np.testing.assert_allclose(explorer.lines.figure.data[0].y, cells(explorer)[25], atol=1e-7)


def test_lines_follow_the_map(explorer):
    explorer.lines.read(30, 5)
    explorer.map.kind.value = "signed"
    np.testing.assert_allclose(explorer.lines.figure.data[1].y, cells(explorer)[:, 5])
    explorer.map.layer.value = 1
    np.testing.assert_allclose(explorer.lines.figure.data[0].y, cells(explorer)[30])


def test_reach_is_that_of_the_layer_and_the_path(explorer, model, tokenizer):
    explorer.map.layer.value, explorer.map.path.value = 1, "full"
    record = positional_patterns(model, tokenizer, SEQUENCE, [1], "full")[0]
    assert f"Entropy {record.entropy:.2f} of {record.entropy_limit:.2f} bits" in explorer.reach.foot.value
    within = 100 * np.bincount(np.abs(record.lags), weights=record.distribution).cumsum()[1:]
    np.testing.assert_allclose(explorer.reach.figure.data[1].y, within)
    profile = record.profile[1:40]
    np.testing.assert_allclose(explorer.reach.figure.data[0].y, profile / np.nanmean(profile))


def test_figures_are_changed_in_place(explorer):
    figures = explorer.lines.figure, explorer.reach.figure
    explorer.map.layer.value = 1
    assert (explorer.lines.figure, explorer.reach.figure) == figures


def test_a_long_map_without_tiles_is_shown_in_a_window(build, tokenizer, monkeypatch):
    monkeypatch.setattr("genomic_lens.dashboards.attention_explorer.CELLS", 200**2 * 4)
    sequence = "".join(np.random.default_rng(1).choice(list("ACGT"), 700))
    model = build(d_model=4, n_layers=1, sequence_length=1024)
    explorer = AttentionExplorer(model, tokenizer, sequence)
    view = explorer.map
    assert hidden(view.first)
    assert view.tiles.rows == [0, 700]
    view.kind.value = "signed"
    assert not hidden(view.first)
    view.first.value = 300
    assert view.tiles.rows == view.tiles.columns == [300, 500]
    spans = {"rows": (300, 500), "columns": (300, 500)}
    record = hidden_attention(model, tokenizer, sequence, [0], kind="signed", **spans)[0]
    np.testing.assert_allclose(cells(explorer), record.weights[:128, :128])
    assert "Bases 300–499." in view.foot.value
    explorer.lines.read(450, 440)
    np.testing.assert_allclose(explorer.lines.figure.data[0].y, record.weights[150])
    assert explorer.lines.figure.data[0].x[0] == 300
    explorer.lines.read(100, 90)
    assert "holds bases 300–499 alone" in explorer.lines.foot.value


def test_tiles_of_a_record_are_means_over_pairs():
    weights = np.random.default_rng(0).normal(size=(300, 300))
    weights[:4] = np.nan
    signed, norm = (
        RecordTiles(HiddenAttention("A" * 300, values, (0, 300), (0, 300), 0, "value", 1.0, kind), causal=False)
        for values, kind in ((weights, "signed"), (np.abs(weights), "diagonal"))
    )
    assert signed.levels == 3
    assert signed.tile(MapPlace(2, 0, 0)).shape == (75, 75)
    np.testing.assert_allclose(signed.tile(MapPlace(2, 0, 0))[5, 7], weights[20:24, 28:32].mean())
    np.testing.assert_allclose(norm.tile(MapPlace(1, 1, 0))[3, 4], np.sqrt((weights[262:264, 8:10] ** 2).mean()))
    assert np.isnan(signed.tile(MapPlace(2, 0, 0))[0]).all()
    assert signed.tile(MapPlace(0, 2, 1)).shape == (44, 128)


@pytest.mark.parametrize("order", [2, 3])
def test_lines_in_parts_are_rows_and_columns_of_the_map(build, tokenizer, monkeypatch, order):
    monkeypatch.setattr("genomic_lens.dashboards.map_lines.STEP", 16)
    source = HiddenAttentionTiles(build(hyena_order=order), tokenizer, SEQUENCE)
    whole, ticks = source.norms(np.arange(40), np.arange(40), 1, "full"), []
    np.testing.assert_allclose(line_of(source, (1, "full"), 30, True, ticks.append), whole[30], atol=1e-6)
    np.testing.assert_allclose(line_of(source, (1, "full"), 7, False, ticks.append), whole[:, 7], atol=1e-6)
    assert sum(ticks) == (80 if order == 2 else 0)


def test_a_thinned_line_keeps_its_peaks():
    values = np.zeros(10_000)
    values[4321], values[77] = -5.0, np.nan
    bases, kept = thinned(values, first=100)
    assert len(kept) == 2000
    assert bases[np.nanargmin(kept)] == 4421


def test_masked_bases_and_chunks_are_shown(build, tokenizer):
    routed = build(n_layers=5, chunking="routing", target_ratios=(0.3, 0.5))
    explorer = AttentionExplorer(routed, tokenizer, "NN" + SEQUENCE[2:])
    for layer in range(explorer.map.layer.max + 1):
        explorer.map.layer.value = layer
        assert "of the Jacobian" in explorer.map.foot.value
    explorer.lines.read(0, 5)
    assert "Cell 0, 5: is masked" in explorer.lines.foot.value


@pytest.mark.parametrize(("sequence", "message"), [("", "The sequence is empty"), ("ACGTJ", "J")])
def test_errors_of_ours_are_shown_in_the_panel(model, tokenizer, sequence, message):
    explorer = AttentionExplorer(model, tokenizer, sequence)
    assert message in explorer.children[-1].children[1].value


def test_a_kind_that_a_layer_does_not_have_is_refused_in_the_panel(striped, tokenizer):
    explorer = AttentionExplorer(striped, tokenizer, SEQUENCE)
    explorer.map.layer.value, explorer.map.path.value = 3, "gates"
    explorer.map.kind.value = "diagonal"
    assert "no channel-diagonal form" in explorer.map.row.words.value
    assert explorer.map.foot.value == "The map is the one before."
    explorer.map.kind.value = "norm"
    assert explorer.map.row.words.value == ""


def test_one_base_is_enough(model, tokenizer):
    explorer = AttentionExplorer(model, tokenizer, "G")
    explorer.map.kind.value = "signed"
    assert cells(explorer).shape == (1, 1)
