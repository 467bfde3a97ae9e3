"""The report: what is right holds, each kind of break fails at its own check, and every architecture is read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.interpretability.trust.checks import CHECKS, LIMITS
from genomic_lens.interpretability.trust.report import chosen, trust_report
from genomic_lens.model import (
    HyenaDNAConfig,
    HyenaDNAForSequenceClassification,
    HyenaGLTForRegression,
    HyenaGLTForTokenClassification,
    StripedHyenaConfig,
    StripedHyenaForSequenceClassification,
)
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.model.mixing.tracing import mixers
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.records import TrustReport
from tests.model.chunks.test_stages import WAYS, bend, small_model

from ..conftest import build_model
from ..test_architectures import ALL
from ..toys import TOKENIZER, Counter, Deaf, Linear, by_chance, draw
from .test_reconstruction import Louder

PLANTED = draw(6, 40, "GAATTC")


def verdicts(report):
    return {check.name: check.verdict for check in report.checks}


# --- limits -----------------------------------------------------------------------------------------------------------


def test_every_check_has_a_limit_with_a_reason_and_the_doubtful_lies_beyond_the_holding():
    assert list(CHECKS) == list(LIMITS)
    for limit in LIMITS.values():
        assert limit.question.endswith("?")
        assert limit.reason.endswith(".")
        assert limit.doubtful > limit.holds if limit.better == "low" else limit.doubtful < limit.holds


@pytest.mark.parametrize(("name", "values"), [("completeness", (1e-4, 1e-2, 0.02)), ("mutagenesis", (0.5, 0.25, 0.2))])
def test_limits_are_part_of_what_they_allow(name, values):
    assert [LIMITS[name].verdict(value) for value in values] == ["holds", "doubtful", "fails"]
    assert LIMITS[name].verdict(np.nan) == "not asked"


# --- what is right holds ----------------------------------------------------------------------------------------------


def test_a_counter_of_a_palindrome_is_explained_in_every_respect():
    """Alike on both strands and at every place; no layer has an operator, and no chunks are cut."""
    report = trust_report(Counter("GAATTC"), PLANTED, baseline="mean", checks=[*set(CHECKS) - {"randomisation"}])
    found = verdicts(report)
    unasked = {"chunks", "reconstruction", "references", "randomisation"}
    assert {name for name, verdict in found.items() if verdict == "not asked"} == unasked
    holding = {"completeness", "mutagenesis", "perturbation", "strand", "shift", "null"}
    assert {name: found[name] for name in holding} == dict.fromkeys(holding, "holds")
    assert report["completeness"].value < 1e-12
    assert report["null"].value == 0
    assert report["strand"].value == pytest.approx(1)
    assert report["perturbation"].value == 1 / 40


def test_a_linear_model_is_foretold_in_full():
    checks = ["mutagenesis", "infidelity", "randomisation"]
    report = trust_report(Linear(40), draw(4, 40), baseline="mean", checks=checks)
    assert report["mutagenesis"].value == pytest.approx(1)
    assert report["infidelity"].value == pytest.approx(0, abs=1e-9)
    assert report["randomisation"].verdict == "holds"


# --- each break fails at its own check --------------------------------------------------------------------------------


def test_contributions_by_chance_fail_wherever_the_model_is_asked():
    report = trust_report(Counter("GAATTC"), PLANTED, explain=by_chance)
    failing = {"completeness", "mutagenesis", "perturbation", "randomisation", "null"}
    found = verdicts(report)
    assert {name: found[name] for name in failing} == dict.fromkeys(failing, "fails")
    assert report["randomisation"].value == pytest.approx(1)
    assert report["perturbation"].value > 0.2
    assert found["baselines"] == "not asked"


def test_an_explanation_of_weights_that_are_not_used_fails_the_cascade():
    report = trust_report(Deaf(40), draw(3, 40), baseline="mean", checks=["completeness", "randomisation"])
    assert verdicts(report)["completeness"] == "holds"
    assert verdicts(report)["randomisation"] == "fails"
    assert report.cascade.final == pytest.approx(1)


def test_a_wrong_operator_fails_reconstruction(monkeypatch):
    model = build_model(dtype=torch.float64)
    before = trust_report(model, draw(2, 30), target="donor", references=2, checks=["reconstruction"])
    assert before["reconstruction"].verdict == "holds"
    layer = mixers(model)[1]
    right = layer.mixing_operator
    monkeypatch.setattr(layer, "mixing_operator", lambda hidden: Louder(right(hidden), 1.1))
    after = trust_report(model, draw(2, 30), target="donor", references=2, checks=["reconstruction"])
    assert after["reconstruction"].verdict == "fails"
    assert "layer 1 least well" in after["reconstruction"].sentence


class Squared(nn.Module):
    """A product that no rule sees."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, hidden):
        return self.inner(hidden) * hidden


def test_a_hidden_product_fails_completeness_and_is_named():
    model = build_model(dtype=torch.float64)
    model.backbone.layers[0].mlp = Squared(model.backbone.layers[0].mlp)
    check = trust_report(model, draw(2, 30), target="donor", checks=["completeness"])["completeness"]
    assert check.verdict == "fails"
    assert "backbone.layers.0.mlp (Squared)" in check.sentence


def test_a_gradient_promises_no_sum_and_the_report_says_so():
    model = build_model()
    check = trust_report(model, draw(2, 30), target="donor", method="gradient", checks=["completeness"])["completeness"]
    assert check.verdict == "fails"
    assert check.sentence.endswith("The method promises no sum.")


def test_strand_and_place_are_judged_where_the_output_does_not_move_or_may_not():
    model, sequences = Counter("GATTACA"), draw(4, 40, "GATTACA")
    options = {"baseline": "mean", "checks": ["strand", "shift"]}
    free = trust_report(model, sequences, **options)
    assert verdicts(free)["strand"] == "not asked"
    assert "invariances=('strand',)" in free["strand"].sentence
    assert verdicts(free)["shift"] == "holds"
    held = trust_report(model, sequences, invariances=("strand",), **options)
    assert verdicts(held)["strand"] == "fails"


def test_an_untrained_model_finds_as_much_in_shuffled_sequences():
    report = trust_report(build_model(), draw(10, 30), target="donor", references=2, checks=["null"])
    assert report["null"].verdict == "fails"


def test_few_references_are_noisy_and_many_are_not():
    few, many = (
        trust_report(Linear(40), draw(3, 40), references=count, checks=["references"])["references"]
        for count in (2, 100)
    )
    assert (few.verdict, many.verdict) == ("fails", "holds")


# --- every architecture -----------------------------------------------------------------------------------------------


def check_whole(report, sequences):
    assert report.sequences == tuple(sequences)
    assert [check.name for check in report.checks] == list(CHECKS)
    for name in ("completeness", "reconstruction"):
        assert report[name].verdict == "holds", report[name].sentence
    for check in report.checks:
        assert check.verdict == "not asked" or np.isfinite(check.value)
        assert check.sentence.endswith(".")
        assert "nan" not in check.sentence
    assert report.curves.insertion.shape == (len(sequences), 9)
    assert report.cascade.parts[0] == "head"


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_of_layer_and_chunk_is_reported(kind):
    model, sequences = small_model(HyenaGLTForSequenceClassification, ALL[kind]), draw(1, 40)
    before = fingerprint(model)
    report = trust_report(model, sequences, references=2)
    check_whole(report, sequences)
    assert fingerprint(model) == before == report.model
    if kind not in WAYS:
        assert "cuts no chunks" in report["chunks"].sentence
    elif kind == "patches":
        assert report["chunks"].verdict == "not asked"
    else:
        assert report["chunks"].value > 0


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (HyenaDNAConfig, HyenaDNAForSequenceClassification),
        (StripedHyenaConfig, StripedHyenaForSequenceClassification),
    ],
)
def test_published_architectures_are_reported(config, kind):
    torch.manual_seed(0)
    shape = {"d_model": 16, "n_layers": 2, "sequence_length": 64, "initializer_range": 0.3, "num_labels": 2}
    model = bend(kind(config(**shape))).double()
    sequences = draw(1, 40)
    check_whole(trust_report(model, sequences, references=2), sequences)


def test_models_of_words_are_reported():
    model = build_model(kmer_sizes=(3,), dtype=torch.float64)
    sequences = draw(1, 40)
    report = trust_report(model, sequences, references=2)
    check_whole(report, sequences)
    assert report["infidelity"].verdict == "not asked"


def test_a_regression_model_is_reported():
    model = build_model(HyenaGLTForRegression, id2label={0: "value"}, dtype=torch.float64)
    report = trust_report(model, draw(2, 30), references=2, checks=["completeness", "perturbation", "mutagenesis"])
    assert report.targets == ("value", "value")
    assert report["completeness"].verdict == "holds"


def test_masked_bases_take_no_part():
    sequence = draw(1, 40)[0]
    masked = sequence[:10] + "N" * 6 + sequence[16:]
    report = trust_report(build_model(dtype=torch.float64), [masked, sequence], references=2)
    check_whole(report, [masked, sequence])


# --- the way it is asked ----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_report_and_a_file_brings_it_back(tmp_path):
    model, sequences = build_model(), draw(1, 20)
    options = {"references": 2, "checks": ["perturbation", "randomisation", "null", "infidelity"]}
    first, again = (trust_report(model, sequences, **options) for _ in range(2))
    assert str(first) == str(again)
    assert str(TrustReport.load(first.save(tmp_path / "trust.npz"))) == str(first)
    other = trust_report(model, sequences, seed=1, **options)
    assert np.abs(other.cascade.magnitude - first.cascade.magnitude).max() > 1e-3


def test_each_sequence_is_explained_by_its_own_class_unless_one_is_named():
    model, sequences = build_model(), draw(8, 30)
    own = trust_report(model, sequences, references=1, checks=[]).targets
    asked = torch.from_numpy(np.stack([TOKENIZER.encode(sequence) for sequence in sequences]))
    best = model.eval()(asked).logits.argmax(1).tolist()
    assert own == tuple(model.config.id2label[number] for number in best)
    assert trust_report(model, sequences, target=1, references=1, checks=[]).targets == ("acceptor",) * 8


def test_of_many_sequences_some_are_drawn():
    drawn = chosen(30, 5, seed=3)
    assert len(set(drawn)) == 5
    assert drawn == sorted(drawn) == chosen(30, 5, seed=3) != chosen(30, 5, seed=4)
    assert chosen(3, 5, seed=0) == [0, 1, 2]
    sequences = draw(30, 20)
    report = trust_report(Linear(20), sequences, baseline="mean", most=5, seed=3, checks=[])
    assert report.sequences == tuple(sequences[number] for number in drawn)


def test_targets_go_with_their_sequences():
    model, sequences = build_model(), draw(6, 20)
    targets = ["donor", 1, "neither", "donor", None, 2]
    report = trust_report(model, sequences, target=targets, references=1, most=5, checks=[])
    kept = [sequences.index(sequence) for sequence in report.sequences]
    expected = [{1: "acceptor", 2: "neither"}.get(targets[number], targets[number]) for number in kept]
    assert all(name in (found, None) for name, found in zip(expected, report.targets, strict=True))
    with pytest.raises(DataError, match="2 targets came with 6 sequences"):
        trust_report(model, sequences, target=["donor", "donor"])


def test_what_was_left_out_is_listed_as_not_asked():
    report = trust_report(Linear(20), draw(1, 20), baseline="mean", checks=["completeness"])
    assert report.counts()["not asked"] == len(CHECKS) - 1
    assert report["null"].sentence == "This check was left out."
    assert report.curves is report.cascade is None


def test_another_method_is_judged_by_handing_over_how_it_explains():
    def doubled(model, sequence, target):
        record = attribute(model, TOKENIZER, sequence, target, baseline="mean")[0]
        return replace(record, values=2 * record.values, gap=0.5, method="doubled")

    report = trust_report(Linear(30), draw(2, 30), explain=doubled, checks=["completeness", "mutagenesis"])
    assert report.method == "doubled"
    assert verdicts(report)["completeness"] == "fails"
    assert report["mutagenesis"].value == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"checks": ["complete"]}, DataError, "closest: completeness"),
        ({"invariances": ("rotation",)}, ConfigurationError, "expected 'strand' and 'shift'"),
        ({"target": "enhancer"}, ConfigurationError, "enhancer"),
        ({"most": 0}, DataError, "expected at least one"),
        ({"method": "magic"}, ConfigurationError, "magic"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(options, error, words):
    with pytest.raises(error, match=words):
        trust_report(build_model(), draw(1, 20), **options)


def test_no_sequence_and_models_that_answer_for_each_base_are_refused():
    with pytest.raises(DataError, match="0 sequences"):
        trust_report(build_model(), [])
    with pytest.raises(ModelError, match="one answer for each sequence"):
        trust_report(build_model(HyenaGLTForTokenClassification), draw(1, 20))
