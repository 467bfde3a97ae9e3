"""One pass, and every layer can be asked; padding is gone, and the model is as it was."""

import pytest
import torch

from genomic_lens.errors import ModelError
from genomic_lens.model.hyena_glt import HyenaGLTModel
from genomic_lens.model.mixing.tracing import mixers, trace

KINDS = [(2, False), (3, False), (2, True), (3, True)]
every_kind = pytest.mark.parametrize(("order", "two_sided"), KINDS)
IDS = torch.tensor([[9, 7, 10, 10, 7, 8, 11, 9, 10, 7]])
OTHER = torch.tensor([[7, 7, 8, 9, 10, 10, 9, 8, 7, 8, 9, 10, 7]])


def padded(side: str) -> torch.Tensor:
    """The longer sequence, and the shorter one padded to it."""
    width = (3, 0) if side == "left" else (0, 3)
    return torch.cat([OTHER, torch.nn.functional.pad(IDS, width, value=4)])


@every_kind
@pytest.mark.parametrize("side", ["left", "right"])
def test_operator_rebuilds_what_each_layer_did_in_a_padded_batch(build_model, order, two_sided, side):
    seen = trace(build_model(hyena_order=order, two_sided=two_sided), padded(side))
    for layer in (0, 1):
        for item, length in ((0, 13), (1, 10)):
            operator, entered, mixed = (ask(layer, item) for ask in (seen.operator, seen.entered, seen.mixed))
            assert operator.length == len(entered) == len(mixed) == length
            assert mixed.std() > 0.05
            tolerance = 1e-5 * max(1, mixed.abs().max().item())
            torch.testing.assert_close(operator.matvec(entered) + operator.offset, mixed, rtol=0, atol=tolerance)


@every_kind
@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_sequence_has_the_operator_that_it_has_alone(build_model, order, two_sided, side):
    model = build_model(hyena_order=order, two_sided=two_sided)
    alone, beside = trace(model, IDS), trace(model, padded(side))
    for layer in (0, 1):
        for path in ("value", "full"):
            expected, found = alone.operator(layer).window(path=path), beside.operator(layer, item=1).window(path=path)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(beside.entered(layer, 1), alone.entered(layer), rtol=0, atol=1e-5)


def test_mask_that_is_given_takes_the_place_of_the_one_from_the_ids(build_model):
    model = build_model()
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1, 1, 0]])
    found, expected = trace(model, IDS, mask), trace(model, IDS[:, 2:9])
    torch.testing.assert_close(found.operator(1).window(), expected.operator(1).window(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.output.logits, expected.output.logits, rtol=0, atol=1e-5)


def test_output_is_that_of_the_model_in_evaluation_mode(build_model):
    model = build_model(dropout=0.5)
    with torch.no_grad():
        expected = model(IDS).logits
    found = trace(model.train(), IDS)
    torch.testing.assert_close(found.output.logits, expected, rtol=0, atol=0)
    assert not found.output.logits.requires_grad


def test_entered_is_the_normalised_stream(build_model):
    model = build_model(HyenaGLTModel)
    seen = trace(model, IDS)
    with torch.no_grad():
        states = model(IDS, output_hidden_states=True).hidden_states
        for layer in (0, 1):
            expected = model.backbone.layers[layer].norm1(states[layer])[0]
            torch.testing.assert_close(seen.entered(layer), expected, rtol=0, atol=0)


def test_layers_asked_for_are_kept_and_the_others_refused_by_name(build_model):
    seen = trace(build_model(n_layers=3), IDS, layers=[2, 0])
    assert list(seen.layers) == [0, 2]
    with pytest.raises(ModelError, match="Layer 1 was not traced; traced: 0, 2"):
        seen.operator(1)


def test_mixers_come_in_the_order_of_the_layers(build_model):
    model = build_model(n_layers=3)
    assert mixers(model) == [layer.mixer for layer in model.backbone.layers]


@pytest.mark.parametrize(("layers", "asked"), [([5], r"\[5\]"), ([-1, 0], r"\[-1, 0\]")])
def test_layer_that_the_model_lacks_is_refused(build_model, layers, asked):
    with pytest.raises(ModelError, match=f"Layers {asked} were asked for; this model has 2"):
        trace(build_model(), IDS, layers=layers)


def test_model_without_mixers_is_refused():
    with pytest.raises(ModelError, match="this model has 0"):
        trace(torch.nn.Linear(1, 1), IDS)


def state(model) -> list:
    return [(module.training, len(module._forward_hooks)) for module in model.modules()]


def test_hooks_and_modes_are_put_back_module_by_module_also_after_an_error(build_model):
    """Part of the model is in evaluation mode, as when it is frozen; putting back one mode for all would thaw it."""
    model = build_model().train()
    model.backbone.layers[0].eval()
    before = state(model)
    trace(model, IDS)
    assert state(model) == before
    with pytest.raises(ModelError, match="65 tokens"):
        trace(model, torch.full((1, 65), 7))
    assert state(model) == before


def test_mask_with_holes_is_refused(build_model):
    seen = trace(build_model(), IDS, torch.tensor([[1, 1, 1, 0, 1, 1, 1, 1, 1, 1]]))
    with pytest.raises(ModelError, match="holes"):
        seen.operator(0)


def test_sequence_of_padding_alone_is_refused(build_model):
    seen = trace(build_model(), torch.cat([IDS, torch.full_like(IDS, 4)]))
    assert seen.operator(0, item=0).length == 10
    with pytest.raises(ModelError, match="padding"):
        seen.operator(0, item=1)
