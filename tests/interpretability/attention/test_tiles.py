"""Hidden attention in tiles: the same numbers as the map, whatever the level, the length and the tokens."""

import numpy as np
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError, ModelError
from genomic_lens.interpretability.attention.hidden_attention import hidden_attention
from genomic_lens.interpretability.attention.tiles import (
    TILE,
    HiddenAttentionTiles,
    MapPlace,
    kept,
    stratified,
    token_of_base,
)
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.records import PooledAttention
from tests.model.chunks.test_stages import WAYS, small_model

TOKENIZER = DNATokenizer()
PATHS = ["value", "gates", "full"]


def build(length, **changes):
    torch.manual_seed(0)
    shape = {"d_model": 8, "n_layers": 2, "sequence_length": length, "initializer_range": 0.2, **changes}
    return HyenaGLTForSequenceClassification(HyenaGLTConfig(vocab_size=len(TOKENIZER), **shape)).double()


def draw(length, seed=0):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("path", PATHS)
def test_level_zero_is_the_map_itself_also_at_its_edges(path, order, two_sided):
    model, sequence = build(300, two_sided=two_sided, hyena_order=order), draw(150)
    tiles = HiddenAttentionTiles(model, TOKENIZER, sequence)
    assert tiles.levels == 2
    for layer in range(2):
        (whole,) = hidden_attention(model, TOKENIZER, sequence, [layer], [path])
        for row in range(2):
            for column in range(2):
                tile = tiles.tile(MapPlace(0, row, column), layer, path)
                part = whole.weights[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
                np.testing.assert_allclose(tile, part, rtol=0, atol=1e-10 * whole.weights.max())


def pooled(weights, size):
    """The root of the mean square over the known pairs of each cell; the last cells may be short."""
    edges = np.arange(0, len(weights), size)
    counts, sums = (
        np.add.reduceat(np.add.reduceat(values, edges, 0), edges, 1)
        for values in (np.isfinite(weights).astype(float), np.nan_to_num(weights) ** 2)
    )
    return np.sqrt(np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0))


def distance(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_a_coarse_cell_is_the_root_of_the_mean_square_over_its_pairs(path, two_sided):
    model, sequence = build(300, d_model=32, n_layers=1, two_sided=two_sided), draw(300)
    tiles = HiddenAttentionTiles(model, TOKENIZER, sequence)
    assert tiles.levels == 3
    assert tiles.pooled(0)
    whole = hidden_attention(model, TOKENIZER, sequence, [0], [path])[0].weights
    for level in (1, 2):
        sides = range(-(-300 // (TILE * 2**level)))
        places = [[MapPlace(level, row, column) for column in sides] for row in sides]
        found = np.block([[tiles.tile(place, 0, path) for place in row] for row in places])
        expected = pooled(whole, 2**level)
        assert found.shape == expected.shape
        assert distance(found, expected) < 0.03
        assert np.sum(found**2) == pytest.approx(np.sum(expected**2), rel=0.03), "no jump between levels"


def test_cells_that_are_not_pooled_are_one_of_the_pairs_that_they_stand_for():
    model, sequence = build(300, hyena_order=3), draw(300)
    tiles = HiddenAttentionTiles(model, TOKENIZER, sequence)
    assert not tiles.pooled(0)
    whole = hidden_attention(model, TOKENIZER, sequence, [0])[0].weights
    coarse = tiles.tile(MapPlace(2, 0, 0), 0)
    assert coarse.shape == (75, 75)
    for row, column in [(0, 0), (10, 3), (74, 40), (74, 74)]:
        block = whole[row * 4 : (row + 1) * 4, column * 4 : (column + 1) * 4]
        assert np.isclose(block, coarse[row, column], rtol=1e-6, atol=1e-12).any()
    with pytest.raises(ModelError, match="HyenaMixing of order 3 came"):
        tiles.window(0)


@pytest.mark.parametrize("kind", ["routing", "merging", "patches", "se-attention"])
@pytest.mark.parametrize("two_sided", [False, True])
def test_layers_on_chunks_and_of_attention_have_tiles_on_every_level(kind, two_sided):
    options = WAYS.get(kind, {"layout": kind, "n_layers": 2})
    model = small_model(HyenaGLTForSequenceClassification, options, two_sided=two_sided, sequence_length=300)
    tiles = HiddenAttentionTiles(model, TOKENIZER, draw(300))
    for layer in range(tiles.layers):
        whole = hidden_attention(model, TOKENIZER, draw(300), [layer])[0].weights
        coarse = tiles.tile(MapPlace(2, 0, 0), layer)
        assert coarse.shape == (75, 75)
        assert np.isfinite(coarse).any()
        if tiles.pooled(layer):
            assert distance(coarse, pooled(whole, 4)) < 0.05
        else:
            assert np.nanmax(coarse) <= np.nanmax(whole) * (1 + 1e-6)


def test_the_same_tile_is_the_same_again_and_the_seed_moves_sampled_ones():
    sequence = draw(600)
    for order in (2, 3):
        model = build(600, hyena_order=order, d_model=4)
        tiles = [HiddenAttentionTiles(model, TOKENIZER, sequence, seed) for seed in (0, 0, 1)]
        first, second, other = (item.tile(MapPlace(3, 0, 0), 1) for item in tiles)
        np.testing.assert_array_equal(first, second)
        assert (first != other).any() == (order == 3)


def test_a_window_is_a_record_of_its_place_with_its_error(tmp_path):
    model, sequence = build(400, d_model=16), draw(400)
    sequence = sequence[:100] + "N" * 40 + sequence[140:]
    tiles = HiddenAttentionTiles(model, TOKENIZER, sequence)
    whole = hidden_attention(model, TOKENIZER, sequence, [1])[0].weights
    record = tiles.window(1, (96, 352), (64, 320), bins=32, q=4)
    assert (record.rows, record.columns, record.cell, record.kind) == ((96, 352), (64, 320), 8, "diagonal")
    assert np.array_equal(np.isnan(record.weights), np.isnan(pooled(whole[96:352, 64:320], 8)))
    known = np.isfinite(record.weights)
    expected = pooled(whole[96:352, 64:320], 8)[known]
    assert distance(record.weights[known], expected) < 3 * np.hypot(record.error, record.diagonal_error) < 0.1
    assert (record.sequence_key, record.length) == (tiles.sequence_key, 400)
    assert record.share == tiles.share(1)
    assert PooledAttention.load(record.save(tmp_path / "window.npz")).to_dict() is not None
    near = tiles.window(1, (300, 330), (290, 330), bins=64)
    assert (near.kind, near.error, near.cell) == ("norm", 0, 1)
    np.testing.assert_allclose(near.weights, whole[300:330, 290:330], rtol=1e-5, atol=1e-12)
    loud = tiles.window(1, bins=64, kind="magnitude")
    assert (loud.kind, loud.diagonal_error) == ("magnitude", 0)
    assert loud.error < 0.02


@pytest.mark.parametrize("special", ["sep", "cls_sep"])
def test_special_tokens_around_the_bases_do_not_move_them(special):
    tokenizer = DNATokenizer(special=special)
    model, sequence = build(300, d_model=16), draw(250)
    whole = hidden_attention(model, tokenizer, sequence, [0])[0].weights
    tiles = HiddenAttentionTiles(model, tokenizer, sequence)
    assert tiles.pooled(0)
    assert distance(tiles.tile(MapPlace(1, 0, 0), 0), pooled(whole, 2)) < 0.03


def test_masked_bases_are_unknown_in_rows_and_columns():
    sequence = draw(40)
    sequence = sequence[:7] + "N" + sequence[8:]
    tile = HiddenAttentionTiles(build(64), TOKENIZER, sequence).tile(MapPlace(0, 0, 0), 0)
    assert np.isnan(tile[7]).all()
    assert np.isnan(tile[:, 7]).all()
    assert np.isfinite(np.delete(np.delete(tile, 7, 0), 7, 1)).all()


def test_masked_bases_do_not_count_in_coarse_cells():
    model, sequence = build(300, d_model=32), draw(300)
    sequence = sequence[:9] + "N" * 6 + sequence[15:]
    whole = hidden_attention(model, TOKENIZER, sequence, [0])[0].weights
    for level in (1, 2):
        size = 2**level
        tile = HiddenAttentionTiles(model, TOKENIZER, sequence).tile(MapPlace(level, 0, 0), 0)
        expected = pooled(whole[: TILE * size, : TILE * size], size)
        assert np.array_equal(np.isnan(tile), np.isnan(expected))
        assert np.isnan(tile).any() == (level == 1)
        assert distance(np.nan_to_num(tile), np.nan_to_num(expected)) < 0.03


@pytest.mark.parametrize("path", PATHS)
def test_share_is_that_of_the_record_up_to_256_bases_and_close_to_it_beyond(path):
    model, sequence = build(1024), draw(700)
    short = HiddenAttentionTiles(model, TOKENIZER, sequence[:60])
    assert short.share(1, path) == hidden_attention(model, TOKENIZER, sequence[:60], [1], [path])[0].share
    (whole,) = hidden_attention(model, TOKENIZER, sequence, [1], [path])
    assert HiddenAttentionTiles(model, TOKENIZER, sequence).share(1, path) == pytest.approx(whole.share, abs=0.1)


def test_of_long_rows_the_share_is_estimated_from_some_columns(monkeypatch):
    model, sequence = build(700, n_layers=1), draw(700)
    everything = {path: HiddenAttentionTiles(model, TOKENIZER, sequence).share(0, path) for path in PATHS}
    monkeypatch.setattr("genomic_lens.interpretability.attention.tiles.STRATA", 200)
    for path in PATHS:
        share = HiddenAttentionTiles(model, TOKENIZER, sequence).share(0, path)
        assert share == pytest.approx(everything[path], abs=0.05)


def test_strata_stand_for_every_column_once():
    for row in (0, 3000, 4999):
        columns, counts = stratified(5000, row, seed=0)
        assert len(set(columns.tolist())) == len(columns)
        assert counts.sum() == 5000
        assert set(range(max(0, row - 16), min(5000, row + 17))) <= set(columns.tolist())


def test_of_long_sequences_few_operators_are_kept_and_made_again(monkeypatch):
    monkeypatch.setattr("genomic_lens.interpretability.attention.tiles.KEPT", 700)
    tiles = HiddenAttentionTiles(build(300, n_layers=3, d_model=4), TOKENIZER, draw(300))
    first = [tiles.tile(MapPlace(1, 0, 0), layer) for layer in range(3)]
    assert (len(tiles._operators), len(tiles._pyramids)) == (2, 2)
    for layer in range(3):
        np.testing.assert_array_equal(tiles.tile(MapPlace(1, 0, 0), layer), first[layer])


def test_what_was_asked_for_least_recently_is_let_go():
    store = {}
    for key in ("one", "two", "one", "three"):
        kept(store, key, lambda key=key: key.upper(), most=2)
    assert store == {"one": "ONE", "three": "THREE"}
    assert kept(store, "four", lambda: 4, most=0) == 4


def test_overview_is_a_record_of_the_whole_sequence():
    model, sequence = build(600), draw(600)
    record = HiddenAttentionTiles(model, TOKENIZER, sequence).overview(1, "full")
    assert (record.rows, record.columns, record.layer, record.path) == ((0, 600), (0, 600), 1, "full")
    assert record.share == 1
    assert record.weights.shape == (75, 75)
    assert record.kind == "diagonal"
    assert 0 < record.error < 0.3
    assert HiddenAttentionTiles(model, TOKENIZER, sequence[:100]).overview(1).kind == "norm"


@pytest.mark.parametrize("place", [MapPlace(0, 5, 0), MapPlace(0, 0, 5), MapPlace(0, -1, 0), MapPlace(3, 1, 0)])
def test_a_tile_that_is_not_there_is_refused(place):
    tiles = HiddenAttentionTiles(build(300), TOKENIZER, draw(300))
    with pytest.raises(DataError, match="There is no tile .* the sequence has 300 bases"):
        tiles.tile(place, 0)


def test_a_model_without_operators_has_no_layers():
    assert HiddenAttentionTiles(torch.nn.Embedding(12, 2), TOKENIZER, "ACGT").layers == 0


def test_tokens_of_several_bases_stand_for_each_of_them():
    assert token_of_base(np.array([[0, 2], [2, 4], [5, 6]]), 7).tolist() == [0, 0, 1, 1, -1, 2, -1]
