"""Every substitution is one prediction of a changed sequence."""

import numpy as np
import pytest

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ModelError
from genomic_lens.interpretability import predict, substitutions
from genomic_lens.model import HyenaGLTForRegression

from ..conftest import build_model

SEQUENCE = "CAGGTAAGTNA"


def test_each_entry_is_the_prediction_of_the_changed_sequence():
    model, tokenizer = build_model(), DNATokenizer()
    record = substitutions(model, tokenizer, SEQUENCE, batch_size=7)
    assert record.probabilities.shape == (11, 4, 3)
    for base, letter in [(0, "A"), (4, "G"), (9, "T"), (10, "C")]:
        changed = SEQUENCE[:base] + letter + SEQUENCE[base + 1 :]
        expected = predict(model, tokenizer, [changed])[0].probabilities
        np.testing.assert_allclose(record.probabilities[base, "ACGT".index(letter)], expected, atol=1e-6)
    assert np.ptp(record.probabilities, axis=(0, 1)).max() > 0.01


def test_the_letter_that_stands_there_changes_nothing():
    model, tokenizer = build_model(), DNATokenizer()
    record = substitutions(model, tokenizer, SEQUENCE)
    itself = predict(model, tokenizer, [SEQUENCE])[0].probabilities
    for base, letter in enumerate(SEQUENCE):
        if letter in "ACGT":
            np.testing.assert_allclose(record.probabilities[base, "ACGT".index(letter)], itself, atol=1e-6)


def test_the_table_has_a_row_a_substitution():
    table = substitutions(build_model(), DNATokenizer(), "GT", letters=("A", "G")).to_dataframe()
    assert table[["base", "letter"]].to_numpy().tolist() == [[0, "A"], [0, "G"], [1, "A"], [1, "G"]]
    assert table[["donor", "acceptor", "neither"]].sum(axis=1).to_numpy() == pytest.approx(np.ones(4))


def test_a_model_of_values_is_refused():
    with pytest.raises(ModelError, match="expected a classifier"):
        substitutions(build_model(HyenaGLTForRegression, id2label={0: "score"}), DNATokenizer(), "ACGT")
