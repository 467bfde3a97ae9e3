"""Models that cut chunks: parity with H-Net's wiring, invariances, gradients, and what they report for each base."""

import numpy as np
import pytest
import torch
from torch import nn

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model.chunks.chunkers import DynamicMergingLayer, RoutingChunker, fit_patches
from genomic_lens.model.chunks.chunking import smoothed, to_bases
from genomic_lens.model.chunks.dynamic_layer import HyenaDynamicLayer
from genomic_lens.model.chunks.patches import patch_starts
from genomic_lens.model.chunks.routing import Boundaries, frozen_routing
from genomic_lens.model.chunks.stages import Stage
from genomic_lens.model.hyena_glt import HyenaGLTForRegression, HyenaGLTForSequenceClassification, HyenaGLTModel
from genomic_lens.model.inference.decoding import extend
from genomic_lens.model.mixing.tracing import mixers, trace
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.token_models import HyenaGLTForCausalLM, HyenaGLTForTokenClassification

SHAPE = {
    "vocab_size": 12,
    "d_model": 16,
    "sequence_length": 96,
    "num_classes": 3,
    "initializer_range": 0.3,
    "num_heads": 4,
}
WAYS = {
    "routing": {"chunking": "routing", "n_layers": 3},
    "two stages": {"chunking": "routing", "n_layers": 5, "target_ratios": (0.3, 0.5), "stage_widths": (16, 24)},
    "merging": {"use_dynamic_merging": True, "n_layers": 3, "merge_threshold": 0.6},
    "patches": {"chunking": "patches", "n_layers": 3, "patch_order": 2, "patch_threshold": 1.3, "longest_patch": 8},
}
KINDS = (
    HyenaGLTModel, HyenaGLTForSequenceClassification, HyenaGLTForRegression, HyenaGLTForTokenClassification,
    HyenaGLTForCausalLM,
)  # fmt: skip


def bend(model):
    """Weights whose routers and tables say something of their own."""
    for name, parameter in model.named_parameters():
        if "proj_layer" in name or "residual_proj" in name:
            nn.init.normal_(parameter, std=0.5)
    for module in model.modules():
        if hasattr(module, "counts"):
            module.counts.copy_(torch.randint(1, 60, module.counts.shape).to(module.counts.dtype))
    return model


def small_model(kind, shape, **changes):
    """A seeded model in double precision, whose routers and tables say something of their own."""
    torch.manual_seed(1)
    return bend(kind(HyenaGLTConfig(**SHAPE | shape | changes))).double().eval()


@pytest.fixture
def build():
    def build(way="routing", kind=HyenaGLTForTokenClassification, **changes):
        return small_model(kind, WAYS[way], **changes)

    return build


@pytest.fixture
def ids():
    return torch.randint(7, 11, (3, 90), generator=torch.Generator().manual_seed(0))


# --- the public wiring ------------------------------------------------------------------------------------------------


class Stub(nn.Module):
    """The stand-in of the oracle for encoders, networks and decoders."""

    def __init__(self, width):
        super().__init__()
        self.lin = nn.Linear(width, width)

    def forward(self, hidden, mask):
        return hidden + (self.lin(hidden) + 0.5 * nn.functional.pad(hidden[:, :-1], (0, 0, 1, 0))).tanh()


def named(key):
    """Our name of a weight of the public code."""
    for level in ("", "inner."):
        theirs = "main_network." * (level != "")
        if key.startswith(f"{theirs}routing_module") or key.startswith(f"{theirs}residual_proj"):
            return f"{level}chunker.{key.removeprefix(theirs)}"
    inner = key.replace("main_network.main_network.pad_dimension", "inner.pad_dimension")
    return inner.replace("main_network.main_network.main_network", "inner.inner").replace("main_network", "inner")


def test_two_nested_stages_equal_the_public_code(oracle):
    state = {name: torch.from_numpy(value) for name, value in oracle("hnet_wiring.npz").items()}
    inner = Stage(Stub(16), RoutingChunker(16), Stub(24), Stub(16), widen=8)
    model = Stage(Stub(16), RoutingChunker(16), inner, Stub(16))
    model.load_state_dict({named(key[3:]): value for key, value in state.items() if key.startswith("sd/")})
    hidden, mask = state["x"].clone().requires_grad_(), state["mask"]
    out, levels = model(hidden, mask)
    torch.testing.assert_close(out[mask], state["out"][mask], rtol=0, atol=5e-6)
    for number, level in enumerate(levels):
        real = mask if level.mask is None else level.mask
        torch.testing.assert_close(
            level.chunks.boundaries.probability[real], state[f"p{number}"][real], rtol=0, atol=5e-6
        )
        assert torch.equal(level.chunks.boundaries.start[real], state[f"b{number}"][real])
    out[mask].square().sum().backward()
    largest = max(value.abs().max() for key, value in state.items() if key.startswith("grad/"))
    assert (hidden.grad - state["gx"]).abs().max() <= 1e-6 * state["gx"].abs().max()
    own = dict(model.named_parameters())
    for key, value in state.items():
        if key.startswith("grad/"):
            assert (own[named(key[5:])].grad - value).abs().max() <= 1e-6 * largest, key


# --- invariances ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_sequence_alone_is_the_sequence_in_a_batch(build, ids, way, two_sided, side):
    model = build(way, two_sided=two_sided)
    lengths, padded = (90, 41, 7), torch.full((3, 90), 4)
    for row, length in enumerate(lengths):
        padded[row, slice(90 - length, None) if side == "left" else slice(length)] = ids[row, :length]
    with torch.no_grad():
        together = model(padded)
        for row, length in enumerate(lengths):
            place, alone = (
                slice(90 - length, None) if side == "left" else slice(length),
                model(ids[row : row + 1, :length]),
            )
            torch.testing.assert_close(together.logits[row, place], alone.logits[0], rtol=0, atol=1e-9)
            for whole, own in zip(together.routing, alone.routing, strict=True):
                for part, expected in zip(whole, own, strict=True):
                    torch.testing.assert_close(part[row, place], expected[0], rtol=0, atol=1e-9)
                assert not whole.start[row].index_fill(0, torch.arange(90)[place], False).any()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_two_sided_does_not_see_what_comes_next(build, ids, way):
    """Merging takes means over its chunks and is the exception; language models refuse it."""
    if way == "merging":
        with pytest.raises(ModelError, match="Merged tokens are means"):
            build(way, kind=HyenaGLTForCausalLM)
        return
    model, changed = build(way, kind=HyenaGLTForCausalLM), ids.clone()
    changed[:, 60] = (changed[:, 60] - 6) % 4 + 7
    with torch.no_grad():
        moved = (model(changed).logits - model(ids).logits)[..., :12].abs().amax(dim=(0, 2))
    assert moved[:60].max() < 1e-9
    assert moved[60:].max() > 1e-3


@pytest.mark.parametrize("way", ["routing", "two stages", "merging"])
def test_chunks_of_a_two_sided_model_are_the_same_from_the_other_end(way):
    """Edges are compared both ways; the rest of such a model is symmetric only if its layers are."""
    torch.manual_seed(0)
    hidden = torch.randn(1, 80, 8, dtype=torch.float64)
    chunker = DynamicMergingLayer(8, threshold=0.6) if way == "merging" else RoutingChunker(8, symmetric=True)
    bend(chunker.double())
    answers = []
    for states in (hidden, hidden.flip(1)):
        chunks = chunker.down(states)
        answers.append((chunks, chunker.up(chunks.states.tanh(), chunks, states)))
    (one, forward), (other, backward) = answers
    assert 10 < one.mask.sum() < 70
    torch.testing.assert_close(one.states, other.states.flip(1), rtol=0, atol=1e-10)
    torch.testing.assert_close(forward, backward.flip(1), rtol=0, atol=1e-10)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_bit_identical_after_reload(build, ids, way, kind, tmp_path):
    if (way, kind) == ("merging", HyenaGLTForCausalLM):
        pytest.skip("language models refuse merging")
    model = build(way, kind).float()
    model.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert fingerprint(loaded) == fingerprint(model)
    with torch.no_grad():
        assert torch.equal(loaded(ids)[0], model(ids)[0])


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("two_sided", [False, True])
def test_every_parameter_learns_from_the_task_alone(build, ids, way, two_sided):
    model = build(way, two_sided=two_sided, ratio_loss_weight=0.0).train()
    model(ids, labels=torch.randint(3, ids.shape)).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_ratio_counts_in_training_and_not_in_evaluation(build, ids):
    labels = torch.randint(3, ids.shape)
    losses = {
        weight: build(ratio_loss_weight=weight, dropout=0.0).train()(ids, labels=labels).loss for weight in (0.0, 1.0)
    }
    assert losses[1.0] > losses[0.0] + 0.5
    evaluated = [build(ratio_loss_weight=weight)(ids, labels=labels).loss for weight in (0.0, 1.0)]
    assert evaluated[0] == evaluated[1]


def test_a_model_reaches_its_targets():
    """On random bases, by the ratio loss alone."""
    torch.manual_seed(0)
    config = HyenaGLTConfig(**SHAPE | WAYS["two stages"] | {"dropout": 0.0, "ratio_loss_weight": 1.0})
    model, ids = HyenaGLTForCausalLM(config).train(), torch.randint(7, 11, (8, 96))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        model.backbone(ids).routing_loss.backward()
        optimiser.step()
    routing = model.eval()(ids).routing
    first = routing[0].start.float().mean()
    second = routing[1].start.sum() / routing[0].start.sum()
    assert first == pytest.approx(0.3, rel=0.1)
    assert second == pytest.approx(0.5, rel=0.1)


# --- what is reported -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_every_output_tells_the_chunks_of_each_base(build, ids, way):
    with torch.no_grad():
        routing = build(way)(ids).routing
    assert len(routing) == (2 if way == "two stages" else 1)
    for stage in routing:
        assert {part.shape for part in stage} == {ids.shape}
        assert torch.equal(stage.index, stage.start.cumsum(1) - 1)
        assert stage.start[:, 0].all()
        assert 0.05 < stage.start.float().mean() < 0.95
        assert (stage.probability >= 0).all()
        assert (stage.probability <= 1).all()
    if way == "two stages":
        assert not (routing[1].start & ~routing[0].start).any(), "a chunk of chunks begins where a chunk begins"


@pytest.mark.parametrize("way", ["routing", "two stages", "merging"])
@pytest.mark.parametrize("two_sided", [False, True])
def test_special_tokens_and_n_share_no_chunk_with_bases(build, ids, way, two_sided):
    model, mixed = build(way, two_sided=two_sided), ids.clone()
    mixed[:, 30:50], mixed[:, -1] = 11, 1
    with torch.no_grad():
        free, apart = model(ids).routing[0], model(mixed).routing[0]
    assert not free.start[:, [30, 50, 89]].all(), "by chance they all begin a chunk anyway"
    assert apart.start[:, [30, 50, 89]].all()
    assert (apart.probability[:, [30, 50, 89]] == 1).all()
    kinds = torch.isin(mixed, torch.tensor([1, 11]))
    for index, kind in zip(apart.index, kinds, strict=True):
        assert not set(index[kind].tolist()) & set(index[~kind].tolist())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("two_sided", [False, True])
def test_layers_on_chunks_are_seen_from_the_bases(build, ids, way, two_sided):
    model = build(way, two_sided=two_sided)
    seen = trace(model, ids)
    depths = [mixer.depth for mixer in mixers(model)]
    assert depths == ([0, 1, 2, 1, 0] if way == "two stages" else [0, 1, 0])
    for layer in seen.layers:
        operator, inputs = seen.operator(layer, 1), seen.entered(layer, 1)
        assert operator.length == 90
        torch.testing.assert_close(operator.matvec(inputs) + operator.offset, seen.mixed(layer, 1), rtol=0, atol=1e-9)
        left, right = torch.randn_like(inputs), torch.randn_like(inputs)
        torch.testing.assert_close((operator.matvec(right) * left).sum(), (operator.rmatvec(left) * right).sum())
        everything = slice(0, 90)
        dense = operator.blocks(everything, everything)
        torch.testing.assert_close(torch.einsum("rcij,cj->ri", dense, right), operator.matvec(right))
        assert (dense.flatten(2).norm(dim=-1).triu(1).max().item() < 1e-12) == operator.causal
        rows, columns = torch.tensor([3, 50, 89]), torch.tensor([0, 7, 44])
        cells = operator.cells(rows, columns, "full")
        blocks = operator.blocks(slice(0, 90), slice(0, 90), "full")[rows][:, columns]
        torch.testing.assert_close(cells.double(), blocks.flatten(2).norm(dim=-1), rtol=1e-4, atol=1e-6)
        window = operator.norms(slice(2, 60), slice(5, 45), "full")
        torch.testing.assert_close(
            window[1, 2],
            operator.cells(torch.tensor([3]), torch.tensor([7]), "full")[0, 0].double(),
            rtol=1e-4,
            atol=1e-6,
        )


@pytest.mark.parametrize("two_sided", [False, True])
def test_smoothing_is_an_operator_too(build, ids, two_sided):
    model = build("two stages", two_sided=two_sided)
    smoothed_by_model = []
    up = RoutingChunker.up

    def spy(chunker, states, chunks, hidden):
        smoothed_by_model.append((states, to_bases(smoothed(states, chunks, two_sided), chunks.index)))
        return up(chunker, states, chunks, hidden)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RoutingChunker, "up", spy)
        outermost = trace(model, ids)
    states, spread = smoothed_by_model[-1]
    operator = outermost.smoothing(0, 1)
    by_operator = operator.unmerge(operator.inner.matvec(states[1, : operator.inner.length]))
    torch.testing.assert_close(by_operator, spread[1], rtol=0, atol=1e-9)
    torch.testing.assert_close(
        operator.inner.norms(slice(0, 5), slice(0, 5)), operator.inner.coefficients(slice(0, 5), slice(0, 5)).abs()
    )
    seen, chunkers = trace(model, ids), [module for module in model.modules() if isinstance(module, RoutingChunker)]
    assert len(chunkers) == 2
    for stage in range(2):
        operator = seen.smoothing(stage, 1)
        signal = torch.randn(operator.inner.length, 1, dtype=torch.float64)
        dense = operator.inner.coefficients(slice(None), slice(None))
        torch.testing.assert_close(operator.inner.matvec(signal), dense @ signal, rtol=0, atol=1e-10)
        torch.testing.assert_close(operator.inner.rmatvec(signal), dense.T @ signal, rtol=0, atol=1e-10)
        torch.testing.assert_close(dense.sum(1), torch.ones(len(dense), dtype=torch.float64), rtol=0, atol=2e-4)
    with pytest.raises(ModelError, match="has 2 stages"):
        seen.smoothing(2)


@pytest.mark.parametrize("way", ["routing", "two stages", "patches"])
def test_language_models_on_chunks_generate_the_likeliest(build, ids, way):
    model, start = build(way, kind=HyenaGLTForCausalLM), ids[:2, :20]
    made = model.generate(start, max_new_tokens=5)
    with torch.no_grad():
        scores = model(made).logits[:, 19:-1, 7:11]
    assert torch.equal(made[:, 20:], scores.argmax(-1) + 7)
    with pytest.raises(ModelError, match="pass the whole sequence"):
        extend(model, start)


def test_hidden_attention_of_a_causal_router_is_on_the_bases_that_speak(build, ids):
    """Held boundaries: the gradient from what enters the chunks to what a layer on them returns says so, too."""
    model = build("routing", kind=HyenaGLTForCausalLM)
    seen, stage = trace(model, ids[:1]), model.backbone.stage
    start = seen.output["routing"][0].start[0]
    row = seen.operator(1).row(60)
    assert seen.operator(1).causal
    assert row[~start].abs().max() == 0
    states = torch.randn(1, 90, 16, dtype=torch.float64, requires_grad=True)
    with frozen_routing(model, input_ids=ids[:1]):
        chunks = stage.chunker.down(states)
    mixer = stage.inner.layers[0].mixer
    mixer(chunks.states)[0, int(chunks.index[0, 60])].sum().backward()
    reached = states.grad[0].abs().sum(-1)
    assert reached[~start].max() == 0
    assert reached[start & (torch.arange(90) <= 60)].min() > 0


# --- held still -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_frozen_routing_is_that_of_the_input_and_is_let_go(build, ids, way):
    model = build(way)
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        free = [model(ids[row : row + 1]) for row in range(2)]
        with frozen_routing(model, input_ids=ids[:1]):
            held = model(inputs_embeds=table[ids[:2]])
        after = model(ids[1:2])
    torch.testing.assert_close(held.logits[0], free[0].logits[0], rtol=0, atol=1e-9)
    for stage, own in zip(held.routing, free[0].routing, strict=True):
        assert torch.equal(stage.start[0], own.start[0])
        assert torch.equal(stage.start[1], own.start[0])
    assert not torch.allclose(held.logits[1], free[1].logits[0])
    assert torch.equal(after.logits, free[1].logits)
    assert all(module.frozen is None for module in model.modules() if hasattr(module, "frozen"))


def test_freezing_within_freezing_holds_the_inner_boundaries_and_then_the_outer_ones(build, ids):
    model = build("routing")
    router, own = model.backbone.stage.chunker.routing_module, []
    with torch.no_grad():
        own = [model(ids[row : row + 1]).routing[0].start for row in range(2)]
    with frozen_routing(model, input_ids=ids[:1]):
        with frozen_routing(model, input_ids=ids[1:2]):
            assert torch.equal(router.frozen.start, own[1])
        assert torch.equal(router.frozen.start, own[0])
        with pytest.raises(ModelError, match="boundaries are held for sequences of 90"):
            model(ids[:, :50])
    with pytest.raises(ModelError, match="expected the one whose boundaries"), frozen_routing(model, input_ids=ids[:2]):
        pass
    assert router.frozen is None


def test_the_trainer_collects_predictions_of_models_with_chunks(build, ids, tmp_path):
    from transformers import Trainer, TrainingArguments

    model = build("two stages", kind=HyenaGLTForSequenceClassification).float()
    rows = [{"input_ids": row, "labels": torch.tensor(number % 3)} for number, row in enumerate(ids)]
    trainer = Trainer(model, TrainingArguments(str(tmp_path), report_to="none", use_cpu=True))
    found = trainer.predict(rows)
    with torch.no_grad():
        np.testing.assert_allclose(found.predictions, model.eval()(ids).logits.numpy(), atol=1e-5)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"chunking": "sorting"}, "chunking is 'sorting'"),
        ({"chunking": "routing", "n_layers": 2}, "at least one more"),
        ({"chunking": "routing", "target_ratios": (0.3, 1.5)}, "target_ratios is"),
        ({"use_dynamic_merging": True, "chunking": "patches"}, "pass one of them"),
        ({"chunking": "routing", "stage_widths": (8,)}, "none narrower"),
    ],
)  # fmt: skip
def test_chunks_that_cannot_be_made_are_refused(wrong, says):
    with pytest.raises(ConfigurationError, match=says):
        HyenaGLTConfig(**SHAPE | {"n_layers": 5} | wrong)


def test_patches_are_fitted_to_a_wanted_length_and_stay_so_after_reload(build, tmp_path):
    ids = torch.randint(7, 11, (1, 5000), generator=torch.Generator().manual_seed(0))
    ids[:, 2000:3000] = torch.arange(1000) % 4 + 7
    model = build("patches", sequence_length=5000, longest_patch=64, patch_order=5).float()
    threshold = fit_patches(model, ids, mean_length=5)
    with torch.no_grad():
        start = model(ids).routing[0].start[0]
    assert 5000 / start.sum().item() == pytest.approx(5, rel=0.2), "equal entropies are taken together"
    assert start[2000:3000].float().mean() < 0.5 * start[:2000].float().mean()
    model.save_pretrained(tmp_path)
    loaded = HyenaGLTForTokenClassification.from_pretrained(tmp_path)
    assert loaded.config.patch_threshold == threshold
    with torch.no_grad():
        assert torch.equal(loaded(ids).routing[0].start[0], start)
    with pytest.raises(ModelError, match="cuts no patches"):
        fit_patches(build("routing"), ids, mean_length=5)


def test_patches_may_begin_where_guessing_gets_harder(build):
    ids = torch.randint(7, 11, (1, 3000), generator=torch.Generator().manual_seed(0))
    models = {mode: build("patches", sequence_length=3000, patch_order=4, patch_mode=mode).float()
              for mode in ("global", "monotonic")}  # fmt: skip
    for mode, model in models.items():
        threshold = fit_patches(model, ids, mean_length=5)
        router = next(module for module in model.modules() if type(module).__name__ == "PatchRouter")
        entropy = router.table.entropies(ids - 7)
        with torch.no_grad():
            start = model(ids).routing[0].start
        assert torch.equal(start, patch_starts(entropy, threshold, mode, longest=model.config.longest_patch))
        assert 3000 / start.sum().item() == pytest.approx(5, rel=0.2)
    assert models["global"].config.patch_threshold > models["monotonic"].config.patch_threshold


def test_the_layer_of_the_reference_gives_every_token_an_answer():
    torch.manual_seed(0)
    layer = HyenaDynamicLayer(d_model=8, l_max=64, merge_ratio=0.5, threshold=0.6).double().eval()
    hidden, mask = torch.randn(2, 40, 8, dtype=torch.float64), torch.ones(2, 40, dtype=torch.bool)
    mask[0, 25:] = False
    with torch.no_grad():
        together = layer(hidden, mask)
        assert layer.merging(hidden, mask).mask.sum(1).tolist() == [13, 20]
        torch.testing.assert_close(together[0, :25], layer(hidden[:1, :25])[0], rtol=0, atol=1e-10)
        layer.block.mixer.out_proj.weight.zero_(), layer.block.mixer.out_proj.bias.zero_()
        layer.block.mlp.fc2.weight.zero_(), layer.block.mlp.fc2.bias.zero_()
        torch.testing.assert_close(layer(hidden), hidden, rtol=0, atol=0)


def test_patches_ask_for_ids(build):
    with pytest.raises(ModelError, match="pass input_ids"):
        build("patches")(inputs_embeds=torch.zeros(1, 9, 16, dtype=torch.float64))


def test_merging_takes_the_most_alike_and_no_more_than_it_may():
    hidden = torch.eye(4)[torch.tensor([0, 0, 1, 1, 1, 2, 2, 3])][None]
    start = DynamicMergingLayer(4, merge_ratio=0.5, threshold=0.1)(hidden).boundaries.start[0]
    assert start.tolist() == [True, False, True, False, False, True, False, True]
    few = DynamicMergingLayer(4, merge_ratio=0.25, threshold=0.1)(hidden).boundaries.start[0]
    assert (~few).sum() == 2
    assert isinstance(DynamicMergingLayer(4)(hidden).boundaries, Boundaries)
    with pytest.raises(ConfigurationError, match="threshold is 2"):
        DynamicMergingLayer(4, threshold=2)
