"""A training in a second thread: paused, or stopped at any step and resumed, it ends with the same weights."""

import threading

import pytest
import torch
from transformers import TrainerCallback

from genomic_lens.errors import TrainingError
from genomic_lens.training.checkpoints import last_checkpoint
from genomic_lens.training.monitoring.background import BackgroundTraining
from genomic_lens.training.monitoring.run_log import RunLog, read_run
from genomic_lens.training.trainer import LossBar

from ..conftest import build_data, build_trainer


class At(TrainerCallback):
    """Do something in the middle of a step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step - 1:
            self.act()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


@pytest.fixture(scope="module")
def undisturbed():
    trainer = build_trainer(validation=build_data(8, seed=1))
    trainer.train()
    return trainer


@pytest.mark.parametrize("step", [2, 6, 7, 17])
def test_stopped_and_gone_on_it_ends_with_the_same_weights(undisturbed, tmp_path, step):
    trainer = build_trainer(tmp_path, validation=build_data(8, seed=1))
    training = BackgroundTraining(trainer)
    trainer.hf.add_callback(At(step, training.stop))
    training.start()
    training.wait()
    assert last_checkpoint(tmp_path).name == f"checkpoint-{step}"
    assert (read_run(tmp_path).status, read_run(tmp_path).step) == ("stopped", step)
    again = build_trainer(tmp_path, start=7, validation=build_data(8, seed=1), callbacks=[RunLog(tmp_path)])
    again.train(resume=True)
    assert same(again, undisturbed)
    assert again.history.equals(undisturbed.history)
    assert read_run(tmp_path).steps.tolist() == list(range(1, 19))


def test_it_goes_on_in_the_same_trainer(undisturbed, tmp_path):
    trainer = build_trainer(tmp_path, validation=build_data(8, seed=1))
    training = BackgroundTraining(trainer)
    trainer.hf.add_callback(At(4, training.stop))
    training.start()
    training.wait()
    training.start(resume=True)
    training.wait()
    assert same(trainer, undisturbed)


def test_a_pause_holds_it_and_changes_nothing(undisturbed):
    trainer, reached = build_trainer(validation=build_data(8, seed=1)), threading.Event()
    training = BackgroundTraining(trainer)
    trainer.hf.add_callback(At(5, lambda: (training.pause(), reached.set())))
    training.start()
    assert reached.wait(20)
    assert training.doing == "paused"
    for _ in range(3):
        training._thread.join(0.1)
        assert trainer.hf.state.global_step == 5
    training.go_on()
    training.wait()
    assert training.doing == ""
    assert training.log.seconds < 30
    assert same(trainer, undisturbed)


def test_it_can_be_stopped_while_it_is_paused_and_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer, reached = build_trainer(), threading.Event()
    training = BackgroundTraining(trainer)
    trainer.hf.add_callback(At(2, lambda: (training.pause(), reached.set())))
    training.start()
    assert reached.wait(20)
    training.stop()
    training.wait()
    assert trainer.hf.state.global_step == 2
    assert not training.saves
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_is_kept_and_logged(tmp_path):
    def fail():
        raise ZeroDivisionError("no <such> number")

    trainer = build_trainer(tmp_path, callbacks=[At(3, fail)])
    training = BackgroundTraining(trainer)
    training.start()
    with pytest.raises(ZeroDivisionError):
        training.wait()
    run = read_run(tmp_path)
    assert (run.status, run.step) == ("failed", 2)
    assert run.message == "The training ended with ZeroDivisionError: no <such> number."
    assert trainer.hf.pop_callback(LossBar) is not None


def test_one_log_is_kept_and_one_training_runs(tmp_path):
    log, reached = RunLog(tmp_path), threading.Event()
    trainer = build_trainer(tmp_path, callbacks=[log])
    training = BackgroundTraining(trainer)
    assert training.log is log
    trainer.hf.add_callback(At(1, lambda: (training.pause(), reached.set())))
    training.start()
    assert reached.wait(20)
    with pytest.raises(TrainingError, match="runs already"):
        training.start()
    training.stop()
    training.wait()
