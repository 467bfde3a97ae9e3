"""The interpreter as the guide uses it, its page, and every kind of model that it is given."""

import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability import ModelInterpreter, interpreter
from genomic_lens.interpretability.interpretation_report import report_sections
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForRegression
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.plots import style
from genomic_lens.records import MotifDiscovery
from tests.model.chunks.test_stages import small_model
from tests.report.test_page import EVIL, Reader

from .conftest import build_model
from .test_architectures import ALL
from .toys import draw

QUICK = {
    "gradients": {"methods": ["exact", "vanilla", "integrated", "guided"], "steps": 3},
    "trust": {"checks": ["completeness", "reconstruction", "perturbation", "randomisation"], "most": 1},
}
TITLES = ["At a glance", "How far to trust this", "Contributions", "Hidden attention", "Motifs", "How it was made"]


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    assert not plt.get_fignums()


@pytest.fixture(scope="module")
def asked():
    """An interpreter and its analysis of three sequences, with all parts."""
    lens = ModelInterpreter(build_model(), config=QUICK)
    return lens, lens.analyze_comprehensive(draw(3, 24))


# --- as in the guide --------------------------------------------------------------------------------------------------


def test_the_guides_workflow(asked, tmp_path):
    lens, analysis = asked
    wanted = {"include_plots": True, "include_statistics": True}
    page = lens.generate_report(analysis, save_path=tmp_path / "report.html", **wanted)
    assert page == tmp_path / "report.html"
    assert len(analysis["motifs"]["discovered_patterns"]) == 0
    assert analysis["attention"]["layer_patterns"]["avg_entropy"] > 0
    assert len(analysis["gradients"]["top_positions"][:10]) == 10
    summary = lens.generate_summary(analysis)
    assert summary["motifs"]["count"] == 0
    assert summary["attention"]["avg_entropy"] == analysis["attention"]["layer_patterns"]["avg_entropy"]
    assert summary["gradients"]["top_positions"] == analysis["gradients"]["top_positions"]
    assert json.loads(json.dumps(summary)) == summary


def test_no_motif_says_why(asked):
    reason = asked[1]["motifs"]["reason"]
    assert reason
    assert reason in ModelInterpreter(build_model()).generate_summary(asked[1])["motifs"]["reason"]


def test_methods_are_those_of_the_configuration(asked):
    found = asked[1]["gradients"]
    assert list(found["results"]) == ["exact", "vanilla", "integrated", "guided"]
    assert found["method"] == "exact"
    assert found["results"]["integrated"][0].method == "integrated gradients, 3 steps"
    assert found["results"]["integrated"][0].baseline == "zero embedding"
    assert found["gap"] == max(record.gap for record in found["results"]["exact"])


def test_trust_is_about_the_leading_method(asked):
    trust = asked[1]["trust"]
    assert trust.method == asked[1]["gradients"]["results"]["exact"][0].method
    assert [check.name for check in trust.checks if check.verdict != "not asked"] == QUICK["trust"]["checks"]
    gradients = {"methods": ["integrated"], "steps": 3, "baseline_strategy": "mean"}
    lens = ModelInterpreter(build_model(), config={"gradients": gradients, "trust": {"checks": ["completeness"]}})
    trust = lens.analyze_comprehensive(draw(1, 20), include_motifs=False)["trust"]
    assert (trust.method, trust.baseline) == ("integrated gradients, 3 steps", "mean of the four bases")


def test_one_sequence_and_a_batch_agree():
    lens = ModelInterpreter(build_model(), config=QUICK)
    sequences = draw(2, 24)
    single, batch = lens.analyze_sequence(sequences[1]), lens.analyze_batch(sequences)
    assert list(single) == ["predictions", "attention", "gradients"]
    assert [item.sequences for item in batch] == [(sequence,) for sequence in sequences]
    np.testing.assert_array_equal(single.leading[0].values, batch[1].leading[0].values)
    assert single.predictions[0].label == single.targets[0]


def test_parts_that_are_not_asked_for_are_not_computed(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("this was not asked for")

    lens = ModelInterpreter(build_model(), config=QUICK)
    for name in ("contributions_of", "motifs_of", "checked", "filters_of"):
        monkeypatch.setattr(interpreter, name, refuse)
    options = {f"include_{name}": False for name in ("attention", "gradients", "motifs", "trust")}
    assert list(lens.analyze_comprehensive(draw(2, 20), **options)) == ["predictions"]


def test_labels_are_explained_instead_of_predictions():
    lens = ModelInterpreter(build_model(), config=QUICK)
    options = {"include_motifs": False, "include_attention": False}
    analysis = lens.analyze_comprehensive(draw(2, 20), labels=["neither", "donor"], **options)
    assert analysis.targets == ("neither", "donor")
    assert [record.target for record in analysis.leading] == ["neither", "donor"]
    assert set(analysis["trust"].targets) <= {"neither", "donor"}


def test_a_missing_package_loses_the_motifs_and_nothing_else(monkeypatch):
    def missing(*args, **kwargs):
        raise ConfigurationError("Motif discovery needs modisco-lite; run pip install 'genomic_lens[motifs]'.")

    monkeypatch.setattr(interpreter, "discover_motifs", missing)
    analysis = ModelInterpreter(build_model(), config=QUICK).analyze_comprehensive(draw(2, 20), include_trust=False)
    assert "genomic_lens[motifs]" in analysis["motifs"]["reason"]
    assert analysis["motifs"]["count"] == 0
    assert "gradients" in analysis


def test_the_search_for_motifs_leaves_the_threads_of_torch_alone(monkeypatch):
    def greedy(*args, **kwargs):
        torch.set_num_threads(threads + 1)
        return MotifDiscovery((), np.array([20]))

    threads = torch.get_num_threads()
    monkeypatch.setattr(interpreter, "discover_motifs", greedy)
    ModelInterpreter(build_model(), config=QUICK).analyze_comprehensive(draw(1, 20), include_trust=False)
    assert torch.get_num_threads() == threads


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ConfigurationError, match="closest: gradients"):
        ModelInterpreter(build_model(), config={"gradient": {}})
    with pytest.raises(DataError, match="No sequence"):
        ModelInterpreter(build_model()).analyze_comprehensive([])


# --- the page ---------------------------------------------------------------------------------------------------------


def titles(page):
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_the_page_has_all_sections_and_fetches_nothing(asked, tmp_path):
    lens, analysis = asked
    page = lens.generate_report(analysis, tmp_path / "report.html").read_text()
    assert titles(page) == TITLES
    addresses = [
        value for _, attributes in Reader(page).tags for name, value in attributes.items()
        if name.split(":")[-1] in ("src", "href", "srcset", "action")
    ]  # fmt: skip
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert analysis["trust"]["completeness"].sentence in page
    assert analysis["motifs"]["reason"].split("(")[0].split("'")[0][:40] in page
    assert page.count("<svg") + page.count("<img") >= 8
    assert 'class="gl-lens"' in page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_plots_and_statistics_can_be_left_out(asked, tmp_path):
    lens, analysis = asked
    unwanted = {"include_plots": False, "include_statistics": False}
    bare = lens.generate_report(analysis, tmp_path / "bare.html", **unwanted).read_text()
    assert titles(bare) == TITLES
    assert "<svg" not in bare
    assert "<img" not in bare
    assert 'class="gl-lens"' not in bare
    assert bare.count("<table") == 2  # the verdicts, and the settings
    tables = lens.generate_report(analysis, tmp_path / "tables.html", include_plots=False).read_text()
    assert tables.count("<table") > 3
    assert "<svg" not in tables


def test_nothing_unchecked_is_passed_off_as_checked(tmp_path):
    lens = ModelInterpreter(build_model(), config=QUICK)
    page = lens.generate_report(lens.analyze_sequence(draw(1, 20)[0]), tmp_path / "report.html").read_text()
    assert "Nothing on this page was checked" in page
    assert titles(page) == [title for title in TITLES if title != "Motifs"]


def test_names_of_classes_stay_text(tmp_path):
    model = build_model(id2label={0: EVIL, 1: "b", 2: "c"})
    lens = ModelInterpreter(model, config={"gradients": {"methods": ["exact"]}, "trust": {"checks": ["completeness"]}})
    analysis = lens.analyze_comprehensive(draw(1, 20), labels=0)
    page = Reader(lens.generate_report(analysis, tmp_path / "report.html").read_text())
    assert not [attributes for tag, attributes in page.tags if "onerror" in attributes]
    assert not [script for script in page.scripts if "alert(1)" in script]
    assert EVIL in page.text


def test_the_page_names_what_is_needed_to_make_it_again(asked, tmp_path):
    lens, analysis = asked
    page = lens.generate_report(analysis, tmp_path / "report.html", include_plots=False).read_text()
    for part in (analysis.model, "HyenaGLTForSequenceClassification", "gradients.steps", "integrated", "zero"):
        assert part in page


def test_figures_are_saved_beside_the_page_where_wanted(asked, tmp_path):
    settings = {"visualization": {"save_plots": True, "plot_format": "svg", "dpi": 50, "color_scheme": "colour_blind"}}
    before = dict(style.SETTINGS)
    lens = ModelInterpreter(build_model(), config=QUICK | settings)
    analysis = lens.analyze_sequence(draw(1, 16)[0])
    page = lens.generate_report(analysis, tmp_path / "report.html").read_text()
    saved = sorted(path.name for path in (tmp_path / "report_plots").iterdir())
    assert "contributions_0.svg" in saved
    assert len(saved) == page.count('class="gl-paper"')
    drawn = (tmp_path / "report_plots" / "contributions_0.svg").read_text().lower()
    assert style.BASE_COLOURS["colour_blind"]["A"].lower() in drawn
    assert style.BASE_COLOURS["standard"]["A"].lower() not in drawn
    assert before == style.SETTINGS


def test_a_report_that_fails_leaves_no_file_and_no_figure(asked, tmp_path):
    lens, analysis = asked
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError):
        lens.generate_report(analysis, tmp_path / "taken" / "report.html", include_plots=False)


# --- every kind of model ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_of_layer_and_chunk_has_its_page(kind, tmp_path):
    model = small_model(HyenaGLTForSequenceClassification, ALL[kind]).float()
    config = {"gradients": {"methods": ["exact"]}, "trust": {"checks": ["completeness", "chunks"]}}
    lens = ModelInterpreter(model, config=config)
    analysis = lens.analyze_comprehensive(draw(2, 30), include_motifs=False)
    assert analysis["trust"]["completeness"].verdict == "holds"
    page = lens.generate_report(analysis, tmp_path / "report.html", include_plots=kind == "two stages").read_text()
    assert titles(page) == [title for title in TITLES if title != "Motifs"]


def test_heads_apart_have_their_page(tmp_path):
    model = small_model(HyenaGLTForSequenceClassification, ALL["modal-attention-hyena"]).float()
    config = {"gradients": {"methods": ["exact"]}, "attention": {"aggregation": "per_head"}}
    lens = ModelInterpreter(model, config=config)
    analysis = lens.analyze_sequence(draw(1, 20)[0])
    assert report_sections(analysis, plots=True)
    plt.close("all")


def test_models_of_words_are_analysed_against_shuffles():
    lens = ModelInterpreter(build_model(kmer_sizes=(3,)), config=QUICK)
    analysis = lens.analyze_comprehensive(draw(2, 20), include_motifs=True, include_trust=False)
    assert {record.baseline for record in analysis.attributions["vanilla"]} == {"dinucleotide shuffles"}
    assert "hypothetical" in analysis["motifs"]["reason"]


def test_a_regression_model_is_analysed_and_has_its_page(tmp_path):
    model = build_model(HyenaGLTForRegression, id2label={0: "value"})
    lens = ModelInterpreter(model, config=QUICK)
    analysis = lens.analyze_comprehensive(draw(1, 20), include_motifs=False)
    assert "predictions" not in analysis
    assert analysis.targets == ("value",)
    page = lens.generate_report(analysis, tmp_path / "report.html").read_text()
    assert 'class="gl-lens"' not in page


def test_a_language_model_is_asked_at_a_base_and_not_checked():
    lens = ModelInterpreter(build_model(HyenaGLTForCausalLM), config=QUICK)
    with pytest.raises(ConfigurationError, match="include_trust=False"):
        lens.analyze_comprehensive(draw(1, 20), labels=("base", 9), include_trust=True)
    unasked = lens.analyze_comprehensive(draw(1, 20), include_motifs=False)
    assert unasked.leading[0].target.endswith("at 19"), "the last base is what all others may explain"
    assert unasked.trust is None
    analysis = lens.analyze_sequence(draw(1, 20)[0], ("base", 9))
    assert analysis.leading[0].target.endswith("at 9")
