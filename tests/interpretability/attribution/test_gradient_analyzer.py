"""The analyzer: the guide's names, labels of any form, and nothing computed twice."""

import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability import GradientAnalyzer, predict
from genomic_lens.interpretability.attribution import gradient_analyzer as module
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.model import HyenaGLTForRegression
from genomic_lens.model.token_models import HyenaGLTForCausalLM, HyenaGLTForTokenClassification

SEQUENCES = ["CAGGTAAGTCAT", "TTNACGTTACG", "GATTACAGATTACA"]
pytestmark = pytest.mark.filterwarnings("ignore::genomic_lens.interpretability.attribution.leaks.CompletenessWarning")


@pytest.fixture
def analyzer(make_model):
    return GradientAnalyzer(make_model())


@pytest.fixture
def asked(monkeypatch):
    """Every call of `attribute`, by its sequences and target."""
    calls = []

    def note(model, tokenizer, sequences, target, *others, **options):
        calls.append((tuple(sequences), target))
        return attribute(model, tokenizer, sequences, target, *others, **options)

    monkeypatch.setattr(module, "attribute", note)
    return calls


WAYS = {
    "vanilla_gradients": ({}, "gradient", {"baseline": "mean"}),
    "integrated_gradients": ({"steps": 4}, "integrated_gradients", {"baseline": "zero", "steps": 4}),
    "guided_backprop": ({}, "guided_backprop", {"baseline": "mean"}),
    "exact": ({"references": 2, "seed": 1}, "exact", {"references": 2, "seed": 1}),
    "occlusion": ({"window": 3}, "occlusion", {"window": 3}),
    "smoothed_gradients": ({"samples": 3, "noise": 0.3}, "noise_tunnel", {"samples": 3, "noise": 0.3}),
    "layer_integrated_gradients": (
        {"steps": 4, "references": 2}, "layer_integrated_gradients", {"steps": 4, "references": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_each_method_asks_its_question(analyzer, way):
    options, method, expected = WAYS[way]
    records = getattr(analyzer, way)(SEQUENCES, ["donor", "acceptor", 0], **options)
    assert [record.target for record in records] == ["donor", "acceptor", "donor"]
    for sequence, record in zip(SEQUENCES, records, strict=True):
        alone = attribute(analyzer.model, analyzer.tokenizer, sequence, record.target, method, **expected)[0]
        np.testing.assert_array_equal(record.values, alone.values)
        assert (record.method, record.baseline) == (alone.method, alone.baseline)


def test_without_labels_the_predicted_class_is_explained(make_model, tokenizer):
    for seed in range(3):
        model = make_model(seed=seed)
        records = GradientAnalyzer(model).vanilla_gradients(SEQUENCES)
        assert [record.target for record in records] == [found.label for found in predict(model, tokenizer, SEQUENCES)]


def test_without_labels_a_value_is_explained_if_there_is_one(make_model):
    one = GradientAnalyzer(make_model(HyenaGLTForRegression, id2label={0: "expression"}))
    assert [record.target for record in one.exact(SEQUENCES, references=2)] == ["expression"] * 3
    two = GradientAnalyzer(make_model(HyenaGLTForRegression, id2label={0: "a", 1: "b"}))
    with pytest.raises(ConfigurationError, match="No labels came, and HyenaGLTForRegression gives many answers"):
        two.exact(SEQUENCES)


@pytest.mark.parametrize(
    ("kind", "label", "target"),
    [(HyenaGLTForCausalLM, ("base", 3), "G at 3"), (HyenaGLTForTokenClassification, ("acceptor", 3), "acceptor at 3")],
)
def test_models_that_answer_for_each_base_need_a_base(make_model, kind, label, target):
    analyzer = GradientAnalyzer(make_model(kind))
    if kind is HyenaGLTForCausalLM:
        last = [f"at {len(sequence) - 1}" for sequence in SEQUENCES]
        assert all(record.target.endswith(end)
                   for record, end in zip(analyzer.vanilla_gradients(SEQUENCES), last, strict=True))  # fmt: skip
    else:
        with pytest.raises(ConfigurationError, match="pass labels"):
            analyzer.vanilla_gradients(SEQUENCES)
    assert analyzer.vanilla_gradients(SEQUENCES[:1], label)[0].target == target
    different = [label, (label[0], 4), (label[0], 5)]
    records = analyzer.vanilla_gradients(SEQUENCES, different)
    assert [record.target[-1] for record in records] == ["3", "4", "5"]


def test_labels_that_do_not_belong_are_refused(analyzer):
    with pytest.raises(DataError, match="2 labels came with 3 sequences"):
        analyzer.exact(SEQUENCES, ["donor", "acceptor"])
    with pytest.raises(ConfigurationError, match="'enhancer' came"):
        analyzer.exact(SEQUENCES, "enhancer")


def test_what_was_asked_is_not_computed_again(analyzer, asked):
    first = analyzer.vanilla_gradients([*SEQUENCES, SEQUENCES[0]], ["donor", "donor", "acceptor", "donor"])
    assert asked == [(tuple(SEQUENCES[:2]), "donor"), ((SEQUENCES[2],), "acceptor")]
    assert first[0] is first[3]
    again = analyzer.vanilla_gradients(SEQUENCES[::-1], ["acceptor", "donor", "donor"])
    assert [id(record) for record in again] == [id(record) for record in first[2::-1]]
    assert len(asked) == 2
    analyzer.vanilla_gradients(SEQUENCES[0], "donor", baseline="zero")
    assert len(asked) == 3


def test_a_model_that_has_learnt_is_asked_anew(analyzer, asked):
    before = analyzer.vanilla_gradients(SEQUENCES[0], "donor")[0]
    with torch.no_grad():
        analyzer.model.head.score.weight.mul_(2)
    after = analyzer.vanilla_gradients(SEQUENCES[0], "donor")[0]
    assert len(asked) == 2
    np.testing.assert_allclose(after.values, 2 * before.values, rtol=1e-4)


def test_the_configuration_of_the_guide(analyzer):
    config = {"methods": ["vanilla", "integrated", "guided"], "baseline_strategy": "blur", "steps": 6}
    found = analyzer.analyze(SEQUENCES, "donor", **config)
    assert list(found) == config["methods"]
    assert [record.method for record, *_ in found.values()] == [
        "gradient", "integrated gradients, 6 steps", "guided backpropagation",
    ]  # fmt: skip
    assert [record.baseline for record in found["integrated"]] == ["the sequence blurred over 10 bases"] * 3
    assert analyzer.integrated_gradients(SEQUENCES, "donor", baseline="blur", steps=6)[1] is found["integrated"][1]
    assert list(analyzer.analyze(SEQUENCES[0], methods=("exact", "occlusion"))) == ["exact", "occlusion"]
    with pytest.raises(ConfigurationError, match="'deeplift' came; expected one of vanilla, integrated, guided, exact"):
        analyzer.analyze(SEQUENCES, methods=["vanilla", "deeplift"])


def test_importance_is_drawn_for_one_record_and_for_several(analyzer):
    found = analyzer.analyze(SEQUENCES[0], "donor", steps=4)
    single = analyzer.plot_importance_scores(found["integrated"][0])
    assert "integrated gradients, 4 steps" in single.layout.title.text
    rows = analyzer.plot_importance_scores([record for (record,) in found.values()], 2, 9)
    assert len(list(rows.select_yaxes())) == 3
    assert "guided backpropagation" in rows.layout.annotations[2].text
