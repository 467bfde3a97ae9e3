"""Attributions: they add up, they are right where the answer is known, and they find what was planted."""

import copy

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.interpretability.attribution.attributions import METHODS, attribute, contributions
from genomic_lens.interpretability.attribution.gradients import exact_multipliers
from genomic_lens.interpretability.attribution.leaks import CompletenessWarning
from genomic_lens.interpretability.attribution.questions import ask
from genomic_lens.interpretability.attribution.references import BASELINES
from genomic_lens.model import HyenaGLTForRegression, HyenaGLTForSequenceClassification
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.training import HyenaGLTTrainer

SEQUENCE = "CAGGTAAGTNNCCTTTCAGGA"
QUICK = {"steps": 4, "samples": 3, "references": 3}  # enough to tell one answer from another
pytestmark = pytest.mark.filterwarnings("ignore::genomic_lens.interpretability.attribution.leaks.CompletenessWarning")


def gradient_gap(model, question):
    """Completeness gap of gradient times change: how strongly the model bends between sequence and reference."""
    inputs = question.inputs.expand_as(question.references).clone().requires_grad_()
    outputs, reference = question.output(inputs), question.output(question.references).detach()
    (slope,) = torch.autograd.grad(outputs.sum(), inputs)
    shares = (slope * (inputs - question.references)).sum(-1)
    rise = (outputs - reference).detach()
    return ((shares.sum(1) - rise).abs() / torch.maximum(rise.abs(), shares.abs().sum(1))).mean().item()


# --- completeness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "last", "first", "position"])
@pytest.mark.parametrize("two_sided", [False, True], ids=["causal", "two-sided"])
@pytest.mark.parametrize("order", [2, 3])
def test_exact_contributions_add_up(make_model, tokenizer, order, two_sided, pooling):
    """To rounding, in both precisions and for every baseline, in a model that plain gradients misjudge."""
    for dtype, limit in ((torch.float32, 1e-4), (torch.float64, 1e-12)):
        model = make_model(hyena_order=order, two_sided=two_sided, pooling=pooling, dtype=dtype)
        if pooling == "position":
            torch.nn.init.normal_(model.head.positions.weight, std=1 / model.config.sequence_length)
        for baseline in BASELINES:
            record = attribute(model, tokenizer, SEQUENCE, "donor", baseline=baseline, references=3)[0]
            if baseline in ("shuffled", "random") and pooling == "first" and not two_sided:
                if baseline == "shuffled":  # the first base sees itself only, and such shuffles keep it
                    assert np.nanmax(abs(record.values)) < 1e-6
                continue
            assert record.gap < limit
            rise = record.output - record.reference_output
            assert np.nansum(record.values) == pytest.approx(rise, abs=limit * max(1, np.nansum(abs(record.values))))
            assert abs(rise) > 1e-4
    question = ask(model.eval(), tokenizer, tokenizer.encode(SEQUENCE), 0, "zero", 1, 0)
    assert gradient_gap(model, question) > 0.02


@pytest.mark.parametrize("options", [{"filter_depth": 0}, {"conv_kernel_size": 1}, {"hyena_order": 5}, {"d_model": 1}])
def test_unusual_shapes_add_up_too(make_model, tokenizer, options):
    record = attribute(make_model(**options, dtype=torch.float64), tokenizer, SEQUENCE, "donor", references=3)[0]
    assert record.gap < 1e-12


def test_a_regression_model_is_explained_by_its_value(make_model, tokenizer):
    model = make_model(HyenaGLTForRegression, id2label={0: "value"}, dtype=torch.float64).eval()
    record = attribute(model, tokenizer, SEQUENCE, "value", baseline="mean")[0]
    assert record.output == pytest.approx(model(torch.from_numpy(tokenizer.encode(SEQUENCE))[None]).logits.item())
    assert record.gap < 1e-12


def test_the_output_is_the_logit_less_the_mean_of_all(make_model, tokenizer):
    model = make_model().eval()
    logits = model(torch.from_numpy(tokenizer.encode(SEQUENCE))[None]).logits[0].detach()
    record = attribute(model, tokenizer, SEQUENCE, "neither", baseline="n")[0]
    assert record.output == pytest.approx((logits[2] - logits.mean()).item(), rel=1e-4)


def test_contributions_to_all_classes_cancel(make_model, tokenizer):
    """What speaks for one class speaks against the others, base by base."""
    model = make_model(dtype=torch.float64)
    values = [attribute(model, tokenizer, SEQUENCE, target, references=4)[0].values for target in range(3)]
    assert np.nanmax(np.abs(values)) > 1e-3
    assert np.nanmax(np.abs(np.sum(values, axis=0))) < 1e-12


def test_what_moves_all_logits_alike_is_not_explained(make_model, tokenizer):
    """The same weights added to every row of the head change the logits and no probability."""
    model = make_model(dtype=torch.float64)
    before = attribute(model, tokenizer, SEQUENCE, "donor", references=4)[0]
    with torch.no_grad():
        model.head.score.weight += torch.randn(8, dtype=torch.float64)
    after = attribute(model, tokenizer, SEQUENCE, "donor", references=4)[0]
    np.testing.assert_allclose(after.values, before.values, atol=1e-12)
    assert after.model != before.model


def test_against_a_sequence_only_the_changes_contribute(make_model, tokenizer):
    """To the difference of the two outputs, which is that of two predictions."""
    model, wild_type = make_model(dtype=torch.float64), "CAGGTAAGTCCCTTTCAGGA"
    variant = wild_type[:4] + "C" + wild_type[5:12] + "A" + wild_type[13:]
    record = attribute(model, tokenizer, variant, "donor", baseline=wild_type)[0]
    assert np.flatnonzero(abs(record.values) > 1e-12).tolist() == [4, 12]
    outputs = [attribute(model, tokenizer, text, "donor", baseline="n")[0].output for text in (variant, wild_type)]
    assert record.values.sum() == pytest.approx(outputs[0] - outputs[1], abs=1e-12)
    assert record.baseline == "the sequence CAGGTAAGTC… of 20 bases"


# --- models that are solved by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exact", "integrated_gradients"])
def test_a_linear_model_gives_its_weights_times_the_change(linear_model, tokenizer, method):
    """With the mean of the bases as reference, a base has its own weight less the mean of the four."""
    model, sequence = linear_model(6), "GATTNC"
    weights = model.weights.weight.detach().unflatten(1, (6, 12))[:, :, 7:11].double().numpy()
    weights = weights[1] - weights.mean(0)
    expected = weights - weights.mean(1, keepdims=True)
    record = attribute(model, tokenizer, sequence, "acceptor", method=method, baseline="mean", steps=2)[0]
    for position, base in enumerate(sequence):
        if base == "N":
            assert np.isnan(record.values[position])
            assert np.isnan(record.hypothetical[position]).all()
        else:
            assert record.values[position] == pytest.approx(expected[position, "ACGT".index(base)], abs=1e-6)
            np.testing.assert_allclose(record.hypothetical[position], expected[position], atol=1e-6)
    assert record.gap < 1e-5


@pytest.mark.parametrize("method", ["exact", "integrated_gradients"])
def test_an_and_gate_shares_its_interaction_evenly(and_model, tokenizer, method):
    """Either base alone does nothing, both give 1, so each has half of the product; the rest has nothing."""
    both = attribute(and_model, tokenizer, "ACGTAC", "both", method=method, baseline="zero")[0]
    np.testing.assert_allclose(both.values, [0, 0, 0.5, 0.5, 0, 0], atol=1e-6)
    assert (both.output, both.reference_output) == (1, 0)
    for sequence in ("ACGAAC", "ACATAC"):
        one = attribute(and_model, tokenizer, sequence, "both", method=method, baseline="zero")[0]
        np.testing.assert_allclose(one.values, 0, atol=1e-6)


def test_hypothetical_contributions_of_an_and_gate(and_model, tokenizer):
    """With G in place at base 2, T at base 3 would give half; the letter that stands there gives nothing."""
    record = attribute(and_model, tokenizer, "ACGAAC", "both", baseline="zero")[0]
    np.testing.assert_allclose(record.hypothetical[3], [0, 0, 0, 0.5])
    np.testing.assert_allclose(record.hypothetical[2], 0)


# --- the two methods, and gradients ---------------------------------------------------------------------------------


def test_the_gap_of_integrated_gradients_falls_with_its_steps(make_model, tokenizer):
    model = make_model(dtype=torch.float64)
    options = {"method": "integrated_gradients", "baseline": "mean"}
    gaps = [attribute(model, tokenizer, SEQUENCE, "donor", steps=steps, **options)[0].gap for steps in (2, 8, 64)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[0] > 1e-3 > gaps[2]


def test_exact_multipliers_at_a_reference_like_the_input_are_the_gradient(make_model, tokenizer):
    model = make_model(hyena_order=3, dtype=torch.float64).eval()
    question = ask(model, tokenizer, tokenizer.encode(SEQUENCE), "donor", "mean", 1, 0)
    inputs = question.inputs[None].clone().requires_grad_()
    (slope,) = torch.autograd.grad(question.output(inputs).sum(), inputs)
    same = exact_multipliers(model, question._replace(references=question.inputs[None])).values
    torch.testing.assert_close(same, slope, rtol=1e-9, atol=1e-11)
    near = question.inputs[None] + 1e-4 * torch.randn_like(question.inputs)
    close = exact_multipliers(model, question._replace(references=near)).values
    torch.testing.assert_close(close, slope, rtol=0, atol=0.01 * slope.abs().max().item())
    far = exact_multipliers(model, question).values
    assert not torch.allclose(far, slope, rtol=0, atol=0.1 * slope.abs().max().item())


def test_a_model_without_exact_rules_is_refused_and_integrated_gradients_serve(linear_model, tokenizer):
    model = linear_model(4)
    model.weights = nn.Sequential(model.weights, nn.Softmax(-1))
    with pytest.raises(ModelError, match="Softmax has no attribution rule.*use integrated gradients"):
        attribute(model, tokenizer, "ACGT", "donor")
    assert attribute(model, tokenizer, "ACGT", "donor", method="integrated_gradients")[0].gap < 1e-3


# --- the record -----------------------------------------------------------------------------------------------------


def test_hypothetical_contributions_of_the_actual_bases_are_the_contributions(make_model, tokenizer):
    for method in METHODS.keys() - {"occlusion"}:
        record = attribute(make_model(), tokenizer, SEQUENCE, "donor", method=method, references=5)[0]
        for position, base in enumerate(SEQUENCE):
            if base != "N":
                own = record.hypothetical[position, record.letters.index(base)]
                assert own == pytest.approx(record.values[position], abs=1e-5)


def test_n_has_no_share_and_takes_none(make_model, tokenizer):
    """N is NaN in the record; what the bases have still adds up, so nothing was hidden under it."""
    model = make_model(dtype=torch.float64)
    for baseline in BASELINES:
        record = attribute(model, tokenizer, SEQUENCE, "donor", baseline=baseline, references=3)[0]
        unknown = np.array(list(SEQUENCE)) == "N"
        for array in (record.values, record.spread, record.hypothetical.sum(1)):
            assert (np.isnan(array) == unknown).all()
        question = ask(model, tokenizer, tokenizer.encode(SEQUENCE), "donor", baseline, 3, 0)
        values, _, _ = contributions(question, exact_multipliers(model, question))
        assert (values[:, unknown] == 0).all()


def test_a_sequence_of_n_has_nothing_to_explain(make_model, tokenizer):
    record = attribute(make_model(), tokenizer, "NNNN", "donor")[0]
    assert np.isnan(record.values).all()
    assert record.gap == 0
    assert record.output == record.reference_output


def test_values_and_spread_are_mean_and_deviation_over_the_references(make_model, tokenizer):
    model = make_model(dtype=torch.float64)
    question = ask(model, tokenizer, tokenizer.encode("CAGGTAAGTCAT"), "donor", "shuffled", 6, 3)
    single = []
    for reference in question.references:
        alone = question._replace(references=reference[None])
        single.append(contributions(alone, exact_multipliers(model, alone))[0][0])
    record = attribute(model, tokenizer, "CAGGTAAGTCAT", "donor", references=6, seed=3)[0]
    np.testing.assert_allclose(record.values, np.mean(single, axis=0), atol=1e-12)
    np.testing.assert_allclose(record.spread, np.std(single, axis=0), atol=1e-12)
    assert record.spread.max() > 1e-3


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"noise_tunnel"}))  # whose draws come batch by batch
def test_the_answer_does_not_depend_on_how_many_references_fit_at_once(make_model, tokenizer, method):
    model = make_model(dtype=torch.float64)
    options = {"target": "donor", "method": method, "baseline": "shuffled", "references": 7, "steps": 5}
    whole, *parts = (attribute(model, tokenizer, SEQUENCE, batch_size=size, **options)[0] for size in (7, 3, 1))
    for part in parts:
        np.testing.assert_allclose(part.values, whole.values, atol=1e-12)
        assert part.reference_output == pytest.approx(whole.reference_output)


def test_a_sequence_has_the_same_answer_alone_and_among_others(make_model, tokenizer):
    model = make_model()
    alone = attribute(model, tokenizer, SEQUENCE, "donor", references=3)[0]
    among = attribute(model, tokenizer, ["ACGT", SEQUENCE], "donor", references=3)[1]
    np.testing.assert_array_equal(alone.values, among.values)


def test_the_seed_decides(make_model, tokenizer):
    model = make_model()
    first, again, other = (
        attribute(model, tokenizer, SEQUENCE, "donor", references=2, seed=seed)[0] for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first.values, again.values)
    assert (first.seed, other.seed) == (4, 5)
    assert not np.allclose(first.values, other.values, equal_nan=True)


def test_the_record_says_how_it_was_made(make_model, tokenizer):
    model = make_model()
    record = attribute(model, tokenizer, SEQUENCE, 1, method="integrated_gradients", steps=5, references=2, seed=8)[0]
    assert (record.target, record.method) == ("acceptor", "integrated gradients, 5 steps")
    assert (record.baseline, record.references, record.seed) == ("dinucleotide shuffles", 2, 8)
    assert (record.sequence, record.letters, record.model) == (SEQUENCE, tuple("ACGT"), fingerprint(model))


@pytest.mark.parametrize(
    ("options", "words", "baseline"),
    [
        ({"method": "exact"}, "exact product and rescale rules", "dinucleotide shuffles"),
        ({"method": "layer_integrated_gradients"}, "layer integrated gradients, 4 steps", "dinucleotide shuffles"),
        ({"method": "gradient"}, "gradient", "mean of the four bases"),
        ({"method": "noise_tunnel", "noise": 0.2}, "mean of 3 gradients, noise 0.2", "mean of the four bases"),
        ({"method": "guided_backprop"}, "guided backpropagation", "mean of the four bases"),
        ({"method": "occlusion", "window": 5, "baseline": "n"}, "occlusion by windows of 5", "the token N"),
        ({"baseline": "blur", "blur": 2.5}, "exact product and rescale rules", "the sequence blurred over 2.5 bases"),
    ],
)
def test_method_and_baseline_are_named_with_what_decides_them(make_model, tokenizer, options, words, baseline):
    record = attribute(make_model(), tokenizer, SEQUENCE, "donor", **QUICK | options)[0]
    assert (record.method, record.baseline) == (words, baseline)
    assert (record.hypothetical is None) == (record.letters == ()) == (options.get("method") == "occlusion")


@pytest.mark.parametrize("method", METHODS)
def test_the_gap_of_every_method_is_told(make_model, tokenizer, method):
    """Whether it promises a sum or not, the record holds how far it misses."""
    record = attribute(make_model(), tokenizer, SEQUENCE, "donor", method=method, baseline="n", **QUICK)[0]
    rise, total = record.output - record.reference_output, np.nansum(record.values)
    assert record.gap == pytest.approx(abs(total - rise) / max(abs(rise), np.nansum(abs(record.values))), abs=1e-6)
    assert (record.gap > 0.02) == (method != "exact")


def test_magnitude_and_top_positions_of_a_record(make_model, tokenizer):
    record = attribute(make_model(), tokenizer, SEQUENCE, "donor", method="gradient")[0]
    unknown = np.array(list(SEQUENCE)) == "N"
    assert (np.isnan(record.magnitude) == unknown).all()
    np.testing.assert_allclose(record.magnitude[~unknown] ** 2, (record.hypothetical[~unknown] ** 2).sum(1))
    order = record.top_positions(50)
    assert sorted(order) == np.flatnonzero(~unknown).tolist()
    assert (np.diff(abs(record.values[order])) <= 0).all()
    assert record.to_dataframe().columns.tolist() == ["position", "base", "contribution", "spread", "magnitude"]


# --- warnings -------------------------------------------------------------------------------------------------------


def test_a_sum_that_is_promised_and_missed_is_warned_of(make_model, tokenizer):
    model = make_model()
    with pytest.warns(CompletenessWarning, match="by integrated gradients, 2 steps miss .* pass more steps") as caught:
        attribute(model, tokenizer, [SEQUENCE, "ACGT"], "donor", method="integrated_gradients", steps=2)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_nobody_is_warned_of_what_was_not_promised_or_is_tolerated(make_model, tokenizer):
    model = make_model()
    for method in ("gradient", "noise_tunnel", "guided_backprop", "occlusion"):
        attribute(model, tokenizer, SEQUENCE, "donor", method=method, **QUICK)
    attribute(model, tokenizer, SEQUENCE, "donor", method="integrated_gradients", steps=2, tolerance=2.0)
    attribute(model, tokenizer, SEQUENCE, "donor")
    assert attribute(model, tokenizer, [], "donor", tolerance=0.0) == []


def test_a_class_may_be_named_or_numbered(make_model, tokenizer):
    model = make_model()
    named, numbered, counted = (
        attribute(model, tokenizer, SEQUENCE, target, baseline="n")[0] for target in ("acceptor", 1, np.int64(1))
    )
    assert named.target == numbered.target == counted.target == "acceptor"
    np.testing.assert_array_equal(named.values, numbered.values)
    np.testing.assert_array_equal(named.values, counted.values)


@pytest.mark.parametrize("special", ["sep", "cls_sep"])
def test_special_tokens_leave_base_coordinates(linear_model, special):
    """Base i of the record is the base's own token, which [CLS] moves by one; the special tokens take no share."""
    tokenizer, sequence = DNATokenizer(special=special), "GATTC"
    first = 1 if special == "cls_sep" else 0
    model = linear_model(first + 6)
    weights = model.weights.weight.detach().unflatten(1, (first + 6, 12)).double().numpy()
    weights = (weights[0] - weights.mean(0))[first : first + 5]
    expected = [row[7 + "ACGT".index(base)] - row[11] for row, base in zip(weights, sequence, strict=True)]
    record = attribute(model, tokenizer, sequence, "donor", baseline="n")[0]
    np.testing.assert_allclose(record.values, expected, atol=1e-6)
    assert record.hypothetical.shape == (5, 4)
    assert record.gap < 1e-5


@pytest.mark.parametrize("special", ["sep", "cls_sep"])
def test_special_tokens_add_up_in_a_real_model(make_model, special):
    record = attribute(make_model(dtype=torch.float64), DNATokenizer(special=special), SEQUENCE, "donor")[0]
    assert len(record.values) == len(SEQUENCE)
    assert record.gap < 1e-12


# --- what stays as it was, and what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(make_model, tokenizer, method):
    """Training flags part by part, no gradient on a parameter, none changed that was there, no hook."""
    model = make_model().train()
    model.head.requires_grad_(False)
    learning = [parameter.requires_grad for parameter in model.parameters()]
    state = torch.random.get_rng_state()
    model.backbone.layers[1].eval()
    bias = model.head.score.bias
    bias.grad = torch.ones_like(bias)
    flags, weights = [part.training for part in model.modules()], fingerprint(model)
    attribute(model, tokenizer, SEQUENCE, "donor", method=method, **QUICK)
    assert [part.training for part in model.modules()] == flags
    assert [parameter.requires_grad for parameter in model.parameters()] == learning
    assert torch.equal(torch.random.get_rng_state(), state)
    assert fingerprint(model) == weights
    assert bias.grad.tolist() == [1, 1, 1]
    assert all(parameter.grad is None for parameter in model.parameters() if parameter is not bias)
    assert not any(part._forward_hooks for part in model.modules())


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_found_where_the_caller_has_switched_them_off(make_model, tokenizer, method):
    model, options = make_model().requires_grad_(False), {"method": method, **QUICK}
    expected = attribute(make_model(), tokenizer, SEQUENCE, "donor", **options)[0]
    with torch.no_grad():
        found = attribute(model, tokenizer, SEQUENCE, "donor", **options)[0]
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)


def test_dropout_is_off(make_model, tokenizer):
    model = make_model(dropout=0.5).train()
    for method in METHODS:
        options = {"method": method, **QUICK}
        first, second = (attribute(model, tokenizer, SEQUENCE, "donor", **options)[0].values for _ in range(2))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "enhancer"}, "'enhancer' came; expected one of donor, acceptor, neither"),
        ({"target": 3}, "Target 3 came"),
        ({"target": -1}, "Target -1 came"),
        ({"target": 0.5}, "Target 0.5 came"),
        ({"target": ("donor", 3)}, r"Target \('donor', 3\) came"),
        ({"method": "deeplift"}, "'deeplift' came; expected one of exact, integrated_gradients"),
        ({"baseline": "median"}, "'median' came; expected one of shuffled, random, mean, n, zero, blur"),
        ({"references": 0}, "references=0"),
        ({"steps": 0}, "steps=0"),
        ({"samples": 0}, "samples=0"),
        ({"window": 0}, "window=0"),
        ({"noise": -0.1}, "noise=-0.1 came; expected more than 0"),
        ({"blur": float("nan")}, "blur=nan"),
    ],
)
def test_unknown_settings_are_refused(make_model, tokenizer, options, message):
    with pytest.raises(ConfigurationError, match=message):
        attribute(make_model(), tokenizer, SEQUENCE, **{"target": "donor"} | options)


def test_weights_that_are_not_finite_are_refused(make_model, tokenizer):
    model = make_model()
    with torch.no_grad():
        model.head.score.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        attribute(model, tokenizer, SEQUENCE, "donor")


# --- planted truth --------------------------------------------------------------------------------------------------


def test_a_detector_solved_by_hand_gives_each_planted_base_its_fifth(detector, tokenizer):
    """It fires only where all of GATTA stands, so from the mean of the bases the rise of 1 is shared by five bases."""
    record = attribute(detector, tokenizer, "CCGATCGATTACGTTATC", "found", baseline="mean")[0]
    expected = np.zeros(18)
    expected[6:11] = 0.2
    np.testing.assert_allclose(record.values, expected, atol=1e-6)


PLACE, MOTIF = 10, "GTAAG"


def planted(count, seed):
    """Random sequences of 20 bases; every second holds the motif, the others the motif with one base wrong.

    With such near misses no base of the motif can be left unread, and the other bases say nothing.
    """
    generator = np.random.default_rng(seed)
    sequences = generator.choice(list("ACGT"), (count, 20))
    sequences[:, PLACE : PLACE + len(MOTIF)] = list(MOTIF)
    for row in sequences[::2]:
        wrong = generator.integers(len(MOTIF))
        row[PLACE + wrong] = generator.choice([base for base in "ACGT" if base != MOTIF[wrong]])
    return ["".join(row) for row in sequences], np.arange(count) % 2


@pytest.fixture(scope="module")
def motif_models():
    """A small model before and after it has learnt the motif, from sequences and classes alone."""
    config = HyenaGLTConfig(
        vocab_size=12, d_model=16, n_layers=1, sequence_length=20, filter_order=16, dropout=0.0, conv_kernel_size=7,
        pooling="last", learning_rate=1e-2, filter_learning_rate=1e-3, num_epochs=8, batch_size=64,
        id2label={0: "near miss", 1: "motif"},
    )  # fmt: skip
    torch.manual_seed(0)
    model = HyenaGLTForSequenceClassification(config)
    untrained = copy.deepcopy(model)
    HyenaGLTTrainer(model, config, GenomicDataset(*planted(2000, seed=0))).train()
    return untrained, model


@pytest.mark.parametrize("method", ["exact", "integrated_gradients"])
def test_a_trained_model_is_seen_to_read_the_planted_motif(motif_models, tokenizer, method):
    """In sequences that it has not seen, |contribution| ranks its bases first; untrained it did not."""
    sequences = planted(40, seed=1)[0][1::2]
    truth = np.tile(np.isin(np.arange(20), np.arange(PLACE, PLACE + len(MOTIF))), len(sequences))
    scores = []
    for model in motif_models:
        records = attribute(model, tokenizer, sequences, "motif", method=method, references=8, steps=12)
        scores.append(roc_auc_score(truth, np.concatenate([abs(record.values) for record in records])))
    assert scores[0] < 0.8
    assert scores[1] >= 0.95
