"""StripedHyena: parity with published code, one position at a time, invariances, reload."""

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model.convolution.modal_filters import half_lives
from genomic_lens.model.inference.decoding import empty_memory, extend
from genomic_lens.model.mixing.tracing import mixers, trace
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.striped_hyena import (
    StripedHyenaConfig,
    StripedHyenaForCausalLM,
    StripedHyenaForRegression,
    StripedHyenaForSequenceClassification,
    StripedHyenaForTokenClassification,
    StripedHyenaModel,
    StripedHyenaOperator,
    StrippedHyenaOperator,
    canonical_striped,
)

SMALL = {"vocab_size": 12, "d_model": 16, "num_heads": 4, "sequence_length": 160, "initializer_range": 0.3}
KINDS = (
    StripedHyenaModel, StripedHyenaForCausalLM, StripedHyenaForSequenceClassification, StripedHyenaForRegression,
    StripedHyenaForTokenClassification,
)  # fmt: skip
LAYOUTS = ("se-mr-li-attention", "modal-attention-hyena")


@pytest.fixture
def build():
    def build(kind=StripedHyenaForCausalLM, layout=LAYOUTS[0], **changes):
        torch.manual_seed(0)
        return kind(StripedHyenaConfig(**SMALL | {"layout": layout} | changes)).double().eval()

    return build


@pytest.fixture
def ids():
    return torch.randint(7, 11, (2, 150), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def published(oracle, tmp_path):
    """The oracle's weights as a file of the published layout."""
    state = oracle("striped_hyena2_tiny.npz")
    weights = {
        name.removeprefix("sd."): torch.from_numpy(value) for name, value in state.items() if name.startswith("sd.")
    }
    torch.save(weights, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def test_published_weights_give_the_published_numbers(oracle, published):
    state, model = oracle("striped_hyena2_tiny.npz"), StripedHyenaForCausalLM.from_pretrained(published)
    assert model.config.layout == "se-mr-li-attention"
    assert (model.config.num_heads, model.config.filter_groups, model.config.filter_modes) == (4, 8, 16)
    assert (model.config.short_taps, model.config.medium_taps, model.config.rotary_base) == (
        7,
        128,
        pytest.approx(1e4, rel=1e-4),
    )
    with torch.no_grad():
        logits = model(torch.from_numpy(state["x"])).logits.numpy()
    np.testing.assert_allclose(logits, state["y"], rtol=0, atol=2e-4)


def test_one_token_at_a_time_gives_the_published_numbers(oracle, published):
    state, model = oracle("striped_hyena2_tiny.npz"), StripedHyenaForCausalLM.from_pretrained(published)
    ids, past, parts = torch.from_numpy(state["x"]), empty_memory(model, 1, 200), []
    for part in ids.split([140] + [1] * 60, dim=1):
        scores, past = extend(model, part, past)
        parts.append(scores)
    np.testing.assert_allclose(torch.cat(parts, 1).numpy(), state["y"], rtol=0, atol=2e-4)


def test_a_gelu_in_every_layer_is_another_model(oracle, published):
    """Published files do not say that only the first layer has one."""
    state, model = (
        oracle("striped_hyena2_tiny.npz"),
        StripedHyenaForCausalLM.from_pretrained(published, bent_layers=None),
    )
    with torch.no_grad():
        assert np.abs(model(torch.from_numpy(state["x"])).logits.numpy() - state["y"]).max() > 1


def test_heads_that_no_weight_tells_are_asked_for(oracle, tmp_path):
    state = oracle("striped_hyena2_tiny.npz")
    named = {name[3:]: torch.from_numpy(value) for name, value in state.items() if name.startswith("sd.")}
    torch.save({name: value for name, value in named.items() if "inv_freq" not in name}, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="pass num_heads= and rotary_base="):
        StripedHyenaForCausalLM.from_pretrained(tmp_path / "weights.pt")
    told = {"num_heads": 4, "rotary_base": 1e4, "dtype": "float32"}
    model = StripedHyenaForCausalLM.from_pretrained(tmp_path / "weights.pt", **told)
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.from_numpy(state["x"])).logits, state["y"], rtol=0, atol=2e-4)


def test_weights_of_other_layouts_are_refused():
    with pytest.raises(ModelError, match=r"blocks.0.attention.weight is no weight of a StripedHyena 2"):
        canonical_striped({"blocks.0.attention.weight": torch.zeros(1)})
    with pytest.raises(ModelError, match="expected all below 0"):
        canonical_striped({"blocks.2.filter.log_poles": torch.ones(2, 3, 1)})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cuts", [[150], [149, 1], [1] * 150, [60, 1, 1, 88]])
def test_scores_are_those_of_the_whole_however_the_sequence_is_cut(build, ids, layout, cuts):
    model, parts = build(layout=layout), []
    past = empty_memory(model, 2, 150)
    for part in ids.split(cuts, dim=1):
        scores, past = extend(model, part, past)
        parts.append(scores)
    with torch.no_grad():
        whole = model(ids).logits
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-9)


def test_memory_of_fading_filters_does_not_grow(build, ids):
    model = build(layout="se-mr-li")
    sizes = []
    for length in (10, 150):
        _, past = extend(model, ids[:, :length], empty_memory(model, 2, 150))
        sizes.append([filters.recent.numel() for layer in past.layers[:2] for filters in layer.filters])
        sizes[-1] += [past.layers[2].filters[0].state.numel()]
    assert sizes[0] == sizes[1] == [2 * 6 * 16, 2 * 127 * 16, 2 * 16 * 16]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_sequence_alone_is_the_sequence_in_a_batch(build, ids, layout, two_sided, side):
    model = build(StripedHyenaForTokenClassification, layout, two_sided=two_sided, num_classes=3)
    short = ids[:1, :90]
    padded, place = torch.full((2, 150), 4), slice(60, None) if side == "left" else slice(90)
    padded[0, place], padded[1] = short[0], ids[1]
    with torch.no_grad():
        together, alone = model(padded).logits[0, place], model(short).logits[0]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layer_rebuilds_its_output(build, ids, layout):
    model = build(StripedHyenaForTokenClassification, layout, num_classes=3)
    seen = trace(model, ids)
    assert len(seen.layers) == len(mixers(model)) == 4
    for layer in seen.layers:
        operator, inputs = seen.operator(layer, 1), seen.entered(layer, 1)
        torch.testing.assert_close(operator.matvec(inputs) + operator.offset, seen.mixed(layer, 1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_parameter_learns_from_the_task(build, ids, layout):
    model = build(StripedHyenaForTokenClassification, layout, num_classes=3).train()
    model(ids, labels=torch.randint(3, ids.shape)).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_bit_identical_after_reload(build, ids, kind, tmp_path):
    model = build(kind, num_classes=3).float()
    model.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert fingerprint(loaded) == fingerprint(model)
    with torch.no_grad():
        assert torch.equal(loaded(ids)[0], model(ids)[0])


def test_filters_stay_in_single_precision_where_the_rest_is_half(build, ids, tmp_path):
    build().float().save_pretrained(tmp_path)
    model = StripedHyenaForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert model.backbone.layers[2].mixer.filter_fn.log_rates.dtype == torch.float32
    assert model.backbone.layers[2].mixer.in_proj.weight.dtype == torch.bfloat16
    with torch.no_grad():
        assert model(ids).logits[..., :12].isfinite().all()


def test_half_lives_of_a_new_model_span_from_a_base_to_its_reach():
    torch.manual_seed(0)
    model = StripedHyenaModel(StripedHyenaConfig(**SMALL | {"d_model": 64, "layout": "li", "sequence_length": 10_000}))
    found = half_lives(model.backbone.layers[0].mixer.filter_fn)
    assert 1 <= found.min() < 2
    assert 5_000 < found.max() <= 10_000


def test_the_pair_of_the_reference_mixes_and_keeps_causality():
    assert StrippedHyenaOperator is StripedHyenaOperator
    torch.manual_seed(0)
    pair, hidden = StripedHyenaOperator(d_model=16, l_max=32, order=2, num_heads=4).eval(), torch.randn(1, 20, 16)
    changed = hidden.clone()
    changed[:, 12] = torch.randn(16)
    with torch.no_grad():
        moved = (pair(changed) - pair(hidden)).abs().amax(dim=(0, 2))
    assert moved[:12].max() < 1e-5
    assert (moved[12:] > 1e-5).all()
    assert len(mixers(pair)) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"layout": "se-xx"}, "layout has 'xx'"),
        ({"num_heads": 3}, "heads of one, even width"),
        ({"filter_groups": 5}, "groups"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(wrong, says):
    with pytest.raises(ConfigurationError, match=says):
        StripedHyenaConfig(**SMALL | wrong)
