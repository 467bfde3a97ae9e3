"""What would go wrong later is one sentence before the first step, and a loss that is no number is one at once."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.datasets import BaseLabelDataset, GenomicDataset, PretrainingDataset
from genomic_lens.data.tokenizers import KmerTokenizer
from genomic_lens.errors import ConfigurationError, DataError, TrainingError
from genomic_lens.model import (
    HyenaGLTForCausalLM,
    HyenaGLTForMultiLabelClassification,
    HyenaGLTForRegression,
    HyenaGLTForTokenClassification,
)
from genomic_lens.training.arguments import training_arguments
from genomic_lens.training.checkpoints import check_checkpoint
from genomic_lens.training.checks import check_classes, check_labels, names_of, unusual_weight

from .conftest import build_data

SIX = ["ACGTAC", "GGGTTT", "CCCAAA", "ACACAC", "GTGTGT", "TTTTTT"]


def refuse(trainer, error, message):
    """Training is refused, and no step is made."""
    with pytest.raises(error, match=message) as caught:
        trainer.train()
    assert trainer.hf.state.global_step == 0
    assert str(caught.value).count("\n") == 0


def test_tokens_that_the_model_does_not_embed_are_refused_before_the_first_step(make_trainer):
    words = KmerTokenizer(k=3)
    data = GenomicDataset(SIX, [0, 1] * 3, words)
    refuse(make_trainer(data=data), DataError, f"training data has {len(words)} tokens, and the model embeds 12;")


# --- labels ---------------------------------------------------------------------------------------------------------

WRONG = {
    "values for classes": (None, [0.5] * 6, "float32 of shape \\(6,\\)"),
    "no labels": (None, None, "training examples have no labels; expected one whole number a sequence"),
    "a class beyond the head": (None, [0, 1, 2, 0, 1, 0], "numbers up to 2"),
    "a class below zero": (None, [0, 1, -1, 0, 1, 0], "numbers down to -1"),
    "classes for several labels": (HyenaGLTForMultiLabelClassification, [0, 1] * 3, "int64 of shape \\(6,\\)"),
    "too many labels": (HyenaGLTForMultiLabelClassification, np.zeros((6, 3)), "float32 of shape \\(6, 3\\)"),
    "labels in between": (HyenaGLTForMultiLabelClassification, np.full((6, 2), 0.5), "partly 0.5"),
    "too few values": (HyenaGLTForRegression, [0.5] * 6, "float32 of shape \\(6,\\); .* 2 values a sequence"),
    "a value without end": (HyenaGLTForRegression, np.array([[0, np.inf]] * 6), "partly infinite"),
    "a class a sequence for one a base": (HyenaGLTForTokenClassification, [0, 1] * 3, "int64 of shape \\(\\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_labels_that_do_not_fit_the_head_are_refused_before_the_first_step(make_trainer, case):
    kind, labels, message = WRONG[case]
    refuse(make_trainer(kind=kind, data=GenomicDataset(SIX, labels)), DataError, message.replace("; .*", ".*"))


def test_every_label_of_every_base_is_looked_at(make_trainer):
    labels = [np.zeros(6, dtype=int) for _ in SIX]
    labels[4][5] = 2
    trainer = make_trainer(kind=HyenaGLTForTokenClassification, data=BaseLabelDataset(SIX, labels))
    refuse(trainer, DataError, "training labels are numbers up to 2")


def test_validation_is_looked_at_too(make_trainer):
    trainer = make_trainer(data=GenomicDataset(SIX, [0, 1] * 3), validation=GenomicDataset(SIX, [0, 3] * 3))
    refuse(trainer, DataError, "validation labels are numbers up to 3")


def test_labels_that_fit_are_taken():
    for objective, labels in {
        "classification": [0, 1, -100],
        "multi_label": [[0, 1], [1, np.nan], [0, 0]],
        "regression": [[1, 2], [3, 4], [5, 6]],
    }.items():
        check_labels(GenomicDataset(SIX[:3], np.array(labels)), "training", objective, 2)


def test_a_class_that_training_lacks_is_named(make_trainer):
    names = ["donor", "acceptor", "neither"]
    train = GenomicDataset(SIX, [0, 1] * 3, label_names=names)
    refuse(make_trainer(data=train, num_classes=3), DataError, r"class neither \(2\), which the list of names has")
    train, validation = GenomicDataset(SIX, [0, 2] * 3), GenomicDataset(SIX, [0, 1] * 3)
    trainer = make_trainer(data=train, validation=validation, num_classes=3)
    refuse(trainer, DataError, "class 1, which validation has; split the data again")


def test_a_class_of_bases_that_training_lacks_is_named():
    train, validation = ([np.full(6, number) for _ in SIX] for number in (0, 1))
    with pytest.raises(DataError, match="class 1, which validation has"):
        check_classes(BaseLabelDataset(SIX, train), BaseLabelDataset(SIX, validation))


def test_data_that_does_not_show_its_labels_is_not_accused():
    """All that is known of a dataset of somebody else is one example; its classes are not."""
    plain = [{"input_ids": np.array([7]), "labels": 0}, {"input_ids": np.array([8]), "labels": 1}]
    check_classes(plain, GenomicDataset(SIX, [0, 1] * 3))


# --- examples and folders -------------------------------------------------------------------------------------------


def test_no_example_is_an_error(make_trainer, make_data):
    refuse(make_trainer(data=GenomicDataset([], [])), DataError, "training data has no example")
    refuse(make_trainer(validation=GenomicDataset([], [])), DataError, "validation data has no example")


@pytest.mark.parametrize("which", ["training", "validation"])
def test_a_sequence_beyond_the_model_is_refused_before_the_first_step(make_trainer, which):
    """The longest one is found wherever it stands."""
    data = GenomicDataset([*SIX, "A" * 17, "A"], [0, 1] * 4)
    trainer = make_trainer(**{"data" if which == "training" else "validation": data})
    refuse(trainer, DataError, f"Example 6 of the {which} data has 17 tokens, the model reads 16")


def test_a_sequence_that_the_curriculum_cuts_is_taken(make_trainer):
    from genomic_lens.training import CurriculumLearner

    data = GenomicDataset([*SIX, "A" * 40], [0, 1, 0, 1, 0, 1, 0])
    make_trainer(data=data, curriculum=CurriculumLearner([{"max_length": 8}])).train()


@pytest.mark.parametrize("place", ["file/run", "file"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(make_trainer, tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written .*; pass another output_dir"):
        make_trainer(tmp_path / place)


# --- what the machine cannot do -------------------------------------------------------------------------------------


def test_stopping_early_needs_something_to_be_told_by(make_trainer):
    with pytest.raises(TrainingError, match="early_stopping_patience=2 came without a val_dataset"):
        make_trainer(early_stopping_patience=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_precision_that_needs_a_gpu_is_refused_without_one(make_trainer):
    with pytest.raises(ConfigurationError, match="precision='fp16' needs a GPU"):
        make_trainer(precision="fp16")


def test_who_is_told_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setattr("genomic_lens.training.arguments.find_spec", lambda name: None)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(ConfigurationError, match=f"pip install {name}"):
            training_arguments(HyenaGLTConfig(report_to=name), tmp_path, evaluates=False)


def test_who_is_told_is_told_and_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr("genomic_lens.training.arguments.find_spec", lambda name: SimpleNamespace())
    assert training_arguments(HyenaGLTConfig(report_to=["csv", "wandb"]), tmp_path, False).report_to == ["wandb"]
    assert training_arguments(HyenaGLTConfig(report_to="csv"), tmp_path, False).report_to == []
    for name in ("csv", "tensorboard"):
        with pytest.raises(ConfigurationError, match=f"'{name}', and there is no folder"):
            training_arguments(HyenaGLTConfig(report_to=name), None, evaluates=False)


# --- a loss that is no number ---------------------------------------------------------------------------------------


class Spoil(TrainerCallback):
    """Put a value into a weight or its gradient before a step."""

    def __init__(self, step, value, gradient=False):
        self.step, self.value, self.gradient = step, value, gradient

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        if state.global_step == self.step and not self.gradient:
            model.head.score.weight.data[0, 0] = self.value

    def on_log(self, args, state, control, model=None, **kwargs):
        if state.global_step == self.step and self.gradient:
            model.head.score.weight.register_hook(lambda gradient: gradient * self.value)


@pytest.mark.parametrize(
    ("value", "gradient", "message"),
    [
        (float("nan"), False, r"The loss is nan at step 8 \(epoch 1.17\).*head.score.weight holds values that are not"),
        (3e38, False, "The loss is (inf|nan) at step 8 .*the largest weight is 3e[+]38, in head.score.weight"),
        (float("inf"), True, "The norm of the gradient is inf at step 8 .*the gradient of head.score.weight is not"),
        (float("nan"), True, "The norm of the gradient is nan at step 8 "),
    ],
)
def test_training_stops_at_once_and_says_where(make_trainer, tmp_path, value, gradient, message):
    """The named examples are those of the batch, and the checkpoint before is whole and can be resumed from."""
    trainer = make_trainer(tmp_path, save_steps=3, callbacks=[Spoil(7, value, gradient)], dropout=0.0)
    with pytest.raises(TrainingError, match=message) as caught:
        trainer.train()
    loader = trainer.hf.get_train_dataloader()
    loader.set_epoch(1)
    batch = list(loader)[1]["index"].tolist()
    assert f"in the batch of examples {', '.join(map(str, batch))};" in str(caught.value)
    assert str(caught.value).endswith("checkpoint-6 is whole.")
    assert trainer.hf.state.global_step == 7
    state = json.loads((check_checkpoint(tmp_path / "checkpoint-6") / "trainer_state.json").read_text())
    assert state["global_step"] == 6
    straight = make_trainer(save_steps=3, dropout=0.0)
    straight.train()
    again = make_trainer(tmp_path, start=4, save_steps=3, dropout=0.0)
    again.train(resume=True)
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name


def test_a_spoilt_weight_is_not_stepped_with(make_trainer):
    """Weights that were not touched are those of the step before."""
    fine, spoilt = make_trainer(num_epochs=1), make_trainer(num_epochs=1, callbacks=[Spoil(0, float("nan"))])
    before = {name: value.clone() for name, value in fine.model.state_dict().items()}
    with pytest.raises(TrainingError, match="no checkpoint was written yet"):
        spoilt.train()
    for name, value in spoilt.model.state_dict().items():
        assert name == "head.score.weight" or torch.equal(value, before[name])


def test_places_of_a_genome_are_named(make_trainer, tmp_path):
    (tmp_path / "genome.fa").write_text(">chr1\n" + "ACGT" * 40 + "\n")
    (tmp_path / "places.bed").write_text("".join(f"chr1\t{start}\t{start + 8}\n" for start in range(0, 96, 8)))
    data = PretrainingDataset(tmp_path / "genome.fa", 8, tmp_path / "places.bed")
    trainer = make_trainer(kind=HyenaGLTForCausalLM, data=data)
    trainer.model.lm_head.weight.data[7] = float("nan")
    with pytest.raises(TrainingError, match=r"examples \d+, \d+, \d+, \d+ \(chr1:\d+-\d+, chr1:"):
        trainer.train()


def test_examples_are_named_by_their_names_and_not_all_of_them():
    data = build_data(20)
    data.names = [f"read{number}" for number in range(20)]
    assert names_of(data, [3, 1]) == "examples 3, 1 (read3, read1)"
    assert names_of(None, list(range(9))) == "examples 0, 1, 2, 3, 4, 5, 6, 7, …"


def test_the_largest_weight_is_found():
    layer = torch.nn.Linear(2, 2)
    layer.bias.data[1] = -70
    assert unusual_weight(layer) == "the largest weight is 70, in bias"
