"""Predictions: the same for a sequence whatever stands beside it, and the model is left as it was."""

import numpy as np
import pytest
import torch

from genomic_lens.errors import DataError, ModelError, TokenizationError
from genomic_lens.interpretability import attribute, substitutions
from genomic_lens.interpretability.predictions import class_names, predict
from genomic_lens.model import HyenaGLTForMaskedLM, HyenaGLTForMultiLabelClassification, HyenaGLTForRegression
from genomic_lens.model.pretrained import fingerprint

SEQUENCES = ["CAGGTAAGT", "ACGT", "TTNTTTGCAGGATTACA", "G"]


@pytest.mark.parametrize("pooling", ["mean", "last", "first"])
def test_a_prediction_does_not_depend_on_its_batch(make_model, tokenizer, pooling):
    """Sequences of different lengths are padded together; alone, nothing is padded."""
    model = make_model(pooling=pooling)
    together = predict(model, tokenizer, SEQUENCES)
    for batch_size in (1, 3):
        for record, other in zip(together, predict(model, tokenizer, SEQUENCES, batch_size=batch_size), strict=True):
            np.testing.assert_allclose(record.logits, other.logits, atol=1e-5)
    assert len({tuple(record.logits.round(3)) for record in together}) == len(SEQUENCES)


def test_a_record_holds_what_the_model_says(make_model, tokenizer):
    model = make_model().eval()
    record = predict(model, tokenizer, ["CAGGTAAGT"])[0]
    with torch.no_grad():
        logits = model(torch.from_numpy(tokenizer.encode("CAGGTAAGT"))[None]).logits[0]
    np.testing.assert_allclose(record.logits, logits, rtol=1e-6)
    np.testing.assert_allclose(record.probabilities, np.exp(record.logits) / np.exp(record.logits).sum())
    assert record.labels == ("donor", "acceptor", "neither")
    assert record.label == record.labels[int(logits.argmax())]
    assert (record.sequence, record.truth, record.model) == ("CAGGTAAGT", None, fingerprint(model))


def test_known_classes_go_into_the_records_in_order(make_model, tokenizer):
    truth = ["donor", "neither", "acceptor", "neither"]
    records = predict(make_model(), tokenizer, SEQUENCES, truth=truth, batch_size=3)
    assert [(record.sequence, record.truth) for record in records] == list(zip(SEQUENCES, truth, strict=True))


def test_as_many_known_classes_as_sequences_are_needed(make_model, tokenizer):
    with pytest.raises(DataError, match="1 known classes came with 4 sequences"):
        predict(make_model(), tokenizer, SEQUENCES, truth=["donor"])


def test_no_sequences_give_no_records(make_model, tokenizer):
    assert predict(make_model(), tokenizer, []) == []


@pytest.mark.parametrize("sequences", [SEQUENCES, ["ACGT", "AC?T"]], ids=["readable", "unreadable"])
def test_every_part_keeps_its_training_flag(make_model, tokenizer, sequences):
    """A part that the user has frozen in evaluation mode must stay there; also when the call ends in an error."""
    model = make_model().train()
    model.backbone.layers[0].eval()
    before = [module.training for module in model.modules()]
    if sequences is SEQUENCES:
        predict(model, tokenizer, sequences)
    else:
        with pytest.raises(TokenizationError, match="'\\?' at base 2"):
            predict(model, tokenizer, sequences, batch_size=1)
    assert [module.training for module in model.modules()] == before


def test_dropout_is_off(make_model, tokenizer):
    model = make_model(dropout=0.5).train()
    first, second = (predict(model, tokenizer, ["CAGGTAAGT"])[0].logits for _ in range(2))
    assert (first == second).all()


def test_a_regression_model_is_refused(make_model, tokenizer):
    model = make_model(HyenaGLTForRegression, id2label={0: "value"})
    assert class_names(model) == ("value",)
    with pytest.raises(ModelError, match="one value a sequence"):
        predict(model, tokenizer, ["ACGT"])


def test_labels_that_may_hold_together_have_a_probability_each(make_model, tokenizer):
    model = make_model(HyenaGLTForMultiLabelClassification)
    record = predict(model, tokenizer, ["CAGGTAAGT"])[0]
    np.testing.assert_allclose(record.probabilities, 1 / (1 + np.exp(-record.logits)))
    assert abs(record.probabilities.sum() - 1) > 1e-3
    table = substitutions(model, tokenizer, "CAGG")
    own = np.array([table.probabilities[base, "ACGT".index(letter)] for base, letter in enumerate("CAGG")])
    np.testing.assert_allclose(own, np.tile(predict(model, tokenizer, ["CAGG"])[0].probabilities, (4, 1)), atol=1e-6)


def test_a_masked_language_model_is_not_explained(make_model, tokenizer):
    model = make_model(HyenaGLTForMaskedLM, two_sided=True)
    with pytest.raises(ModelError, match="guesses bases that its input hides"):
        attribute(model, tokenizer, ["CAGGTAAGT"], target=("base", 3))
