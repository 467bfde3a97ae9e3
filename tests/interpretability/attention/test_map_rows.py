"""Rows of maps: those of the whole map, and statistics that can be counted by hand."""

import numpy as np
import pytest

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability.attention.hidden_attention import hidden_attention
from genomic_lens.interpretability.attention.map_rows import MapRows, over_heads, row_statistics
from genomic_lens.model import HyenaGLTModel
from tests.model.chunks.test_stages import WAYS, small_model

SEQUENCE = "ACGTTGCATTGACNAGTACGTAGGCATTACAGTTACGATCG"
SOME = np.array([40, 3, 13, 17])
STRIPED = {"striped": {"layout": "se-attention-li", "n_layers": 3}, "order 3": {"hyena_order": 3, "n_layers": 1}}


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("kind", WAYS | STRIPED)
def test_rows_are_those_of_the_maps_of_every_kind_of_model(kind, two_sided):
    model = small_model(HyenaGLTModel, (WAYS | STRIPED)[kind], two_sided=two_sided)
    maps = MapRows(model, DNATokenizer(), SEQUENCE)
    whole = hidden_attention(model, DNATokenizer(), SEQUENCE, kind="weights")
    for layer in sorted({record.layer for record in whole}):
        own = [record for record in whole if record.layer == layer]
        found = maps.rows(layer, SOME)
        assert found.shape == (len(own), 4, len(SEQUENCE))
        assert {record.kind for record in own} == {maps.kind(layer)}
        for rows, record in zip(found, own, strict=True):
            np.testing.assert_allclose(rows, record.weights[SOME], rtol=0, atol=1e-9 * np.nanmax(record.weights))


@pytest.mark.parametrize("path", ["gates", "full"])
def test_other_paths_have_norms_in_every_layer(path):
    model = small_model(HyenaGLTModel, STRIPED["striped"])
    maps = MapRows(model, DNATokenizer(), SEQUENCE)
    for record in hidden_attention(model, DNATokenizer(), SEQUENCE, paths=[path]):
        (rows,) = maps.rows(record.layer, SOME, path)
        np.testing.assert_allclose(rows, record.weights[SOME], atol=1e-6 * np.nanmax(record.weights))


def test_energies_of_layers_and_heads_are_squared_norms():
    model = small_model(HyenaGLTModel, STRIPED["striped"])
    maps, bases = MapRows(model, DNATokenizer(), SEQUENCE), np.array([5, 20])
    for record in hidden_attention(model, DNATokenizer(), SEQUENCE, paths=["value", "full"]):
        expected = np.nansum(record.weights[bases] ** 2)
        assert maps.energy(record.layer, bases, record.path) == pytest.approx(expected, rel=1e-6)
    record = hidden_attention(model, DNATokenizer(), SEQUENCE, [1], heads=[2])[0]
    assert maps.energy(1, bases, head=2) == pytest.approx(np.nansum(record.weights[bases] ** 2), rel=1e-6)


def test_samples_are_one_base_a_part_never_masked_and_repeatable(make_model, tokenizer):
    model = make_model(HyenaGLTModel, sequence_length=200)
    sequence = "ACGT" * 20 + "N" * 20 + "ACGTN" * 20
    maps = MapRows(model, tokenizer, sequence)
    drawn = maps.sample(10, seed=3)
    assert (drawn >= 0).tolist() == [True] * 4 + [False] + [True] * 5
    assert ((drawn // 20 == np.arange(10)) | (drawn < 0)).all()
    assert all(sequence[base] != "N" for base in drawn[drawn >= 0])
    np.testing.assert_array_equal(drawn, maps.sample(10, seed=3))
    assert (drawn != maps.sample(10, seed=4)).any()
    every = maps.sample(500)
    np.testing.assert_array_equal(every, np.where(np.array(list(sequence)) == "N", -1, np.arange(200)))


def test_heads_are_averaged_or_the_largest_taken():
    rows = np.array([[[1.0, 5.0]], [[3.0, 1.0]]])
    assert over_heads(rows, "mean").tolist() == [[[2, 3]]]
    assert over_heads(rows, "max").tolist() == [[[3, 5]]]
    assert over_heads(rows, "per_head") is rows
    with pytest.raises(ConfigurationError, match="aggregation is 'sum'; expected one of mean, max, per_head"):
        over_heads(rows, "sum")


# --- statistics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 7, 64])
def test_even_rows_have_the_logarithm_of_their_width(width):
    weights = np.zeros((1, 100))
    weights[0, 100 - width :] = 0.3
    found = row_statistics(weights, np.array([99]), np.arange(100))
    assert found.entropy[0] == pytest.approx(np.log2(width), abs=1e-12)
    assert found.limit[0] == pytest.approx(np.log2(100))
    assert found.distance[0] == pytest.approx((width - 1) / 2)


def test_entropy_and_distance_do_not_depend_on_scale_or_sign():
    weights = np.array([[4.0, 2.0, 1.0, 1.0]])
    one, other = (row_statistics(part, np.array([3]), np.arange(4)) for part in (weights, -17 * weights))
    assert one.entropy[0] == pytest.approx(1.75)
    assert one.distance[0] == pytest.approx(0.5 * 3 + 0.25 * 2 + 0.125)
    np.testing.assert_allclose(one[:3], other[:3])


def test_masked_and_empty_rows_are_left_out_and_masked_columns_do_not_count():
    weights = np.array([[1.0, np.nan, 1.0], [np.nan] * 3, [0.0, np.nan, 0.0]])
    found = row_statistics(weights, np.array([2, 1, 0]), np.arange(3), causal=False)
    assert found.used.tolist() == [True, False, False]
    assert (found.entropy[0], found.limit[0]) == (1, 1)


def test_a_causal_row_cannot_be_wider_than_its_past():
    weights = np.tril(np.ones((8, 8)))
    found = row_statistics(weights, np.arange(8), np.arange(8))
    np.testing.assert_allclose(found.entropy, np.log2(np.arange(1, 9)))
    np.testing.assert_allclose(found.limit, found.entropy)
    np.testing.assert_allclose(row_statistics(weights, np.arange(8), np.arange(8), causal=False).limit, 3)
