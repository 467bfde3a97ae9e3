"""The trainer: the same weights from the same seed, also when a run is interrupted, resumed, or meets a full disk."""

import json
import resource

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer, TrainerCallback
from transformers.trainer_pt_utils import safe_globals

from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import DataError, TrainingError
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.training.checkpoints import check_checkpoint, last_checkpoint
from genomic_lens.training.trainer import LossBar, history_table, score


def same_weights(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(name == other and torch.equal(value, twin) for (name, value), (other, twin) in pairs)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# --- a run ----------------------------------------------------------------------------------------------------------


def test_training_learns_the_rule(make_trainer, make_data):
    """The share of G and C is a rule that a mean over bases can find; unseen sequences show that it was found."""
    trainer = make_trainer(num_epochs=30, dropout=0.0, validation=make_data(60, seed=5))
    before = trainer.evaluate(resamples=50)["auroc"].value
    table = trainer.train()
    assert table["loss"].dropna().iloc[-5:].mean() < 0.5 * table["loss"].dropna().iloc[:5].mean()
    assert trainer.evaluate(resamples=50)["auroc"].value > max(0.9, before)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make_trainer):
    """Whatever else draws random numbers between the making of the trainer and the start of the training."""
    first, again, other = make_trainer(), make_trainer(), make_trainer(seed=1)
    start = fingerprint(first.model)
    assert start == fingerprint(again.model) == fingerprint(other.model)
    first.train(), torch.rand(100), again.train(), other.train()
    assert same_weights(first.model, again.model)
    assert len({start, fingerprint(first.model), fingerprint(other.model)}) == 3


def test_there_must_be_something_to_train_on(make_trainer):
    trainer = make_trainer()
    trainer.hf.train_dataset = None
    with pytest.raises(TrainingError, match="no train_dataset"):
        trainer.train()


def test_without_a_folder_nothing_is_written(make_trainer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_trainer(num_epochs=1, save_steps=2).train()
    assert names_in(tmp_path) == []


def test_a_run_leaves_its_last_two_checkpoints_and_its_log(make_trainer, tmp_path):
    make_trainer(tmp_path, save_steps=5).train()
    assert names_in(tmp_path) == ["checkpoint-15", "checkpoint-18", "log.csv"]


# --- resuming -------------------------------------------------------------------------------------------------------

PLANS = {
    "in the midst of an epoch": ({"save_steps": 3}, 10),
    "in the first epoch": ({"save_steps": 2}, 5),
    "at the end of an epoch": ({"save_steps": 3}, 8),
    "saved once an epoch": ({}, 10),
    "logged more rarely than saved": ({"save_steps": 3, "logging_steps": 4}, 11),
}


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize(("options", "step"), PLANS.values(), ids=PLANS.keys())
def test_a_resumed_run_ends_with_the_very_weights_and_log_of_a_straight_one(
    make_trainer, interrupted_trainer, make_data, tmp_path, options, step, validated
):
    """Six steps an epoch, dropout on. The resumed trainer starts with other weights: all it knows is the checkpoint.

    The table has neither a gap nor a row twice, and every number in it is that of the straight run.
    """
    if validated:
        options = options | {"validation": make_data(12, seed=9)}
    straight = make_trainer(tmp_path / "straight", **options)
    expected = straight.train()
    resumed = interrupted_trainer(tmp_path / "stopped", step, **options)
    assert last_checkpoint(tmp_path / "stopped").name in {"checkpoint-4", "checkpoint-6", "checkpoint-9"}
    assert not same_weights(resumed.model, straight.model)
    found = resumed.train(resume=True)
    assert same_weights(resumed.model, straight.model)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert found["step"].is_unique
    assert found["step"].iloc[-1] == 18
    written = pd.read_csv(tmp_path / "stopped" / "log.csv")
    pd.testing.assert_frame_equal(written, found, check_dtype=False)


@pytest.mark.parametrize("values", [False, True])
def test_validation_once_an_epoch_survives_a_checkpoint_just_before_it(
    make_trainer, interrupted_trainer, make_data, tmp_path, values
):
    """Step 6 ends the epoch: it is saved, then validated. The scores must be in what a resume starts from."""
    options = {"save_steps": 6, "eval_steps": 0, "validation": make_data(12, seed=9, values=values), "values": values}
    options |= {"num_classes": 1} if values else {}
    expected = make_trainer(tmp_path / "straight", **options).train()
    found = interrupted_trainer(tmp_path / "stopped", 9, **options).train(resume=True)
    assert expected["eval_loss"].notna().sum() == 3
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_run_may_be_interrupted_twice(make_trainer, interrupted_trainer, tmp_path):
    from .conftest import StopAt

    straight = make_trainer()
    straight.train()
    interrupted_trainer(tmp_path, 5, save_steps=2)
    with pytest.raises(KeyboardInterrupt):
        make_trainer(tmp_path, start=7, callbacks=[StopAt(14)], save_steps=2).train(resume=True)
    resumed = make_trainer(tmp_path, start=8, save_steps=2)
    resumed.train(resume=True)
    assert same_weights(resumed.model, straight.model)


def test_resume_from_a_chosen_checkpoint(make_trainer, tmp_path):
    straight = make_trainer(tmp_path, save_steps=10)
    straight.train()
    again = make_trainer(start=5)
    again.train(resume=tmp_path / "checkpoint-10")
    assert same_weights(again.model, straight.model)


def test_resume_without_a_checkpoint_starts_afresh(make_trainer, tmp_path):
    """`resume=True` in a script must do on its first run, too."""
    straight, first, homeless = make_trainer(), make_trainer(tmp_path / "new"), make_trainer()
    straight.train(), first.train(resume=True), homeless.train(resume=True)
    assert same_weights(first.model, straight.model)
    assert same_weights(homeless.model, straight.model)


def test_resume_after_the_end_changes_nothing(make_trainer, tmp_path):
    straight = make_trainer(tmp_path)
    expected = straight.train()
    again = make_trainer(tmp_path, start=5)
    found = again.train(resume=True)
    assert same_weights(again.model, straight.model)
    pd.testing.assert_frame_equal(found, expected)


# --- what a checkpoint holds ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    from .conftest import build_trainer

    trainer = build_trainer(tmp_path_factory.mktemp("run"), save_steps=6)
    trainer.train()
    return trainer


def test_a_checkpoint_holds_model_tokenizer_and_state_and_nothing_partial(finished):
    folder = check_checkpoint(last_checkpoint(finished.output_dir))
    assert same_weights(HyenaGLTForSequenceClassification.from_pretrained(folder), finished.model)
    sequence = "ACGTNacgtu"
    assert AutoTokenizer.from_pretrained(folder)(sequence)["input_ids"] == finished.tokenizer.encode(sequence).tolist()
    assert json.loads((folder / "trainer_state.json").read_text())["global_step"] == 18
    assert not [path for path in folder.parent.rglob("*") if "partial" in path.name]


def test_a_checkpoint_holds_no_pickle_that_could_run_code(finished):
    """Every file is text, safetensors, or read by torch under `weights_only` (with numpy's random state allowed)."""
    folder = last_checkpoint(finished.output_dir)
    kinds = {path.suffix for path in folder.iterdir()}
    assert kinds <= {".json", ".safetensors", ".pt", ".pth", ".txt"}
    for path in (*folder.glob("*.pt"), *folder.glob("*.pth"), *folder.glob("*.bin")):
        with safe_globals():
            assert torch.load(path, weights_only=True)


# --- things that go wrong -------------------------------------------------------------------------------------------


class SmallDisk(TrainerCallback):
    """From a step on, no file may grow beyond a number of bytes: what a full disk looks like to every writer."""

    def __init__(self, step: int, size: int):
        self.step, self.size = step, size

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def disk():
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield SmallDisk
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [0, 1000, 9000])
def test_a_full_disk_ends_in_one_sentence_and_the_run_goes_on_from_the_checkpoint_before(
    make_trainer, disk, tmp_path, size
):
    """The limit is a real one. It bites in the configuration, in the weights, and in the optimiser's state."""
    straight = make_trainer()
    straight.train()
    stopped = make_trainer(tmp_path, save_steps=4, callbacks=[disk(8, size)])
    stopped.hf.remove_callback(LossBar)  # it writes, too, and where a test's output goes is a file
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(TrainingError, match="checkpoint-8 could not be written"):
        stopped.train()
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names_in(tmp_path) == ["checkpoint-4", "log.csv"]
    resumed = make_trainer(tmp_path, start=3, save_steps=4)
    resumed.train(resume=True)
    assert same_weights(resumed.model, straight.model)


def test_a_checkpoint_that_lacks_a_file_is_refused(make_trainer, interrupted_trainer, tmp_path):
    trainer = interrupted_trainer(tmp_path, 5, save_steps=4)
    (tmp_path / "checkpoint-4" / "optimizer.pt").unlink()
    for resume in (True, tmp_path / "checkpoint-4", tmp_path / "nowhere"):
        with pytest.raises(TrainingError, match="no whole checkpoint"):
            trainer.train(resume=resume)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json"])
def test_a_checkpoint_that_was_cut_short_is_refused(interrupted_trainer, tmp_path, name):
    trainer = interrupted_trainer(tmp_path, 5, save_steps=4)
    file = tmp_path / "checkpoint-4" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(TrainingError, match="checkpoint-4 cannot be read"):
        trainer.train(resume=True)


def test_a_checkpoint_of_another_model_is_refused(make_trainer, interrupted_trainer, tmp_path):
    interrupted_trainer(tmp_path, 5, save_steps=4)
    for options in ({"d_model": 16}, {"n_layers": 2}):
        with pytest.raises(TrainingError, match="checkpoint-4 cannot be read"):
            make_trainer(tmp_path, **options).train(resume=True)


# --- saving and loading ---------------------------------------------------------------------------------------------


def test_what_is_saved_can_be_loaded(finished, make_trainer, tmp_path):
    folder = finished.save_checkpoint(tmp_path / "model")
    assert folder == tmp_path / "model"
    assert same_weights(HyenaGLTForSequenceClassification.from_pretrained(folder), finished.model)
    assert AutoTokenizer.from_pretrained(folder)("ACGT")["input_ids"] == [7, 8, 9, 10]
    other = make_trainer(start=5)
    other.load_checkpoint(folder)
    assert same_weights(other.model, finished.model)


def test_saving_to_a_place_that_cannot_be_written_is_a_training_error(make_trainer, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="could not be written"):
        make_trainer().save_checkpoint(tmp_path / "file" / "model")


def test_training_goes_on_from_a_loaded_checkpoint(finished, make_trainer):
    """The weights are there at once; the optimiser, the schedule and the place in the epoch when training starts."""
    other = make_trainer(start=5)
    folder = last_checkpoint(finished.output_dir).with_name("checkpoint-12")
    other.load_checkpoint(folder)
    assert same_weights(other.model, HyenaGLTForSequenceClassification.from_pretrained(folder))
    other.train()
    assert same_weights(other.model, finished.model)


def test_loading_what_is_no_checkpoint_is_a_training_error(make_trainer, tmp_path):
    with pytest.raises(TrainingError, match="lacks"):
        make_trainer().load_checkpoint(tmp_path)


# --- scores and history ---------------------------------------------------------------------------------------------


def test_evaluate_gives_scores_with_intervals(finished, make_data):
    data = make_data(40, seed=3)
    scores = finished.evaluate(data, resamples=200, seed=4)
    accuracy = scores["accuracy"]
    logits = finished.predict(data)
    assert accuracy.value == (logits.argmax(1) == data.labels).mean()
    assert accuracy.low < accuracy.value < accuracy.high
    assert (accuracy.items, accuracy.resamples, accuracy.seed) == (40, 200, 4)
    assert set(scores) == {"accuracy", "macro_f1", "mcc", "auroc"}
    grouped = finished.evaluate(data, groups=np.repeat(np.arange(10), 4), resamples=200)
    assert (grouped["accuracy"].value, grouped["accuracy"].groups) == (accuracy.value, 10)


def test_a_regression_model_is_scored_as_one(make_trainer, make_data):
    trainer = make_trainer(values=True, num_classes=1, num_epochs=25, dropout=0.0, validation=make_data(40, 5, True))
    trainer.train()
    scores = trainer.evaluate(resamples=50)
    assert scores["pearson"].value > 0.8
    assert trainer.get_metrics()["eval_pearson"] == pytest.approx(scores["pearson"].value, abs=1e-6)
    values, truth = trainer.predict(make_data(40, 5, True))[:, 0], make_data(40, 5, True).labels
    assert scores["mse"].value == pytest.approx(((values - truth) ** 2).mean(), rel=1e-5)


def test_predictions_come_in_the_order_of_the_data(finished, make_data):
    data = make_data(9, seed=2)
    alone = [finished.predict(GenomicDataset([sequence]))[0] for sequence in data.sequences]
    np.testing.assert_allclose(finished.predict(data), alone, atol=1e-5)


def test_a_set_of_one_class_has_predictions_and_the_scores_that_are_defined(finished, make_data):
    """No AUROC without a second class. That must not stand in the way of what can be had."""
    data = make_data(40, seed=3)
    ones = GenomicDataset([s for s, label in zip(data.sequences, data.labels, strict=True) if label == 1])
    ones.labels = np.ones(len(ones), dtype=np.int64)
    assert len(finished.predict(ones)) == len(ones)
    with pytest.raises(DataError, match="AUROC is undefined.*choose other metrics"):
        finished.evaluate(ones, resamples=50)
    assert set(finished.evaluate(ones, metrics=["accuracy"], resamples=50)) == {"accuracy"}
    while_training = finished.evaluate(ones, resamples=0)
    assert np.isnan(while_training["auroc"].value)
    assert while_training["accuracy"].value == (finished.predict(ones).argmax(1) == 1).mean()


@pytest.mark.parametrize("labelled", [True, False])
def test_there_must_be_something_to_evaluate_on(finished, make_data, labelled):
    with pytest.raises(TrainingError, match="nothing to evaluate on"):
        finished.evaluate(None if labelled else GenomicDataset(["ACGT"]))


def test_scores_of_logits_by_hand():
    """Two of three right; adding a constant to the logits of an item changes no probability."""
    logits = np.array([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    for shifted in (logits, logits + 100):
        scores = score(None, shifted, np.array([0, 1, 1]), resamples=0)
        assert scores["accuracy"].value == pytest.approx(2 / 3)
        assert scores["auroc"].value == pytest.approx(0.75)
    assert score(None, np.array([[1.0], [3.0]]), np.array([1.0, 2.0]), resamples=0, metrics=["mae"])["mae"].value == 0.5


def test_the_history_has_one_row_a_step():
    log = [
        {"step": 2, "loss": 0.5, "epoch": 0.5}, {"step": 4, "loss": 0.4, "epoch": 1.0},
        {"step": 4, "eval_loss": 0.6, "eval_runtime": 1.0, "eval_samples_per_second": 9.0, "epoch": 1.0},
        {"step": 4, "train_runtime": 3.0, "train_loss": 0.45, "total_flos": 0.0, "epoch": 1.0},
    ]  # fmt: skip
    table = history_table(log)
    assert table.to_dict("list")["step"] == [2, 4]
    assert table["loss"].tolist() == [0.5, 0.4]
    assert set(table) == {"step", "epoch", "loss", "eval_loss"}


def test_an_empty_history_is_an_empty_table(make_trainer):
    assert len(make_trainer().history) == 0


def test_the_newest_values_are_the_metrics(make_trainer, make_data):
    trainer = make_trainer(validation=make_data(12, seed=9))
    table = trainer.train()
    newest = trainer.get_metrics()
    assert newest["loss"] == table["loss"].dropna().iloc[-1]
    assert newest["eval_accuracy"] == table["eval_accuracy"].dropna().iloc[-1]
    assert newest["step"] == 18


def test_validation_while_training_gives_the_numbers_of_evaluate(make_trainer, make_data):
    """A number while training and a score at the end come from one function."""
    trainer = make_trainer(validation=make_data(30, seed=9))
    row = trainer.train().iloc[-1]
    for name, found in trainer.evaluate(resamples=20).items():
        assert row[f"eval_{name}"] == pytest.approx(found.value)


def test_one_progress_bar_and_no_printing(make_trainer, capfd):
    trainer = make_trainer(num_epochs=1)
    trainer.train()
    names = [type(callback).__name__ for callback in trainer.hf.callback_handler.callbacks]
    assert names.count("LossBar") == 1
    assert not {"ProgressCallback", "PrinterCallback", "NotebookProgressCallback"} & set(names)
    assert capfd.readouterr().out == ""
