"""Gradients of all kinds, and occlusion: right where they are solved by hand, equal to Captum's where it has them."""

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop
from torch import nn

from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.interpretability.attribution.gradients import fixed_weights, guided, guided_multipliers
from genomic_lens.interpretability.attribution.questions import ask

from ..conftest import NAMES, ByHand

SEQUENCE = "CAGGTAAGTNNCCTTTCAGGA"


class Network(ByHand):
    """Two hidden layers with one kind of activation."""

    def __init__(self, activation, length=6):
        super().__init__(NAMES)
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            nn.Linear(12 * length, 20), activation(), nn.Linear(20, 10), activation(), nn.Linear(10, 3)
        )  # fmt: skip
        for layer in self.layers[::2]:
            nn.init.normal_(layer.weight, std=0.5)

    def score(self, embeddings):
        return self.layers(embeddings.flatten(1))


def question_of(model, tokenizer, sequence="GATTAC", baseline="mean", target=0):
    return ask(model.eval(), tokenizer, tokenizer.encode(sequence), target, baseline, 1, 0)


# --- the gradient and its correction --------------------------------------------------------------------------------


def test_the_plain_gradient_times_input_is_the_derivative_at_each_letter(make_model, tokenizer):
    """By small steps along each base's embedding, in place of automatic differentiation."""
    model = make_model(dtype=torch.float64)
    record = attribute(model, tokenizer, "CAGGTAAGT", "donor", method="gradient", baseline="zero")[0]
    question = question_of(model, tokenizer, "CAGGTAAGT", "zero")
    for base in range(9):
        step = torch.zeros_like(question.inputs)
        step[base] = 1e-5 * question.inputs[base]
        with torch.no_grad():
            ahead, behind = question.output(torch.stack([question.inputs + step, question.inputs - step]))
        assert record.values[base] == pytest.approx((ahead - behind).item() / 2e-5, rel=1e-5, abs=1e-9)


def test_the_corrected_gradient_adds_up_to_zero_over_the_letters(make_model, tokenizer):
    record = attribute(make_model(dtype=torch.float64), tokenizer, SEQUENCE, "donor", method="gradient")[0]
    assert np.nanmax(abs(record.hypothetical)) > 1e-3
    assert np.nanmax(abs(record.hypothetical.sum(1))) < 1e-12


def test_the_correction_takes_off_what_no_sequence_can_show(linear_model, tokenizer):
    """The same weight added to the four letters of a base changes no score difference of any two sequences."""
    model = linear_model(6)
    before = {kind: attribute(model, tokenizer, "GATTAC", 0, "gradient", kind)[0] for kind in ("mean", "zero")}
    with torch.no_grad():
        model.weights.weight.unflatten(1, (6, 12))[0, :, 7:11] += torch.arange(6.0)[:, None]
    after = {kind: attribute(model, tokenizer, "GATTAC", 0, "gradient", kind)[0] for kind in ("mean", "zero")}
    np.testing.assert_allclose(after["mean"].values, before["mean"].values, atol=1e-6)
    np.testing.assert_allclose(after["mean"].magnitude, before["mean"].magnitude, atol=1e-6)
    assert abs(after["zero"].values - before["zero"].values).max() > 1


@pytest.mark.parametrize("method", ["gradient", "noise_tunnel", "guided_backprop", "occlusion"])
def test_all_methods_agree_on_a_linear_model(linear_model, tokenizer, method):
    """There is one answer: the weight of the base less the mean of the four."""
    model = linear_model(6)
    expected = attribute(model, tokenizer, "GATTNC", 1, baseline="mean")[0]
    record = attribute(model, tokenizer, "GATTNC", 1, method=method)[0]
    np.testing.assert_allclose(record.values, expected.values, atol=1e-5)
    assert record.gap < 1e-4


# --- the noise tunnel -----------------------------------------------------------------------------------------------


def test_little_noise_gives_the_gradient_and_more_another_answer(make_model, tokenizer):
    model = make_model(dtype=torch.float64)
    plain = attribute(model, tokenizer, SEQUENCE, "donor", "gradient")[0].values
    near, far = (
        attribute(model, tokenizer, SEQUENCE, "donor", "noise_tunnel", noise=noise, samples=4)[0].values
        for noise in (1e-6, 0.5)
    )
    np.testing.assert_allclose(near, plain, atol=1e-4 * np.nanmax(abs(plain)))
    assert np.nanmax(abs(far - plain)) > 0.05 * np.nanmax(abs(plain))


def test_the_seed_decides_on_the_noise(make_model, tokenizer):
    first, again, other = (
        attribute(make_model(), tokenizer, SEQUENCE, "donor", "noise_tunnel", seed=seed)[0].values for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other, equal_nan=True)


def test_the_mean_over_noise_tends_to_the_smoothed_derivative(tokenizer):
    """Of x squared in one channel, the mean derivative is that at the middle, with an error of 2 s / sqrt(samples)."""

    class Square(ByHand):
        def score(self, embeddings):
            return embeddings[:, 0, 9:10].square()

    model = Square({0: "square"})
    record = attribute(model, tokenizer, "G", 0, "noise_tunnel", "zero", samples=400, noise=0.5)[0]
    deviation = 0.5 * np.sqrt(3 / 48)  # four letters, each 3/4 from the mean in its own channel and 1/4 in three others
    assert record.values[0] == pytest.approx(2.0, abs=4 * 2 * deviation / 20)
    assert record.values[0] != 2.0


# --- guided backpropagation -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Setting")
@pytest.mark.parametrize("target", range(3))
def test_on_a_network_of_relus_it_is_captums(tokenizer, target):
    model = Network(nn.ReLU)
    question = question_of(model, tokenizer, target=target)
    expected = GuidedBackprop(Reading(model, target)).attribute(question.inputs[None].requires_grad_())
    found = guided_multipliers(model, question).values.detach()
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected)


class Reading(nn.Module):
    """A model with the reading of one class, as Captum wants it."""

    def __init__(self, model, target):
        super().__init__()
        self.model, self.target = model, target

    def forward(self, embeddings):
        logits = self.model.score(embeddings)
        return logits[:, self.target] - logits.mean(1)


def test_a_guided_gelu_solved_by_hand(tokenizer):
    """Two activations, one that speaks for the output and one against: the second is dropped."""

    class Two(ByHand):
        def __init__(self):
            super().__init__({0: "value"})
            self.first, self.second = nn.GELU(), nn.GELU()

        def score(self, embeddings):
            return 3 * self.first(embeddings[:, 0, 9:10]) - 2 * self.second(embeddings[:, 0, 7:8])

    point = torch.tensor(1.0, requires_grad=True)
    (slope,) = torch.autograd.grad(nn.functional.gelu(point), point)
    model = Two()
    values = guided_multipliers(model, question_of(model, tokenizer, "G", "zero")).values[0, 0]
    assert values[9].item() == pytest.approx(3 * slope.item())
    assert values[7].item() == 0


def test_it_differs_from_the_gradient_in_a_real_model_and_nothing_stays(make_model, tokenizer):
    model = make_model()
    plain, found, again = (
        attribute(model, tokenizer, SEQUENCE, "donor", method)[0].values
        for method in ("gradient", "guided_backprop", "gradient")
    )
    assert np.nanmax(abs(found - plain)) > 0.1 * np.nanmax(abs(plain))
    np.testing.assert_array_equal(plain, again)
    with pytest.raises(KeyboardInterrupt), guided(model):
        raise KeyboardInterrupt
    assert not any(part._forward_hooks or getattr(part, "explaining", False) for part in model.modules())


# --- occlusion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("baseline", ["n", "shuffled"])
def test_occlusion_is_what_hiding_each_window_loses(make_model, tokenizer, window, baseline):
    """By brute force, window by window, each base with the mean of the windows that hold it."""
    model, sequence = make_model(dtype=torch.float64).eval(), "CAGGTAAGTCA"
    options = {"baseline": baseline, "references": 2, "window": window}
    record = attribute(model, tokenizer, sequence, "donor", "occlusion", **options)[0]
    question = ask(model, tokenizer, tokenizer.encode(sequence), "donor", baseline, 2, 0)
    total, count = np.zeros(len(sequence)), np.zeros(len(sequence))
    for start in range(len(sequence) - window + 1):
        hidden = question.inputs.expand_as(question.references).clone()
        hidden[:, start : start + window] = question.references[:, start : start + window]
        with torch.no_grad():
            drop = question.output(question.inputs[None]) - question.output(hidden)
        total[start : start + window] += drop.mean().item()
        count[start : start + window] += 1
    np.testing.assert_allclose(record.values, total / count, atol=1e-10)
    assert record.hypothetical is None


def test_an_and_gate_loses_all_with_either_base(and_model, tokenizer):
    record = attribute(and_model, tokenizer, "ACGTAC", "both", method="occlusion", baseline="zero")[0]
    np.testing.assert_allclose(record.values, [0, 0, 1, 1, 0, 0], atol=1e-6)
    assert record.gap == pytest.approx(0.5)  # what both share is counted twice


def test_a_window_beyond_the_sequence_is_refused(make_model, tokenizer):
    with pytest.raises(ConfigurationError, match="A window of 5 bases came; expected 1 to 4"):
        attribute(make_model(), tokenizer, "ACGT", "donor", method="occlusion", window=5)


# --- token ids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", ["shuffled", "random", "n"])
def test_token_ids_have_the_integrated_gradients_of_their_embeddings(make_model, tokenizer, baseline):
    model, options = make_model(dtype=torch.float64), {"baseline": baseline, "references": 3, "tolerance": 2.0}
    ids, embeddings = (
        attribute(model, tokenizer, SEQUENCE, "donor", method, **options)[0]
        for method in ("layer_integrated_gradients", "integrated_gradients")
    )
    np.testing.assert_allclose(ids.values, embeddings.values, atol=1e-10)
    np.testing.assert_allclose(ids.hypothetical, embeddings.hypothetical, atol=1e-10)
    assert ids.gap == pytest.approx(embeddings.gap, abs=1e-9)


def test_token_ids_are_not_explained_against_what_has_none(make_model, tokenizer):
    with pytest.raises(ConfigurationError, match="Token ids are explained against sequences: choose one of shuffled"):
        attribute(make_model(), tokenizer, SEQUENCE, "donor", "layer_integrated_gradients", "mean")


def test_fixed_weights_get_their_state_back():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).requires_grad_(False))
    with fixed_weights(model):
        assert not any(weight.requires_grad for weight in model.parameters())
    with pytest.raises(KeyboardInterrupt), fixed_weights(model):
        raise KeyboardInterrupt
    assert [weight.requires_grad for weight in model.parameters()] == [True, True, False, False]
