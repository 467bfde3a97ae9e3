"""The log of a run: whole after interruptions, true about the data, and a record from which all can be drawn again."""

import json
from time import sleep

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from transformers import TrainerCallback

from genomic_lens.data.tokenizers import DNATokenizer, KmerTokenizer
from genomic_lens.errors import DataError, TrainingError
from genomic_lens.records import TrainingRun
from genomic_lens.training.monitoring.resources import ReadCounter, bases_per_token
from genomic_lens.training.monitoring.run_log import FILE, RunLog, read_lines, read_run

from ..conftest import StopAt, build_data, build_trainer

OF_THE_CLOCK = ["resident_bytes", "bases_per_second", "tokens_per_second"]


def logged(folder):
    """Columns of a run that do not depend on the clock."""
    return read_run(folder).to_dataframe().drop(columns=OF_THE_CLOCK)


@pytest.fixture
def undisturbed(tmp_path):
    folder = tmp_path / "undisturbed"
    build_trainer(folder, validation=build_data(8, seed=1), callbacks=[RunLog(folder)], save_steps=4).train()
    return folder


def test_a_run_is_logged_step_by_step(undisturbed):
    run = read_run(undisturbed)
    table = run.to_dataframe()
    assert run.status == "finished"
    assert table["step"].tolist() == list(range(1, 19))
    assert (run.total_steps, run.step) == (18, 18)
    assert run.groups == ("weights", "biases, norms, embeddings", "filters")
    assert table[["loss", "grad_norm", "resident_bytes"]].notna().all(axis=None)
    assert (table[["bases_per_second", "tokens_per_second"]] > 0).all(axis=None)
    assert table["eval_loss"].notna().tolist() == [step % 6 == 0 for step in table["step"]]
    assert np.array_equal(table["learning_rate"], table["learning_rate_0"])


@pytest.mark.parametrize("step", [5, 6, 7, 13])
def test_an_interrupted_run_has_the_log_of_an_undisturbed_one(undisturbed, tmp_path, step):
    folder, validation = tmp_path / "run", build_data(8, seed=1)
    stops = [StopAt(step), RunLog(folder)]
    trainer = build_trainer(folder, validation=validation, callbacks=stops, save_steps=4)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    with (folder / FILE).open("a") as file:
        file.write('{"event": "log", "st')  # the line that was being written when the process was killed
    assert read_run(folder).status == "open"
    again = build_trainer(folder, start=9, validation=validation, callbacks=[RunLog(folder)], save_steps=4)
    again.train(resume=True)
    pd.testing.assert_frame_equal(logged(folder), logged(undisturbed))
    events = [(event["event"], event["step"]) for event in read_lines(folder / FILE)]
    assert len(set(events)) == len(events)


def test_a_new_run_in_a_folder_forgets_the_old_one(undisturbed):
    build_trainer(undisturbed, callbacks=[RunLog(undisturbed)], num_epochs=1).train()
    assert read_run(undisturbed).steps.tolist() == list(range(1, 7))


def test_padding_and_bases_are_counted_and_validation_is_not(tmp_path):
    data = build_data()
    log = RunLog(tmp_path)
    trainer = build_trainer(
        tmp_path, validation=build_data(8, seed=1), callbacks=[log], num_epochs=1, batch_size=24, logging_steps=1
    )
    trainer.train()
    lengths = [len(sequence) for sequence in data.sequences]
    row = read_run(tmp_path).to_dataframe().iloc[0]
    assert row["padding"] == pytest.approx(1 - sum(lengths) / (24 * max(lengths)))
    seconds = sum(lengths) / row["bases_per_second"]
    assert seconds == pytest.approx(read_run(tmp_path).seconds)
    assert not trainer.model._forward_pre_hooks


def test_time_outside_of_steps_is_left_out(tmp_path):
    class Slow(TrainerCallback):
        def on_evaluate(self, *ignored, **others):
            sleep(0.2)

    log = RunLog(tmp_path)
    trainer = build_trainer(
        validation=build_data(8, seed=1), callbacks=[Slow(), log], eval_steps=1, num_epochs=1, batch_size=4
    )
    trainer.train()
    assert log.seconds < 6 * 0.2


def test_words_count_for_their_letters_and_overlapping_ones_for_what_is_new():
    apart, over = KmerTokenizer(3, overlapping=False), KmerTokenizer(3, overlapping=True)
    table = bases_per_token(len(apart), (), apart)
    assert table[torch.from_numpy(apart.encode("ACGTTG"))].tolist() == [3, 3]
    assert bases_per_token(len(over), (), over)[torch.from_numpy(over.encode("ACGTTG"))].tolist() == [1] * 4
    letters = DNATokenizer(special="sep")
    known = bases_per_token(len(letters), (), letters)[torch.from_numpy(letters.encode("ACNT"))]
    assert known.tolist() == [1, 1, 0, 1, 0]


def test_passes_in_evaluation_mode_are_not_counted():
    model = nn.Embedding(12, 2)
    counter = ReadCounter(model, bases_per_token(12, (4,)))
    model.eval()(torch.tensor([[7, 4]]))
    assert counter.take() == (0, 0, 0)
    model.train()(torch.tensor([[7, 4]]))
    assert counter.take() == (1, 2, 2)


def test_a_log_survives_its_record(undisturbed, tmp_path):
    run = read_run(undisturbed)
    again = TrainingRun.load(run.save(tmp_path / "run.npz"))
    pd.testing.assert_frame_equal(again.to_dataframe(), run.to_dataframe())
    assert (again.groups, again.status, again.message) == (run.groups, run.status, run.message)


def test_what_is_no_log_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_run(tmp_path)
    (tmp_path / FILE).write_text("no event\n" + json.dumps({"event": "log", "step": 1}) + "\n")
    with pytest.raises(DataError, match="Line 1 of"):
        read_run(tmp_path)


def test_a_folder_that_cannot_be_written_stops_the_run_in_a_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(TrainingError, match="could not be written"):
        build_trainer(callbacks=[RunLog(blocked)]).train()
