"""The explorer without a browser: its controls are moved, and what it shows is held against the functions behind it."""

import numpy as np
import pytest

from genomic_lens.dashboards import AttributionExplorer, jobs
from genomic_lens.dashboards.choices import METHOD_WORDS
from genomic_lens.dashboards.mutation_view import AT_ONCE
from genomic_lens.dashboards.session import LensSession
from genomic_lens.interpretability import attribute, mutagenesis
from genomic_lens.interpretability.attribution.attributions import METHODS
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForTokenClassification
from genomic_lens.report import Annotation

from .conftest import SEQUENCE

pytestmark = pytest.mark.filterwarnings("ignore::genomic_lens.interpretability.CompletenessWarning")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """However slow the machine is, nothing waits to be told."""
    monkeypatch.setattr(jobs, "QUICK", float("inf"))


@pytest.fixture
def explorer(model, tokenizer):
    return AttributionExplorer(model, tokenizer, SEQUENCE, "donor", [Annotation("site", 3, 9, "site")])


def shown_values(explorer):
    return np.frombuffer(explorer.track.values, "<f4")


def shown_numbers(explorer):
    return {name for name, field in explorer.contributions.numbers.items() if field.layout.display != "none"}


def test_it_shows_what_the_function_says(explorer, model, tokenizer):
    record = attribute(model, tokenizer, SEQUENCE, "donor")[0]
    np.testing.assert_allclose(shown_values(explorer), record.values, rtol=1e-6)
    assert "✓ adds up to" in explorer.contributions.foot.value
    assert "dinucleotide shuffles × 20" in explorer.contributions.foot.value
    assert [base for _, base in explorer.top.list.options] == record.top_positions(12)
    assert explorer.track.annotations[0]["name"] == "site"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_offered_with_its_own_numbers_and_its_usual_baseline(explorer, model, tokenizer, method):
    assert set(METHOD_WORDS.values()) == set(METHODS)
    explorer.contributions.method.value = method
    expected = attribute(model, tokenizer, SEQUENCE, "donor", method)[0]
    np.testing.assert_allclose(shown_values(explorer), expected.values, rtol=1e-5, atol=1e-6)
    foot = explorer.contributions.foot.value
    assert expected.method in foot
    assert ("which this method does not promise" in foot) == (expected.gap > 1e-3 and not METHODS[method].adds_up)
    numbers = {"integrated_gradients": {"steps"}, "layer_integrated_gradients": {"steps"}, "occlusion": {"window"}}
    numbers |= {"noise_tunnel": {"samples", "noise"}}
    drawn = {"references"} if METHODS[method].baseline == "shuffled" else set()
    assert shown_numbers(explorer) == numbers.get(method, set()) | drawn


def test_numbers_and_baselines_reach_the_method(explorer, model, tokenizer):
    view = explorer.contributions
    view.method.value, view.baseline.value = "integrated_gradients", "blur"
    view.numbers["steps"].value, view.numbers["blur"].value = 5, 3.0
    expected = attribute(model, tokenizer, SEQUENCE, "donor", "integrated_gradients", "blur", steps=5, blur=3.0)[0]
    np.testing.assert_allclose(shown_values(explorer), expected.values, rtol=1e-5, atol=1e-6)
    assert shown_numbers(explorer) == {"steps", "blur"}
    assert "the sequence blurred over 3 bases" in view.foot.value
    view.method.value, view.numbers["window"].value = "occlusion", 4
    assert shown_numbers(explorer) == {"window"}
    assert "windows of 4" in view.foot.value


def test_a_sum_that_is_missed_is_said_with_its_reason(explorer):
    view = explorer.contributions
    view.method.value = "integrated_gradients"
    view.numbers["steps"].value, view.numbers["references"].value = 2, 1
    assert view.record.gap > 1e-3
    assert "gl-poor" in view.foot.value
    assert "The steps are too coarse" in view.foot.value


def test_another_output_moves_everything(explorer, model, tokenizer):
    explorer.mutations.row.begin()
    assert explorer.mutations.record.target == "donor"
    explorer.contributions.output.name.value = "neither"
    record = attribute(model, tokenizer, SEQUENCE, "neither")[0]
    np.testing.assert_allclose(shown_values(explorer), record.values, rtol=1e-6)
    assert [base for _, base in explorer.top.list.options] == record.top_positions(12)
    assert explorer.mutations.record is None, "a heat map of another output must not stay"
    assert "gl-away" in explorer.mutations.room._dom_classes


def test_slow_questions_are_announced_and_nothing_is_shown_until_they_are_answered(explorer, monkeypatch):
    monkeypatch.setattr(jobs, "QUICK", 2.0)
    monkeypatch.setattr(LensSession, "seconds", lambda self, question: 90.0)
    view = explorer.contributions
    view.baseline.value = "zero"
    assert view.row.words.value == "Contributions to donor: about 90 s."
    assert (explorer.track.values, explorer.top.list.options, view.foot.value) == (b"", (), "Nothing was computed yet.")
    view.row.compute.click()
    assert shown_values(explorer).shape == (40,)
    view.baseline.value = "shuffled"
    assert shown_values(explorer).shape == (40,), "what is known comes at once"


def test_a_position_of_the_list_is_pointed_at_on_the_track(explorer):
    sent = []
    explorer.track.send = sent.append
    base = explorer.top.list.options[3][1]
    explorer.top.list.value = base
    assert (explorer.track.cursor, explorer.track.pinned) == (base, True)
    assert sent == [{"reveal": [base, base + 1]}]


def test_cursor_and_selection_are_told(explorer):
    record = explorer.contributions.record
    explorer.track._handle_custom_msg({"rested": {"cursor": 7, "selection": [3, 9]}}, [])
    assert f"± {record.spread[7]:.2g} over references" in explorer.track.note
    assert f"add {record.values[3:9].sum():+.3g}".replace("-", "−") in explorer.track.note


def test_letters_on_the_keyboard_change_nothing(explorer):
    assert explorer.track.letters == ""


def test_the_selected_bases_are_mutated_when_asked(explorer, model, tokenizer):
    view = explorer.mutations
    assert view.record is None
    explorer.track.view = [0, 30]
    assert view.row.words.value.startswith("Bases 0–29, 120 edits")
    explorer.track.selection = [4, 4 + 2 * AT_ONCE + 1]
    assert view.row.words.value.startswith(f"Bases 4–{4 + 2 * AT_ONCE}, ")
    view.row.compute.click()
    expected = mutagenesis(model, tokenizer, SEQUENCE, "donor", ("substitutions",), 4, 5 + 2 * AT_ONCE)
    np.testing.assert_allclose(view.record.substitutions, expected.substitutions, atol=1e-5)
    heat = next(trace for trace in view.room.figure.data if trace.name == "substitutions")
    np.testing.assert_allclose(heat.z, expected.substitutions.T, atol=1e-5)
    assert "rank correlation" in view.foot.value


def test_all_edits_can_be_asked_for(explorer, model, tokenizer):
    view = explorer.mutations
    explorer.track.selection = [4, 9]
    view.edits.value = ("substitutions", "insertions", "deletions")
    assert "45 edits" in view.row.words.value
    view.row.begin()
    expected = mutagenesis(model, tokenizer, SEQUENCE, "donor", start=4, stop=9, keep_length=True)
    for kind in expected.kinds:
        np.testing.assert_allclose(getattr(view.record, kind), getattr(expected, kind), atol=1e-5)


def test_a_language_model_is_asked_at_a_base(build, tokenizer):
    model = build(HyenaGLTForCausalLM)
    explorer = AttributionExplorer(model, tokenizer, SEQUENCE, ("base", 12))
    expected = attribute(model, tokenizer, SEQUENCE, ("base", 12))[0]
    np.testing.assert_allclose(shown_values(explorer), expected.values, rtol=1e-5, atol=1e-6)
    assert np.abs(shown_values(explorer)[12:]).max() < 1e-6 * np.abs(shown_values(explorer)).max()
    explorer.contributions.output.base.value = 20
    assert np.abs(shown_values(explorer)[12:20]).max() > 1e-3 * np.abs(shown_values(explorer)).max()
    assert explorer.contributions.output.base.min == 1


def test_a_model_of_labels_for_each_base_is_asked_at_one(build, tokenizer):
    explorer = AttributionExplorer(build(HyenaGLTForTokenClassification), tokenizer, SEQUENCE)
    assert explorer.contributions.output.target == ("donor", 20)
    assert "adds up" in explorer.contributions.foot.value
    explorer.mutations.row.begin()
    assert np.isfinite(explorer.mutations.record.substitutions).all()


def test_a_model_of_words_is_offered_sequences_only(build, tokenizer):
    explorer = AttributionExplorer(build(kmer_sizes=(3,)), tokenizer, SEQUENCE)
    assert set(dict(explorer.contributions.baseline.options).values()) == {"shuffled", "random", "n"}
    explorer.contributions.method.value = "gradient"
    assert explorer.contributions.record is not None


def test_chunks_and_masked_bases_are_shown(build, tokenizer):
    routed = build(n_layers=5, chunking="routing", target_ratios=(0.3, 0.5))
    explorer = AttributionExplorer(routed, tokenizer, "NN" + SEQUENCE[2:])
    assert explorer.track.lanes == ["stage 0", "stage 1"]
    assert np.isnan(shown_values(explorer)[:2]).all()
    explorer.contributions.point(0, None)
    assert "it is masked" in explorer.track.note
    assert "Boundaries of chunks are held" in explorer.contributions.foot.value


def test_long_sequences_begin_with_one_reference(build, tokenizer):
    model = build(d_model=4, n_layers=1, sequence_length=4096)
    explorer = AttributionExplorer(model, tokenizer, SEQUENCE * 60)
    assert explorer.contributions.baseline.value == "mean"
    assert explorer.mutations.region == (0, 500)


@pytest.mark.parametrize(
    ("sequence", "target", "message"),
    [("", None, "The sequence is empty"), ("ACGTJ", None, "J"), (SEQUENCE, "exon", "one of donor, acceptor, neither")],
)
def test_errors_of_ours_are_shown_in_the_panel(model, tokenizer, sequence, target, message):
    explorer = AttributionExplorer(model, tokenizer, sequence, target)
    panel = explorer.children[-1]
    assert message in panel.children[1].value
    assert len(panel.children) == 2


def test_one_base_is_enough(model, tokenizer):
    explorer = AttributionExplorer(model, tokenizer, "G")
    explorer.mutations.row.begin()
    assert explorer.mutations.record.bases == (0, 1)
