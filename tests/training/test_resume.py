"""A run that is interrupted and resumed is the run that was not, to the bit, in every way of training."""

import numpy as np
import pandas as pd
import pytest
import torch

from genomic_lens.data.datasets import BaseLabelDataset, GenomicDataset, PretrainingDataset
from genomic_lens.data.preparation.augmentation import AugmentedDataset
from genomic_lens.model import (
    HyenaGLTForCausalLM,
    HyenaGLTForMaskedLM,
    HyenaGLTForMultiLabelClassification,
    HyenaGLTForTokenClassification,
)
from genomic_lens.training import CurriculumLearner
from genomic_lens.training.checkpoints import last_checkpoint
from genomic_lens.training.early_stopping import stopping_in

from .conftest import build_data

MASKED = {"kind": HyenaGLTForMaskedLM, "two_sided": True}


def several_labels(count=24):
    """Is there a G, is the first base an A, and a label that is often unknown."""
    sequences = build_data(count).sequences
    labels = np.array([["G" in text, text[0] == "A", "CC" in text] for text in sequences], dtype=np.float32)
    labels[::3, 2] = np.nan
    return GenomicDataset(sequences, labels)


def labels_of_bases():
    sequences = build_data().sequences
    return BaseLabelDataset(sequences, [np.array([base in "GC" for base in text], dtype=int) for text in sequences])


def windows(folder):
    """Random windows of a genome, others in every epoch."""
    path = folder / "genome.fa"
    letters = np.random.default_rng(1).choice(list("ACGT"), 400)
    path.write_text(">one\n" + "".join(letters) + "\n")
    return PretrainingDataset(path, length=12, count=24, reverse_complement=True)


MODES = {
    "plain": {},
    "accumulation": {"accumulation_steps": 2},
    "accumulation with a rest": {"accumulation_steps": 4},
    "half precision": {"precision": "bf16"},
    "gradient checkpointing": {"gradient_checkpointing": True, "n_layers": 2},
    "warm-up in steps": {"warmup_steps": 5},
    "next base": {"kind": HyenaGLTForCausalLM, "windows": True},
    "hidden bases": MASKED,
    "hidden bases of random windows": MASKED | {"windows": True},
    "several labels": {"kind": HyenaGLTForMultiLabelClassification, "num_classes": 3, "make": several_labels},
    "a label a base": {"kind": HyenaGLTForTokenClassification, "make": labels_of_bases},
    "augmentation": {"make": lambda: AugmentedDataset(build_data(), shift=2)},
    "a curriculum of hidden bases": MASKED | {
        "curriculum": CurriculumLearner([{"max_length": 6, "batch_size": 8}, {"max_length": 16, "batch_size": 4}]),
    },
    "a curriculum with accumulation": {
        "accumulation_steps": 2,
        "curriculum": CurriculumLearner([{"max_length": 8, "epochs": 2}, {"max_length": 16}], "gc", start=0.3),
    },
    "a budget of tokens": {"batch_tokens": 40},
    "a budget of tokens with accumulation": {"batch_tokens": 40, "accumulation_steps": 4},
    "chunks": {"chunking": "routing", "n_layers": 3},
}  # fmt: skip


def weights(trainer):
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("mode", MODES)
def test_interrupted_is_undisturbed(make_trainer, interrupted_trainer, tmp_path, mode):
    """Interrupted between two checkpoints, dropout on; what goes on knows the folder alone."""
    options = dict(MODES[mode]) | {"num_epochs": 2, "save_steps": 2}
    make = options.pop("make", None)
    if make is not None:
        options["data"] = make()
    if options.pop("windows", False):
        options["data"] = windows(tmp_path)
    straight = make_trainer(tmp_path / "straight", **options)
    start = weights(straight)
    expected = straight.train()
    steps = int(expected["step"].iloc[-1])
    resumed = interrupted_trainer(tmp_path / "stopped", max(3, steps // 2), **options)
    assert last_checkpoint(tmp_path / "stopped")
    found = resumed.train(resume=True)
    assert_same(weights(resumed), weights(straight))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert any(not torch.equal(value, start[name]) for name, value in weights(straight).items())


# --- early stopping -------------------------------------------------------------------------------------------------


STOPPING = {"early_stopping_patience": 2, "eval_steps": 2, "save_steps": 5, "num_epochs": 30, "learning_rate": 0.1}


@pytest.fixture
def stopped(make_trainer, make_data, tmp_path):
    trainer = make_trainer(tmp_path / "straight", validation=make_data(16, seed=9), **STOPPING)
    return trainer, trainer.train()


def test_training_stops_after_so_many_evaluations_without_a_smaller_loss(stopped):
    trainer, table = stopped
    losses = table[["step", "eval_loss"]].dropna()
    best = int(losses["step"].iloc[losses["eval_loss"].argmin()])
    assert losses["step"].iloc[-1] == best + 2 * 2
    assert losses["step"].iloc[-1] < 30 * 6
    assert trainer.hf.state.global_step == losses["step"].iloc[-1]


def test_the_weights_of_the_smallest_validation_loss_come_back(stopped):
    trainer, table = stopped
    assert trainer.hf.evaluate()["eval_loss"] == pytest.approx(table["eval_loss"].min(), abs=1e-6)
    assert table["eval_loss"].iloc[-1] > table["eval_loss"].min()


def test_without_a_folder_they_come_back_too(stopped, make_trainer, make_data):
    trainer = make_trainer(validation=make_data(16, seed=9), **STOPPING)
    trainer.train()
    assert_same(weights(trainer), weights(stopped[0]))


@pytest.mark.parametrize("late", [False, True])
def test_a_resumed_run_stops_where_the_run_stopped(stopped, interrupted_trainer, make_data, tmp_path, late):
    straight, expected = stopped
    last = int(expected["step"].iloc[-1])
    options = STOPPING | {"validation": make_data(16, seed=9)}
    resumed = interrupted_trainer(tmp_path / "again", last - 1 if late else last // 2, **options)
    found = resumed.train(resume=True)
    assert_same(weights(resumed), weights(straight))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert stopping_in(resumed.hf).best_step == stopping_in(straight.hf).best_step


def test_resuming_a_run_that_has_stopped_changes_nothing(stopped, make_trainer, make_data, tmp_path):
    straight, expected = stopped
    again = make_trainer(tmp_path / "straight", start=5, validation=make_data(16, seed=9), **STOPPING)
    found = again.train(resume=True)
    assert_same(weights(again), weights(straight))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_patience_that_is_never_used_up_ends_with_the_best_all_the_same(make_trainer, make_data, tmp_path):
    options = STOPPING | {"early_stopping_patience": 1000, "num_epochs": 4}
    trainer = make_trainer(tmp_path, validation=make_data(16, seed=9), **options)
    table = trainer.train()
    assert table["step"].iloc[-1] == 24
    assert trainer.hf.evaluate()["eval_loss"] == pytest.approx(table["eval_loss"].min(), abs=1e-6)


# --- what the modes are ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"two_sided": True}, {"chunking": "routing", "n_layers": 3}])
def test_gradient_checkpointing_gives_the_very_gradients(make_trainer, options):
    """With dropout, which is drawn again for the gradients and must be the same."""
    plain = make_trainer(n_layers=3, **{"num_epochs": 1} | {k: v for k, v in options.items() if k != "n_layers"})
    saving = make_trainer(
        n_layers=3, gradient_checkpointing=True, num_epochs=1, **{k: v for k, v in options.items() if k != "n_layers"}
    )
    plain.train(), saving.train()
    assert saving.model.is_activation_checkpointing
    assert not plain.model.is_activation_checkpointing
    assert_same(weights(plain), weights(saving))


def test_accumulated_batches_are_one_large_batch(make_trainer):
    """Without dropout, six batches of four are one of twenty-four."""
    options = {"dropout": 0.0, "num_epochs": 2, "max_grad_norm": 1e3}
    one = make_trainer(batch_size=24, **options)
    six = make_trainer(batch_size=4, accumulation_steps=6, **options)
    first, second = one.train(), six.train()
    assert len(first) == len(second) == 2
    np.testing.assert_allclose(second["loss"], first["loss"], rtol=1e-5)
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(six)[name], value, rtol=1e-3, atol=1e-4)


def test_half_precision_trains_in_half_and_answers_in_full(make_trainer, make_data):
    """Products are rounded while training; afterwards the model is an ordinary one again."""
    full, half = make_trainer(), make_trainer(precision="bf16")
    full.train(), half.train()
    first, second = weights(full), weights(half)
    assert any(not torch.equal(value, second[name]) for name, value in first.items())
    assert all(value.dtype == torch.float32 for value in second.values())
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=0.1, rtol=0.1)
    ids = torch.tensor([[7, 8, 9, 10, 7]])
    twin = type(half.model)(half.model.config)
    twin.load_state_dict(second)
    with torch.no_grad():
        assert torch.equal(half.model.eval()(ids).logits, twin.eval()(ids).logits)


def test_other_bases_are_hidden_in_each_epoch_and_the_same_ones_in_each_validation(make_trainer, make_data):
    trainer = make_trainer(validation=make_data(8, seed=3), **MASKED)
    train = trainer.hf.get_train_dataloader().dataset
    hidden = [np.flatnonzero(train[epoch, 0]["labels"] >= 0).tolist() for epoch in range(6)]
    assert len(set(map(tuple, hidden))) > 1
    assert hidden == [np.flatnonzero(train[epoch, 0]["labels"] >= 0).tolist() for epoch in range(6)]
    losses = {round(trainer.hf.evaluate()["eval_loss"], 9) for _ in range(2)}
    assert len(losses) == 1


def test_windows_are_drawn_anew_in_each_epoch(make_trainer, tmp_path):
    trainer = make_trainer(kind=HyenaGLTForCausalLM, data=windows(tmp_path))
    loader, seen = trainer.hf.get_train_dataloader(), []
    for epoch in (0, 1, 0):
        loader.set_epoch(epoch)
        seen.append(torch.cat([batch["input_ids"] for batch in loader]))
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])
