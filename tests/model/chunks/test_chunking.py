"""Chunks by H-Net: parity with the public code, exactness by hand, gradients everywhere."""

import pytest
import torch

from genomic_lens.model.chunks.chunkers import RoutingChunker
from genomic_lens.model.chunks.chunking import Chunks, one_with_gradient, smoothed, to_bases, to_chunks, with_means
from genomic_lens.model.chunks.routing import Boundaries, Router, decide, first_tokens, ratio_loss, shares
from genomic_lens.model.chunks.smoothing import recurrence, smooth

RATIOS = {"2.0": 0.5, "3.3333333333333335": 0.3, "6.0": 1 / 6}


@pytest.fixture
def stage(oracle):
    """One stage of H-Net: states, mask, and a router with its weights."""
    state = {name: torch.from_numpy(value) for name, value in oracle("hnet_dc.npz").items()}
    router = Router(32)
    router.load_state_dict({"q_proj_layer.weight": state["Wq"], "k_proj_layer.weight": state["Wk"]})
    return state, router


def smoothed_to_bases(states, chunks):
    return to_bases(smoothed(states, chunks), chunks.index)


def test_routing_chunks_and_smoothing_equal_the_public_code(stage):
    state, router = stage
    found = router(state["x"], state["mask"])
    torch.testing.assert_close(found.probability, state["p"], rtol=0, atol=2e-6)
    assert torch.equal(found.start, state["b"])
    torch.testing.assert_close(found.confidence, state["sel"][..., 0], rtol=0, atol=2e-6)
    chunks = to_chunks(state["x"], found)
    torch.testing.assert_close(chunks.states, state["chunk"], rtol=0, atol=0)
    assert torch.equal(chunks.mask, state["chunk_mask"])
    spread = smoothed_to_bases(state["z"], chunks)
    torch.testing.assert_close(spread[state["mask"]], state["dechunk"][state["mask"]], rtol=0, atol=2e-6)
    torch.testing.assert_close(spread[state["mask"]], state["dechunk_packed"], rtol=0, atol=2e-6)


def test_ratio_losses_equal_the_public_code_padded_and_packed(stage):
    state, router = stage
    found = router(state["x"], state["mask"])
    for name, target in RATIOS.items():
        over_all = ratio_loss(found, target)
        torch.testing.assert_close(over_all, state[f"ratio_N{name}"].reshape(()), rtol=0, atol=2e-6)
        packed = ratio_loss(found, target, state["mask"])
        torch.testing.assert_close(packed, state[f"packed_ratio_N{name}"].reshape(()), rtol=0, atol=2e-6)


def test_gradients_equal_the_public_code(stage):
    state, router = stage
    states = state["x"].clone().requires_grad_()
    found = router(states, state["mask"])
    chunks = to_chunks(states, found)
    spread = smoothed_to_bases(1.5 * chunks.states + 0.1, chunks)
    loss = spread[state["mask"]].square().sum() + sum(ratio_loss(found, target) for target in RATIOS.values())
    loss.backward()
    pairs = (states.grad, "gx"), (router.q_proj_layer.weight.grad, "gWq"), (router.k_proj_layer.weight.grad, "gWk")
    for grad, name in pairs:
        assert (grad - state[name]).abs().max() <= 2e-6 * state[name].abs().max(), name


# --- a memory that fades ----------------------------------------------------------------------------------------------


def by_loop(inputs, log_keep):
    state, states = torch.zeros_like(inputs[:, 0]), []
    for value, keep in zip(inputs.unbind(1), log_keep.exp().unbind(1), strict=True):
        state = keep[:, None] * state + value
        states.append(state)
    return torch.stack(states, 1)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 1000, 1100])
def test_blocks_give_what_the_loop_gives(length):
    torch.manual_seed(length)
    inputs, log_keep = torch.randn(2, length, 3, dtype=torch.float64), -3 * torch.rand(2, length, dtype=torch.float64)
    inputs.requires_grad_(), log_keep.requires_grad_()
    expected, found = by_loop(inputs, log_keep), recurrence(inputs, log_keep)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weigh = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad((out * weigh).sum(), (inputs, log_keep)) for out in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_single_precision_does_not_suffer_from_sudden_forgetting():
    """Differences of running sums would lose digits after a stretch of sure boundaries."""
    torch.manual_seed(0)
    weights = torch.rand(1, 500) * 0.1
    weights[:, 40:60] = 1
    values = torch.randn(1, 500, 4)
    exact = smooth(values.double(), weights.double()).float()
    torch.testing.assert_close(smooth(values, weights), exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_gradients_are_finite_where_a_boundary_is_certain(certain):
    values, weights = torch.randn(1, 100, 2, requires_grad=True), torch.full((1, 100), certain, requires_grad=True)
    smooth(values, weights).square().sum().backward()
    assert values.grad.isfinite().all()
    assert weights.grad.isfinite().all()


# --- rows alone and together ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_row_alone_is_the_row_in_a_batch(side):
    torch.manual_seed(0)
    router, rows = Router(8), [torch.randn(1, length, 8) for length in (23, 9)]
    torch.nn.init.normal_(router.q_proj_layer.weight)
    batch, mask = torch.randn(2, 23, 8), torch.zeros(2, 23, dtype=torch.bool)
    where = [slice(23 - row.shape[1], None) if side == "left" else slice(row.shape[1]) for row in rows]
    for number, (row, place) in enumerate(zip(rows, where, strict=True)):
        batch[number, place], mask[number, place] = row[0], True

    def there_and_back(hidden, mask):
        found = router(hidden, mask)
        chunks = to_chunks(hidden, found, mask)
        return smoothed_to_bases(chunks.states.tanh(), chunks), found

    together, boundaries = there_and_back(batch, mask)
    assert (boundaries.start & ~mask).sum() == 0
    for number, (row, place) in enumerate(zip(rows, where, strict=True)):
        alone, own = there_and_back(row, None)
        torch.testing.assert_close(together[number, place], alone[0], rtol=0, atol=1e-6)
        assert torch.equal(boundaries.start[number, place], own.start[0])
        row_of = Boundaries(*(part[number : number + 1] for part in boundaries))
        torch.testing.assert_close(shares(row_of, mask[number : number + 1]), shares(own))


def test_a_symmetric_router_reads_the_same_from_the_other_end():
    torch.manual_seed(0)
    hidden = torch.randn(1, 30, 8)
    for symmetric in (True, False):
        router = Router(8, symmetric)
        torch.nn.init.normal_(router.q_proj_layer.weight)
        edges, turned = router(hidden).probability[0, 1:], router(hidden.flip(1)).probability[0, 1:].flip(0)
        assert ((edges - turned).abs().max() < 1e-6) == symmetric


def test_symmetric_smoothing_reads_the_same_from_the_other_end():
    torch.manual_seed(0)
    hidden, router = torch.randn(1, 30, 8), Router(8, symmetric=True)
    answers = []
    for states in (hidden, hidden.flip(1)):
        chunks = with_means(to_chunks(states, router(states)), states)
        answers.append(to_bases(smoothed(chunks.states, chunks, symmetric=True), chunks.index))
    assert 4 < chunks.mask.sum() < 26
    torch.testing.assert_close(answers[0], answers[1].flip(1), rtol=0, atol=1e-6)


def test_the_map_between_bases_and_chunks_is_exact():
    chances = torch.tensor([[1.0, 0, 1, 1, 0], [0, 1, 0, 0, 0]])
    hidden = torch.arange(10.0).view(2, 5, 1)
    chunks = to_chunks(hidden, decide(chances))
    assert isinstance(chunks, Chunks)
    assert with_means(chunks, hidden).states[..., 0].tolist() == [[0.5, 2, 3.5], [7.5, 0, 0]]
    assert chunks.index.tolist() == [[0, 0, 1, 2, 2], [-1, 0, 0, 0, 0]]
    assert chunks.mask.tolist() == [[True, True, True], [True, False, False]]
    assert to_bases(chunks.states, chunks.index)[..., 0].tolist() == [[0, 0, 2, 3, 3], [0, 6, 6, 6, 6]]


def test_one_half_is_no_boundary_and_zero_states_have_none():
    assert decide(torch.tensor([[1.0, 0.5, 0.51]])).start.tolist() == [[True, False, True]]
    assert Router(4)(torch.zeros(1, 5, 4)).start.tolist() == [[True, False, False, False, False]]
    assert first_tokens(torch.tensor([[False, True, True], [True, True, False]])).tolist() == [
        [False, True, False],
        [True, False, False],
    ]


def test_a_decision_passes_the_gradient_of_its_confidence():
    confidence = torch.tensor([0.6, 0.9], requires_grad=True)
    out = one_with_gradient(confidence)
    assert out.tolist() == [1, 1]
    (out * torch.tensor([2.0, 3.0])).sum().backward()
    assert confidence.grad.tolist() == [2, 3]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_probabilities_and_gradients_finite(dtype):
    values, weights = (
        torch.randn(1, 9, 2, dtype=dtype, requires_grad=True),
        torch.ones(1, 9, dtype=dtype, requires_grad=True),
    )
    smooth(values, weights).float().square().sum().backward()
    assert values.grad.isfinite().all()
    assert weights.grad.isfinite().all()
    assert Router(4).to(dtype)(torch.zeros(1, 5, 4, dtype=dtype)).probability.isfinite().all()
    many = decide(torch.full((4, 100_000), 0.9, dtype=dtype))
    assert ratio_loss(many, 0.5).item() == pytest.approx(1.8, abs=0.01)


def test_autocast_keeps_the_gradient_of_a_sure_boundary_finite():
    chunker, hidden = RoutingChunker(4), torch.randn(1, 1, 4) * torch.tensor([1.0, -1, 1, -1, 1])[None, :, None]
    with torch.autocast("cpu", torch.bfloat16):
        chunks = chunker.down(hidden)
        chunker.up(chunks.states, chunks, hidden).float().square().sum().backward()
    assert chunker.routing_module.q_proj_layer.weight.grad.isfinite().all()
