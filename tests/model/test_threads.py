"""Work in parts, a part a thread, is the same work."""

import threading
import time

import pytest
import torch

from genomic_lens.model.convolution import fast_mixing
from genomic_lens.model.convolution.fast_mixing import STRETCH, mix
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.threads import for_each, side_by_side, watched


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def where(part):
    return threading.get_ident(), torch.get_num_threads()


def test_answers_come_in_order_from_other_threads_with_one_thread_each():
    here = threading.get_ident()
    found = list(side_by_side(lambda part: (part, *where(part)), range(50)))
    assert [part for part, *_ in found] == list(range(50))
    assert here not in {thread for _, thread, _ in found}
    assert {threads for *_, threads in found} == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_gradients_are_as_they_are_in_the_callers_thread(mode):
    with mode():
        here = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        there = list(side_by_side(lambda _: (torch.is_grad_enabled(), torch.is_inference_mode_enabled()), range(4)))
    assert set(there) == {here}


@pytest.mark.parametrize("context", [lambda: torch.autocast("cpu"), torch.profiler.profile])
def test_what_is_watched_stays_in_its_thread(context):
    assert not watched()
    with context():
        assert watched()
        assert list(side_by_side(where, range(3))) == [(threading.get_ident(), 2)] * 3


def test_one_part_stays_where_it_is():
    assert list(side_by_side(where, [0])) == [(threading.get_ident(), 2)]


def test_work_ends_with_its_reader():
    begun = []
    answers = side_by_side(lambda part: begun.append(part) or part, range(10_000))
    assert next(answers) == 0
    answers.close()
    assert len(begun) < 10_000
    assert torch.get_num_threads() == 2


def test_an_error_comes_where_its_part_would():
    answers = side_by_side(lambda part: 1 / part, [1, 2, 0, 4])
    assert [next(answers), next(answers)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(answers)
    assert torch.get_num_threads() == 2


def test_for_each_takes_every_part_once_and_the_caller_works_too():
    done, both = [], threading.Barrier(2, timeout=60)

    def work(part):
        if part < 2:
            both.wait()  # which only two threads at once can pass
        done.append((part, *where(part)))

    for_each(work, range(50), torch.device("cpu"))
    assert sorted(part for part, *_ in done) == list(range(50))
    assert threading.get_ident() in {thread for _, thread, _ in done}
    assert {threads for *_, threads in done} == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("fails_here", [True, False])
def test_after_an_error_no_other_part_is_begun(fails_here):
    begun, both, here = [], threading.Barrier(2, timeout=60), threading.get_ident()

    def work(part):
        begun.append(part)
        both.wait()
        if (threading.get_ident() == here) == fails_here:
            raise ZeroDivisionError
        time.sleep(0.2)

    with pytest.raises(ZeroDivisionError):
        for_each(work, range(10_000), torch.device("cpu"))
    assert len(begun) == 2
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("order", [2, 3])
def test_a_long_input_is_mixed_alike_by_any_number_of_threads(mode, order, monkeypatch):
    monkeypatch.setattr(fast_mixing, "LONG_SIGNAL", 1)  # many groups of channels
    monkeypatch.setattr(fast_mixing, "TRANSFORMS", 4)
    torch.manual_seed(0)
    operator = HyenaOperator(d_model=40, l_max=4 * STRETCH, order=order).eval()
    hidden, found = torch.randn(2, 3 * STRETCH + 7, 40), []
    mask = torch.arange(hidden.shape[1]) < torch.tensor([[hidden.shape[1]], [2 * STRETCH + 3]])
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with mode():
            found.append(mix(operator, hidden, mask))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-6)
    assert torch.equal(found[1], found[2])
    with torch.no_grad():
        torch.testing.assert_close(found[0].clone(), operator.spelt_out(hidden, mask), rtol=1e-4, atol=1e-5)
