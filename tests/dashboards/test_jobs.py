"""Slow work announces itself, can be followed and called off, and never leaves the model changed."""

import asyncio
import threading

import pytest
from torch import nn

from genomic_lens.dashboards.jobs import Cancelled, Job, JobRow, watched
from genomic_lens.errors import DataError


def seen(row):
    """The parts of a row that are not hidden."""
    return {name for name in ("compute", "cancel", "bar") if getattr(row, name).layout.display != "none"}


def test_quick_work_is_done_at_once_and_leaves_nothing_to_be_seen():
    row, found = JobRow(), []
    row.offer(Job(lambda tick: "answer", 1), found.append, "Looking", seconds=0.1)
    assert found == ["answer"]
    assert row.layout.display == "none"


def test_slow_work_says_how_long_it_takes_and_waits_to_be_told():
    row, found = JobRow(), []
    row.offer(Job(lambda tick: "answer", 1), found.append, "<b>Looking", seconds=40)
    assert found == []
    assert row.words.value == "&lt;b&gt;Looking: about 40 s."
    assert seen(row) == {"compute"}
    row.compute.click()
    assert found == ["answer"]


def test_the_bar_moves_while_it_runs_and_the_loop_goes_on():
    row, found, go_on = JobRow(), [], threading.Event()

    def work(tick):
        tick(3)
        go_on.wait(10)
        tick(1)
        return threading.current_thread()

    async def watch():
        row.offer(Job(work, 4), found.append, "Looking", seconds=40)
        row.compute.click()
        assert seen(row) == {"bar", "cancel"}
        while row.bar.value == 0:
            await asyncio.sleep(0.01)
        shown = row.bar.value
        go_on.set()
        await row.done()
        return shown

    assert asyncio.run(watch()) == 0.75
    assert found[0] is not threading.main_thread()
    assert not row.running


def test_what_is_called_off_ends_at_its_next_step_and_can_be_begun_anew():
    row, found, steps, go_on = JobRow(), [], [], threading.Event()

    def work(tick):
        for step in range(4):
            steps.append(step)
            go_on.wait(10)
            tick(1)
        return "answer"

    async def stop():
        row.offer(Job(work, 4), found.append, "Looking", seconds=40)
        row.compute.click()
        while not steps:
            await asyncio.sleep(0.01)
        row.cancel.click()
        assert row.words.value == "Looking: cancelled."
        assert seen(row) == {"compute"}
        go_on.set()
        await row.done()
        assert (found, steps) == ([], [0])
        row.compute.click()
        await row.done()

    asyncio.run(stop())
    assert found == ["answer"]


def test_the_answer_to_an_older_question_is_not_taken():
    row, found, go_on = JobRow(), [], threading.Event()

    async def ask_twice():
        row.offer(Job(lambda tick: go_on.wait(10) and "old", 1), found.append, "Looking", seconds=40)
        row.compute.click()
        old = row._task
        row.offer(Job(lambda tick: "new", 1), found.append, "Looking", seconds=0)
        go_on.set()
        await old

    asyncio.run(ask_twice())
    assert found == ["new"]


def test_an_error_of_ours_is_said_in_the_row_and_others_are_raised():
    def refuse(tick):
        raise DataError("There is no <such> base.")

    row = JobRow()
    row.offer(Job(refuse, 1), print, "Looking", seconds=0)
    assert "There is no &lt;such&gt; base." in row.words.value
    with pytest.raises(ZeroDivisionError):
        row.offer(Job(lambda tick: 1 / 0, 1), print, "Looking", seconds=0)
    assert not row.running


def test_a_hook_that_calls_off_leaves_the_model_as_it_was():
    model = nn.Linear(2, 1)

    def stop(count):
        raise Cancelled

    with pytest.raises(Cancelled), watched(model, stop):
        model(model.weight)
    assert not model._forward_pre_hooks
