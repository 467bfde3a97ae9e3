"""The fast order of work gives the numbers of the plain one, and never those of weights that have changed since."""

import copy

import pytest
import torch

from genomic_lens.model.convolution import block_convolution, fast_mixing
from genomic_lens.model.convolution.fast_mixing import drawn_spectra, mix
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.layers.gates import explain
from genomic_lens.model.token_models import HyenaGLTForCausalLM

KINDS = [(2, False), (3, False), (4, False), (2, True), (3, True)]


@pytest.fixture
def build():
    def build(order=2, two_sided=False, dtype=torch.float64, **changes):
        torch.manual_seed(order)
        shape = {"d_model": 20, "l_max": 1100, "order": order, "two_sided": two_sided} | changes
        return HyenaOperator(**shape).to(dtype).eval()

    return build


@pytest.mark.parametrize(("order", "two_sided"), KINDS)
def test_both_ways_agree_at_a_length_of_several_stretches(build, order, two_sided):
    operator, hidden = build(order, two_sided), torch.randn(2, 1040, 20, dtype=torch.float64)
    with torch.no_grad():
        plain, fast = operator.spelt_out(hidden), mix(operator, hidden)
    assert plain.abs().max() > 0.1
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-10)


@pytest.mark.parametrize("stretch", [1, 2, 7, 64])
@pytest.mark.parametrize(("order", "two_sided"), KINDS)
def test_the_size_of_stretches_and_groups_does_not_matter(build, monkeypatch, order, two_sided, stretch):
    """Short convolutions reach over the edges of a stretch, by more than a stretch if it is short."""
    monkeypatch.setattr(fast_mixing, "STRETCH", stretch)
    monkeypatch.setattr(fast_mixing, "LONG_SIGNAL", 1)
    monkeypatch.setattr(fast_mixing, "TRANSFORMS", 3)
    monkeypatch.setattr(block_convolution, "WHOLE", 1)
    operator, hidden = build(order, two_sided, short_kernel=5), torch.randn(1, 30, 20, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(operator(hidden), operator.spelt_out(hidden), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("order", "two_sided"), KINDS)
def test_padding_is_as_silent_as_in_the_plain_way(build, order, two_sided):
    operator, hidden = build(order, two_sided), torch.randn(2, 50, 20, dtype=torch.float64)
    mask = torch.ones(2, 50, dtype=torch.bool)
    mask[0, :9], mask[1, 33:] = False, False
    with torch.no_grad():
        fast = operator(hidden, mask)
        torch.testing.assert_close(fast, operator.spelt_out(hidden, mask), rtol=0, atol=1e-12)
        torch.testing.assert_close(fast[:1, 9:], operator(hidden[:1, 9:]), rtol=0, atol=1e-12)


def test_filters_are_drawn_once(build, monkeypatch):
    operator, drawn = build(), []
    taps = HyenaOperator.taps
    monkeypatch.setattr(HyenaOperator, "taps", lambda self, length: [drawn.append(length), taps(self, length)][1])
    with torch.no_grad():
        for length in (40, 40, 30, 30, 40):
            operator(torch.randn(1, length, 20, dtype=torch.float64))
    assert drawn == [40, 30, 40], "one length is remembered"


def by_step(operator):
    operator(torch.ones(1, 9, 20, dtype=torch.float64)).sum().backward()
    torch.optim.SGD(operator.parameters(), lr=1e-3).step()


def by_loading(operator):
    operator.load_state_dict({name: value + 0.1 for name, value in operator.state_dict().items()})


def by_data(operator):
    operator.filter_fn.linears[1].weight.data.mul_(1.5)  # torch's own counter does not see this


def by_shift(operator):
    operator.filter_fn.shift = 0.5


def by_table(operator):
    operator.filter_fn.pos_emb.z += 0.1


@pytest.mark.parametrize("change", [by_step, by_loading, by_data, by_shift, by_table])
def test_spectra_of_old_weights_are_never_used(build, change):
    operator, hidden = build(tables=True), torch.randn(1, 30, 20, dtype=torch.float64)
    with torch.no_grad():
        before = operator(hidden)
    change(operator)
    with torch.no_grad():
        after, plain = operator(hidden), operator.spelt_out(hidden)
    assert not torch.allclose(before, after, atol=1e-6)
    torch.testing.assert_close(after, plain, rtol=0, atol=1e-12)


def test_long_spectra_are_not_kept_and_copies_keep_their_own(build, monkeypatch):
    operator, hidden = build(), torch.randn(1, 30, 20, dtype=torch.float64)
    with torch.no_grad():
        expected = operator(hidden)
        other = copy.deepcopy(operator)
        assert operator.spectra.kept[1]
        assert not other.spectra.kept[1]
        monkeypatch.setattr(fast_mixing, "REMEMBERED", 0)
        assert torch.equal(other(hidden), expected)
    assert not other.spectra.kept[1]


@pytest.mark.parametrize(("order", "two_sided"), KINDS)
def test_long_spectra_are_drawn_in_blocks(build, monkeypatch, order, two_sided):
    monkeypatch.setattr(fast_mixing, "REMEMBERED", 0)
    monkeypatch.setattr(fast_mixing, "LONG_SIGNAL", 1)  # many groups
    monkeypatch.setattr(fast_mixing, "TRANSFORMS", 4)
    monkeypatch.setattr(block_convolution, "WHOLE", 1)
    operator, hidden = build(order, two_sided), torch.randn(2, 1040, 20, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(operator(hidden), operator.spelt_out(hidden), rtol=0, atol=1e-10)
    assert not operator.spectra.kept[1]


def test_an_interrupt_between_two_groups_is_mended_by_the_next_call(build, monkeypatch):
    operator, hidden = build(), torch.randn(1, 30, 20, dtype=torch.float64)
    monkeypatch.setattr(fast_mixing, "LONG_SIGNAL", 1)  # many groups
    monkeypatch.setattr(fast_mixing, "TRANSFORMS", 4)

    def interrupted(*question):
        yield next(drawn_spectra(*question))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(fast_mixing, "drawn_spectra", interrupted)
        with pytest.raises(KeyboardInterrupt):
            operator(hidden)
    with torch.no_grad():
        torch.testing.assert_close(operator(hidden), operator.spelt_out(hidden), rtol=0, atol=1e-12)
    size = max(1, 4 // torch.get_num_threads())
    groups = [slice(start, start + size) for start in range(0, 20, size)]
    assert [channels for channels, _ in operator.spectra.kept[1]] == groups


def test_spectra_belong_to_a_device(build):
    filters = build().filter_fn
    here = fast_mixing.state_of(filters)
    assert filters.frequency.device in here
    assert fast_mixing.state_of(filters) == here


def test_the_plain_way_runs_where_gradients_or_modules_are_asked_for(build):
    operator, hidden, seen = build(), torch.randn(1, 30, 20, dtype=torch.float64), []
    operator.gates[0].register_forward_hook(lambda *_: seen.append(1))
    operator(hidden)
    with torch.no_grad(), explain(operator):
        operator(hidden)
    assert len(seen) == 2
    with torch.no_grad():
        operator(hidden)
    assert len(seen) == 2


def test_a_whole_model_agrees_and_stays_finite_in_half_precision(build_model):
    model = build_model(HyenaGLTForCausalLM, sequence_length=3000)
    ids = torch.randint(7, 11, (1, 2500))
    expected = model(ids).logits.detach()
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, expected, rtol=0, atol=2e-4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            halved = model(ids).logits[..., :12].float()
    assert halved.isfinite().all()
    assert (halved - expected[..., :12]).abs().mean() < 0.05 * expected[..., :12].std()
