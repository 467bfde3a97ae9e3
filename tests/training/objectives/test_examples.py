"""Examples as an objective wants them: the same for the same epoch and number, whatever was asked before."""

import numpy as np
import pytest
from torch import nn

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.datasets import BaseLabelDataset, GenomicDataset
from genomic_lens.errors import ConfigurationError
from genomic_lens.training.objectives.examples import Objective, ObjectiveDataset, Unlabelled, objective_of
from genomic_lens.training.objectives.masking import masking_of

CONFIG = HyenaGLTConfig(vocab_size=12)
HIDING = Objective("masked_lm", CONFIG.masked_token_ids, masking_of(CONFIG))


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    return GenomicDataset(["".join(generator.choice(list("ACGT"), 40)) for _ in range(6)], [0, 1, 0, 1, 0, 1])


def test_what_is_hidden_follows_from_seed_epoch_and_number(data):
    def hidden(seed, asked):
        return tuple(ObjectiveDataset(data, HIDING, seed)[asked]["input_ids"])

    assert hidden(0, (3, 1)) == hidden(0, (3, 1))
    assert len({hidden(0, (epoch, 1)) for epoch in range(5)} | {hidden(1, (0, 1)), hidden(0, 1)}) == 7
    assert hidden(0, 1) == hidden(0, 1)


def test_an_epoch_is_told_to_the_data_and_a_number_to_the_batch(data):
    told = []
    data.set_epoch = told.append
    examples = ObjectiveDataset(data, Objective("classification"))
    assert examples[4, 2]["index"] == 2
    assert told == [4]
    assert "index" not in examples[2]
    assert told == [4]


def test_labels_of_language_are_the_ids_or_some_of_them(data):
    causal = Objective("causal_lm")
    example = ObjectiveDataset(data, causal)[0]
    assert np.array_equal(example["labels"], example["input_ids"])
    own = {"input_ids": np.array([7, 8]), "labels": np.array([-100, 8])}
    assert causal.labelled(own, [0])["labels"].tolist() == [-100, 8]
    classes = {"input_ids": np.array([7, 8]), "labels": np.array([1, 0])}
    assert causal.labelled(classes, [0])["labels"].tolist() == [7, 8]


def test_bases_that_are_unknown_have_no_label():
    data = BaseLabelDataset(["ANGT"], [np.array([1, 1, 0, 1])])
    objective = Objective("token_classification", CONFIG.masked_token_ids)
    assert ObjectiveDataset(data, objective)[0]["labels"].tolist() == [1, -100, 0, 1]


def test_labels_can_be_left_out(data):
    assert set(Unlabelled(data)[0]) == {"input_ids"}
    assert len(Unlabelled(data)) == 6


def test_a_model_of_somebody_else_keeps_its_labels(data):
    objective = objective_of(nn.Linear(1, 1), CONFIG)
    assert objective.name == ""
    assert ObjectiveDataset(data, objective)[1]["labels"] == 1


def test_an_unknown_objective_is_refused():
    model = nn.Linear(1, 1)
    model.objective = "poetry"
    with pytest.raises(ConfigurationError, match="objective is 'poetry'; expected one of causal_lm"):
        objective_of(model, CONFIG)
