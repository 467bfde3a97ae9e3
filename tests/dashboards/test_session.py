"""The session answers as the functions behind it do, and asks each question once."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from genomic_lens.dashboards import session as module
from genomic_lens.dashboards.jobs import Cancelled, Job
from genomic_lens.dashboards.session import QUESTIONS, LensSession, Question, passes
from genomic_lens.errors import DataError
from genomic_lens.interpretability import attribute, chunk_map, predict
from genomic_lens.interpretability.attribution.attributions import METHODS

from .conftest import SEQUENCE


def test_answers_are_those_of_the_functions(model, tokenizer):
    session = LensSession(model, tokenizer, SEQUENCE, references=3, seed=5)
    np.testing.assert_array_equal(session.prediction().logits, predict(model, tokenizer, [SEQUENCE])[0].logits)
    expected = attribute(model, tokenizer, SEQUENCE, "acceptor", references=3, seed=5)[0]
    asked = session.attribution("acceptor", Question("exact", "shuffled"))
    np.testing.assert_array_equal(asked.values, expected.values)


def test_each_question_is_asked_once_for_each_sequence(model, tokenizer, monkeypatch):
    asked = []

    def counted(*arguments, **options):
        asked.append(arguments[2:])
        return attribute(*arguments, **options)

    monkeypatch.setattr(module, "attribute", counted)
    session, question = LensSession(model, tokenizer, SEQUENCE, references=2), Question("exact", "mean")
    for _ in range(2):
        session.attribution("donor", question)
        session.attribution("neither", question)
    session.mutate(3, "A" if SEQUENCE[3] != "A" else "C")
    session.attribution("donor", question)
    session.reset()
    session.attribution("donor", question)
    assert asked == [(SEQUENCE, "donor"), (SEQUENCE, "neither"), (asked[2][0], "donor")]
    assert asked[2][0] != SEQUENCE


def test_a_change_is_seen_and_undone(model, tokenizer):
    session = LensSession(model, tokenizer, SEQUENCE)
    before = session.prediction().probabilities
    letter = next(letter for letter in "ACGT" if letter != SEQUENCE[7])
    session.mutate(7, letter)
    assert session.changed == [7]
    assert session.sequence == SEQUENCE[:7] + letter + SEQUENCE[8:]
    assert np.abs(session.prediction().probabilities - before).max() > 1e-4
    np.testing.assert_array_equal(session.at_first().probabilities, before)
    assert session.sequence != SEQUENCE, "looking back must not undo the change"
    session.mutate(7, SEQUENCE[7])
    assert session.changed == []
    session.mutate(7, letter)
    session.reset()
    np.testing.assert_array_equal(session.prediction().probabilities, before)


@pytest.mark.parametrize(("base", "letter", "message"), [(40, "A", "0 to 39"), (-1, "A", "0 to 39"), (0, "X", "'X'")])
def test_changes_that_make_no_sense_are_refused(model, tokenizer, base, letter, message):
    with pytest.raises(DataError, match=message):
        LensSession(model, tokenizer, SEQUENCE).mutate(base, letter)


def test_an_empty_sequence_is_refused(model, tokenizer):
    with pytest.raises(DataError, match="empty"):
        LensSession(model, tokenizer, "")


def test_the_time_of_a_question_is_guessed_first_and_known_later(model, tokenizer, monkeypatch):
    ticks = iter(range(0, 100, 2))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    session = LensSession(model, tokenizer, SEQUENCE, references=2)
    forward = 2 / module.TOGETHER  # seconds: a clock that goes on by 2 at each look
    guesses = {question: session.seconds(question) for question in QUESTIONS.values()}
    assert guesses[Question("exact", "shuffled")] == 3 * forward * 2 * 2
    assert guesses[Question("integrated_gradients", "mean")] == 3 * forward * (50 + 1 + 1)
    assert guesses[Question("occlusion", "mean")] == forward * (40 + 1 + 1)
    session.attribution("donor", Question("exact", "shuffled"))
    assert session.seconds(Question("exact", "shuffled")) == session.seconds(Question("exact", "shuffled", 2)) == 2
    assert session.seconds(Question("exact", "shuffled", 4)) > 2, "another number of references takes another time"


@pytest.mark.parametrize(
    "question",
    [
        *QUESTIONS.values(),
        Question("integrated_gradients", "shuffled", references=3, steps=7),
        Question("layer_integrated_gradients", "random", references=2, steps=20),
        Question("noise_tunnel", "mean", samples=9),
        Question("guided_backprop", "zero"),
        Question("occlusion", "n", window=5),
    ],
)
def test_as_many_sequences_go_into_the_model_as_were_foretold(model, tokenizer, question):
    session, seen = LensSession(model, tokenizer, SEQUENCE, references=4), []
    record, remark = session.attributing("donor", question)(seen.append)
    assert sum(seen) == pytest.approx(passes(session.complete(question), len(SEQUENCE)), rel=0.2)
    assert session.knows(session.complete(question), "donor")
    assert record is session.attribution("donor", question)
    assert ("miss" in remark) == (record.gap > 1e-3 and METHODS[question.method].adds_up)


def test_what_is_called_off_is_not_remembered_and_can_be_asked_again(model, tokenizer):
    session, question = LensSession(model, tokenizer, SEQUENCE), Question("occlusion", "mean")
    job = Job(session.attributing("donor", question), steps=42)
    job.call_off()
    with pytest.raises(Cancelled):
        job.run()
    assert not session.knows(session.complete(question), "donor")
    assert not model._forward_pre_hooks
    expected = attribute(model, tokenizer, SEQUENCE, "donor", "occlusion", "mean")[0]
    np.testing.assert_array_equal(session.attribution("donor", question).values, expected.values)


def test_an_answer_is_about_the_sequence_at_which_it_was_asked_for(model, tokenizer):
    session, question = LensSession(model, tokenizer, SEQUENCE), Question("exact", "mean")
    later = session.attributing("donor", question)
    session.mutate(3, "A" if SEQUENCE[3] != "A" else "C")
    assert later()[0].sequence == SEQUENCE
    assert not session.knows(session.complete(question), "donor")


def test_two_threads_get_one_answer(model, tokenizer, monkeypatch):
    """A kernel may hear widgets in one thread while it runs a cell in another."""
    asked, everyone = [], Barrier(2)
    compute = module.predict

    def slow(*arguments):
        asked.append(arguments)
        time.sleep(0.05)
        return compute(*arguments)

    monkeypatch.setattr(module, "predict", slow)
    session = LensSession(model, tokenizer, SEQUENCE)

    def ask(_):
        everyone.wait()
        return session.prediction()

    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(ask, range(2))
    assert one is two
    assert len(asked) == 1


ROUTED = {"n_layers": 5, "chunking": "routing", "target_ratios": (0.3, 0.5)}


def test_chunks_are_those_of_the_sequence_as_it_is_now(build, model, tokenizer):
    assert LensSession(model, tokenizer, SEQUENCE).chunks() is None
    session = LensSession(build(**ROUTED), tokenizer, SEQUENCE)
    first = session.chunks()
    assert first is session.chunks()
    session.mutate(3, "A" if SEQUENCE[3] != "A" else "C")
    np.testing.assert_array_equal(
        session.chunks().probability, chunk_map(session.model, tokenizer, session.sequence).probability
    )
    assert np.abs(session.chunks().probability - first.probability).max() > 1e-4


def test_filters_on_chunks_reach_as_many_chunks_as_there_are(build, tokenizer):
    session = LensSession(build(**ROUTED), tokenizer, SEQUENCE)
    counts = session.chunks().start.sum(1)
    assert [session.depth(layer) for layer in range(6)] == [0, 1, 2, 1, 0, 0]
    assert [len(session.filters(layer).lags) for layer in range(5)] == [40, counts[0], counts[1], counts[0], 40]


def test_a_layer_that_does_not_tell_its_channels_is_not_asked(build, tokenizer, monkeypatch):
    session = LensSession(build(**ROUTED), tokenizer, SEQUENCE[:20] + "N" + SEQUENCE[21:])
    assert session.channel_use(3, 0).sum() == pytest.approx(1)
    assert session.channel_use(3, 2).sum() == pytest.approx(1)
    assert session.channel_use(20, 0) is None  # masked
    for layer in (0, 2):
        operator = session.tiles().operator(layer)
        monkeypatch.delattr(type(getattr(operator, "inner", operator)), "channel_use", raising=False)
        assert session.channel_use(3, layer) is None
