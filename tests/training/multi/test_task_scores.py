"""Answers are those of each example alone, and scores are those of the trainer."""

import numpy as np
import pytest
import torch

from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import DataError
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForTokenClassification
from genomic_lens.training import HyenaGLTTrainer
from genomic_lens.training.multi.task_scores import Answers, task_answers, task_scores
from genomic_lens.training.objectives.examples import Objective


def test_answers_do_not_depend_on_who_else_is_in_the_batch(make_config):
    torch.manual_seed(0)
    sequences = ["ACGTACGTACG", "GATTACA", "TTT"]
    for name, model in {
        "causal_lm": HyenaGLTForCausalLM(make_config()),
        "token_classification": HyenaGLTForTokenClassification(make_config(num_classes=3)),
    }.items():
        together = task_answers(model, GenomicDataset(sequences), Objective(name), batch_size=3).outputs
        for sequence, found in zip(sequences, together, strict=True):
            alone = task_answers(model, GenomicDataset([sequence]), Objective(name)).outputs[0]
            np.testing.assert_allclose(found if name == "causal_lm" else found[: len(sequence)], alone, atol=1e-4)


@pytest.mark.parametrize("which", [0, 1])
def test_answers_and_scores_are_those_of_the_trainer(make_models, make_data, which):
    model, data = make_models()[which], make_data(70)[which]
    trainer = HyenaGLTTrainer(model, model.config, val_dataset=data)
    objective = Objective(model.objective)
    answers = task_answers(model, data, objective)
    np.testing.assert_allclose(answers.outputs, trainer.predict(data), atol=1e-5)
    assert answers.loss == pytest.approx(trainer.hf.evaluate()["eval_loss"], abs=1e-5)
    assert task_scores(model.config, objective, answers, resamples=20) == trainer.evaluate(resamples=20)


def test_bits_are_the_loss_of_the_model(make_config):
    torch.manual_seed(0)
    model = HyenaGLTForCausalLM(make_config()).eval()
    ids = torch.tensor([[7, 8, 9, 10, 7]])
    loss = model(ids, labels=ids).loss.item()
    answers = task_answers(model, GenomicDataset(["ACGTA"]), Objective("causal_lm"))
    score = task_scores(model.config, Objective("causal_lm"), answers, resamples=0)["bits_per_base"]
    assert score.value == pytest.approx(loss / np.log(2), abs=1e-5)
    assert answers.loss == pytest.approx(loss, abs=1e-6)


def test_too_few_data_give_a_number_without_an_interval(make_config):
    answers = Answers(np.eye(2), np.array([0, 0]), 0.0)
    found = task_scores(make_config(), Objective("classification"), answers)
    assert found["accuracy"].value == 0.5
    assert np.isnan(found["accuracy"].low)


def test_labels_are_needed(make_config):
    with pytest.raises(DataError, match="no labels"):
        task_scores(make_config(), Objective("classification"), Answers(np.eye(2), None, 0.0))
