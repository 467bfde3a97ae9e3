"""Columns: their norms from the map itself, and estimates that are as far off as they say."""

import numpy as np
import pytest

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError
from genomic_lens.interpretability.attention.column_strength import column_strength
from genomic_lens.interpretability.attention.hidden_attention import hidden_attention
from genomic_lens.interpretability.attention.map_rows import MapRows
from genomic_lens.model import HyenaGLTModel
from tests.model.chunks.test_stages import WAYS, small_model

TOKENIZER = DNATokenizer()
SEQUENCE = "ACGTTGCATTGACNAGTACGTAGGCATTACAGTTACGATCG"
KINDS = WAYS | {"striped": {"layout": "se-attention-li", "n_layers": 3}, "order 3": {"hyena_order": 3, "n_layers": 1}}


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_the_norms_of_the_maps_columns(kind, two_sided):
    model = small_model(HyenaGLTModel, KINDS[kind], two_sided=two_sided)
    maps = MapRows(model, TOKENIZER, SEQUENCE)
    for record in hidden_attention(model, TOKENIZER, SEQUENCE):
        found = column_strength(maps, record.layer)
        expected = np.sqrt(np.nansum(record.weights**2, axis=0))
        expected[13] = np.nan
        np.testing.assert_allclose(found.values, expected, rtol=1e-6, atol=1e-9)
        assert found.error == 0


@pytest.mark.parametrize("kind", ["routing", "striped", "order 3"])
def test_estimates_are_off_by_what_they_say(kind):
    maps = MapRows(small_model(HyenaGLTModel, KINDS[kind]), TOKENIZER, SEQUENCE)
    for layer in range(KINDS[kind]["n_layers"]):
        exact = column_strength(maps, layer).values
        used = exact > 1e-9
        off, said = [], []
        for seed in range(6):
            found = column_strength(maps, layer, exact=False, probes=64, seed=seed)
            off.append(np.mean((found.values[used] / exact[used] - 1) ** 2) ** 0.5)
            said.append(found.error)
            assert np.isnan(found.values[13])
        assert np.mean(off) == pytest.approx(np.mean(said), rel=0.5)
        assert np.mean(off) < 0.15


def test_estimates_are_repeatable_and_need_two_probes():
    maps = MapRows(small_model(HyenaGLTModel, KINDS["striped"]), TOKENIZER, SEQUENCE)
    one, again, other = (column_strength(maps, 0, exact=False, probes=4, seed=seed).values for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    with pytest.raises(DataError, match="probes=1 came"):
        column_strength(maps, 0, probes=1)
