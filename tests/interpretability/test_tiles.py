"""Hidden attention in tiles: the same numbers as the map, whatever the level, the length and the tokens."""

import numpy as np
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError
from genomic_lens.interpretability.hidden_attention import hidden_attention
from genomic_lens.interpretability.tiles import TILE, HiddenAttentionTiles, MapPlace, token_of_base
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification

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


def test_a_coarse_cell_is_one_of_the_pairs_that_it_stands_for():
    model, sequence = build(600), draw(600)
    tiles = HiddenAttentionTiles(model, TOKENIZER, sequence)
    assert tiles.levels == 4
    whole = hidden_attention(model, TOKENIZER, sequence, [0])[0].weights
    size = 2**3
    coarse = tiles.tile(MapPlace(3, 0, 0), 0)
    assert coarse.shape == (75, 75)
    for row, column in [(0, 0), (10, 3), (74, 40), (74, 74)]:
        block = whole[row * size : (row + 1) * size, column * size : (column + 1) * size]
        assert np.isclose(block, coarse[row, column], rtol=1e-6, atol=1e-12).any()


def test_the_same_tile_is_the_same_again_and_the_seed_moves_it():
    model, sequence = build(600), draw(600)
    tiles = [HiddenAttentionTiles(model, TOKENIZER, sequence, seed) for seed in (0, 0, 1)]
    first, second, other = (item.tile(MapPlace(2, 0, 0), 1) for item in tiles)
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_masked_bases_are_unknown_in_rows_and_columns():
    sequence = draw(40)
    sequence = sequence[:7] + "N" + sequence[8:]
    tile = HiddenAttentionTiles(build(64), TOKENIZER, sequence).tile(MapPlace(0, 0, 0), 0)
    assert np.isnan(tile[7]).all()
    assert np.isnan(tile[:, 7]).all()
    assert np.isfinite(np.delete(np.delete(tile, 7, 0), 7, 1)).all()


@pytest.mark.parametrize("path", PATHS)
def test_share_is_that_of_the_record_up_to_256_bases_and_close_to_it_beyond(path):
    model, sequence = build(1024), draw(700)
    short = HiddenAttentionTiles(model, TOKENIZER, sequence[:60])
    assert short.share(1, path) == hidden_attention(model, TOKENIZER, sequence[:60], [1], [path])[0].share
    (whole,) = hidden_attention(model, TOKENIZER, sequence, [1], [path])
    assert HiddenAttentionTiles(model, TOKENIZER, sequence).share(1, path) == pytest.approx(whole.share, abs=0.1)


def test_overview_is_a_record_of_the_whole_sequence():
    model, sequence = build(600), draw(600)
    record = HiddenAttentionTiles(model, TOKENIZER, sequence).overview(1, "full")
    assert (record.rows, record.columns, record.layer, record.path) == ((0, 600), (0, 600), 1, "full")
    assert record.share == 1
    assert record.weights.shape == (75, 75)


@pytest.mark.parametrize("place", [MapPlace(0, 5, 0), MapPlace(0, 0, 5), MapPlace(0, -1, 0), MapPlace(3, 1, 0)])
def test_a_tile_that_is_not_there_is_refused(place):
    tiles = HiddenAttentionTiles(build(300), TOKENIZER, draw(300))
    with pytest.raises(DataError, match="There is no tile .* the sequence has 300 bases"):
        tiles.tile(place, 0)


def test_a_model_without_operators_has_no_layers():
    assert HiddenAttentionTiles(torch.nn.Embedding(12, 2), TOKENIZER, "ACGT").layers == 0


def test_tokens_of_several_bases_stand_for_each_of_them():
    assert token_of_base(np.array([[0, 2], [2, 4], [5, 6]]), 7).tolist() == [0, 0, 1, 1, -1, 2, -1]
