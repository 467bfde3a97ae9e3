"""Operators rebuild what layers did, in every architecture; a wrong one does not."""

import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ModelError
from genomic_lens.interpretability.trust.reconstruction import rebuild_layers, value_share
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.model.mixing.operators import MixingOperator
from genomic_lens.model.mixing.tracing import mixers, trace
from tests.model.chunks.test_stages import small_model

from ..conftest import build_model
from ..test_architectures import ALL
from ..toys import TOKENIZER, Linear

SEQUENCE = "ACGTTGCATTGACCAGTACGTAGGCATTACAGTTACGATCGATTACGAGTCAGT"


@pytest.mark.parametrize("kind", ALL)
def test_operators_rebuild_every_layer(kind):
    model = small_model(HyenaGLTForSequenceClassification, ALL[kind])
    found = rebuild_layers(model, DNATokenizer(), SEQUENCE)
    assert len(found.error) == len(mixers(model))
    assert found.error.max() < 1e-12
    assert ((found.share > 0.05) & (found.share < 2)).all()


def test_the_share_is_that_of_the_whole_map_where_all_rows_are_read():
    model = build_model(dtype=torch.float64)
    operator = trace(model, torch.from_numpy(TOKENIZER.encode(SEQUENCE[:30]))[None]).operator(0)
    assert value_share(operator, rows=30) == pytest.approx(operator.share(), rel=1e-6)
    assert value_share(operator, rows=10) == pytest.approx(operator.share(), rel=0.3)


class Louder(MixingOperator):
    """An operator that says a little too much."""

    def __init__(self, inner, factor):
        self.inner, self.factor, self.length, self.width = inner, factor, inner.length, inner.width

    def matvec(self, inputs):
        return self.factor * self.inner.matvec(inputs)

    def rmatvec(self, outputs):
        return self.factor * self.inner.rmatvec(outputs)

    @property
    def offset(self):
        return self.inner.offset

    def blocks(self, rows, columns, path="value"):
        return self.factor * self.inner.blocks(rows, columns, path)

    def norms(self, rows, columns, path="value"):
        return self.factor * self.inner.norms(rows, columns, path)


def test_a_wrong_operator_is_told_by_its_error(monkeypatch):
    """One layer's operator is 3 % too loud, and its error is about that."""
    model = build_model(dtype=torch.float64)
    layer = mixers(model)[1]
    right = layer.mixing_operator
    monkeypatch.setattr(layer, "mixing_operator", lambda hidden: Louder(right(hidden), 1.03))
    found = rebuild_layers(model, TOKENIZER, SEQUENCE[:30])
    assert found.error[0] < 1e-12
    assert 0.01 < found.error[1] < 0.05


def test_a_model_without_operators_is_refused():
    with pytest.raises(ModelError, match="0 that can be traced"):
        rebuild_layers(Linear(4), TOKENIZER, "ACGT")
