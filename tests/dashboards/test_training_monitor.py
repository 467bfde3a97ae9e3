"""The monitor shows what the log holds, live and afterwards, and its buttons do what they say."""

import asyncio
import threading

import numpy as np
import pytest

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.dashboards import TrainingMonitor
from genomic_lens.dashboards.training_monitor import CurvePanel, axis_of, decades
from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import TrainingError
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.records import TrainingRun
from genomic_lens.training import HyenaGLTTrainer


@pytest.fixture
def trainer(build, tmp_path):
    data = GenomicDataset(["ACGTTGCA" * 2, "GGGCCCGA" * 2, "ATATTATA", "ACGTTGCA"] * 4, [0, 1, 2, 0] * 4)
    model = build(HyenaGLTForSequenceClassification, batch_size=4, num_epochs=3, logging_steps=1, d_model=8)
    return HyenaGLTTrainer(model, model.config, data, data, output_dir=tmp_path)


def shown(monitor):
    """Buttons that are there."""
    return [name for name, button in monitor.controls.buttons.items() if button.layout.display != "none"]


def points(monitor):
    """What the curves of a monitor are made of."""
    return {trace.name: (tuple(trace.x), tuple(trace.y)) for trace in monitor.curves.room.figure.data}


def test_what_was_seen_is_rebuilt_from_the_folder(trainer, tmp_path):
    monitor = TrainingMonitor(trainer)
    assert (shown(monitor), monitor.controls.words.value) == (["start"], "Ready to train.")
    monitor.start()
    monitor.wait()
    assert monitor.controls.words.value == "Finished: step 12 of 12."
    assert monitor.controls.bar.value == 1
    again = TrainingMonitor.from_folder(tmp_path)
    assert points(again) == points(monitor)
    assert set(points(again)) >= {"training", "validation", "accuracy", "filters", "before clipping", "process"}
    assert points(again)["training"][0] == tuple(range(1, 13))
    assert shown(again) == ["refresh"]


def test_curves_grow_while_the_loop_goes_on_and_buttons_act(trainer):
    monitor, seen = TrainingMonitor(trainer), []

    async def watch():
        monitor.start()
        assert shown(monitor) in (["start"], ["pause", "stop"])
        monitor.controls.buttons["pause"].click()
        assert (monitor.doing, shown(monitor)) == ("paused", ["resume", "stop"])
        await asyncio.sleep(0.5)
        seen.append(monitor.training.trainer.hf.state.global_step)
        monitor.controls.buttons["resume"].click()
        assert shown(monitor) == ["pause", "stop"] or monitor.doing == "finished"
        await monitor._task

    asyncio.run(watch())
    assert seen[0] <= 2
    assert monitor.record.step == 12
    assert shown(monitor) == ["start"]


def test_it_stops_and_goes_on(trainer):
    monitor, held = TrainingMonitor(trainer), threading.Event()

    def hold(args, state, control, **others):
        held.wait(10)

    monitor.training.log.on_pre_optimizer_step = hold
    monitor.start()
    monitor.controls.buttons["stop"].click()
    assert (monitor.doing, shown(monitor)) == ("stopping", [])
    held.set()
    monitor.wait()
    assert monitor.doing == "stopped"
    assert monitor.record.step <= 2
    assert shown(monitor) == ["start", "go on"]
    monitor.controls.buttons["go on"].click()
    monitor.wait()
    assert monitor.controls.words.value == "Finished: step 12 of 12."


def test_an_error_is_one_sentence_in_the_widget(trainer):
    def fail(*ignored, **others):
        raise ValueError("a <bad> batch")

    trainer.hf.data_collator = fail
    monitor = TrainingMonitor(trainer)
    monitor.start()
    with pytest.raises(ValueError, match="bad"):
        monitor.wait()
    assert "ended with ValueError: a &lt;bad&gt; batch." in monitor.controls.words.value
    assert monitor.doing == "failed"


def test_a_long_run_is_thinned_and_its_spikes_stay():
    values = np.ones((50_000, 1))
    values[33_333] = 99.0
    run = TrainingRun(np.arange(50_000), ("loss",), values, "open")
    panel = CurvePanel()
    for _ in range(2):
        panel.show(run)
    trace = panel.room.figure.data[0]
    assert len(trace.x) <= 2000
    assert (max(trace.y), trace.x[np.argmax(trace.y)]) == (99.0, 33_333)


def test_a_kind_that_is_logged_later_appears_then():
    panel = CurvePanel()
    panel.show(TrainingRun(np.array([], dtype=int), (), np.zeros((0, 0)), "open"))
    assert panel.room.figure is None
    panel.show(TrainingRun(np.array([1]), ("loss",), np.ones((1, 1)), "open"))
    later = TrainingRun(np.array([1, 2]), ("loss", "eval_loss"), np.array([[1, np.nan], [0.5, 0.7]]), "open")
    panel.show(later)
    assert [trace.name for trace in panel.room.figure.data] == ["training", "validation"]
    assert panel.foot.value == "Last: training 0.5, validation 0.7 (loss)."


def test_a_folder_without_a_log_says_so_and_shows_it_later(trainer, tmp_path):
    monitor = TrainingMonitor.from_folder(tmp_path)
    assert "There is no log of a run in" in monitor.controls.words.value
    with pytest.raises(TrainingError, match="make one of a trainer"):
        monitor.start()
    TrainingMonitor(trainer).start().wait()
    monitor.controls.buttons["refresh"].click()
    assert monitor.record.step == 12


def test_without_a_folder_there_is_no_way_to_go_on(build):
    config = HyenaGLTConfig(vocab_size=12, d_model=8, n_layers=1, sequence_length=64, num_classes=3)
    data = GenomicDataset(["ACGT"] * 6, [0, 1, 2] * 2)
    trainer = HyenaGLTTrainer(HyenaGLTForSequenceClassification(config), config, data)
    monitor = TrainingMonitor(trainer)
    monitor.start().stop()
    monitor.wait()
    assert shown(monitor) == ["start"]


def gradients(*norms):
    """A run that has logged these norms."""
    return TrainingRun(np.arange(1, len(norms) + 1), ("grad_norm",), np.array(norms)[:, None], "open")


def test_norms_of_gradients_stand_between_powers_of_ten():
    """Ticks at whole powers, two at least, and more when the norms grow beyond them."""
    panel = CurvePanel()
    for norms, powers in (((0.4, 0.6), (-1, 0)), ((0.4, 0.6, 0.5), (-1, 0)), ((0.4, 0.6, 0.5, 37.0), (-1, 2))):
        panel.show(gradients(*norms))
        axis = axis_of(panel.room.figure, panel.room.figure.data[0])
        assert (axis.type, axis.dtick, axis.exponentformat, tuple(axis.range)) == ("log", 1, "power", powers)
        assert len(panel.room.figure.data[0].y) == len(norms)
    assert decades([0.0, 0.0]) == (0, 1)
    assert decades([1.0]) == (0, 1)
