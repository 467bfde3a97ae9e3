"""The dashboard without a browser: its widgets are moved as a hand would move them, and their state is read."""

import asyncio
import re

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.dashboards import LensDashboard
from genomic_lens.dashboards.jobs import Afterwards
from genomic_lens.dashboards.panels import adds_up, gap_table, prediction_table, with_sign
from genomic_lens.dashboards.session import QUESTIONS, LensSession
from genomic_lens.dashboards.views import FilterView
from genomic_lens.errors import ModelError, TokenizationError
from genomic_lens.interpretability import ModelInterpreter, chunk_map, predict
from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaForSequenceClassification
from genomic_lens.records import Attribution, Prediction
from genomic_lens.report import Annotation

from .conftest import SEQUENCE


@pytest.fixture
def dashboard(model, tokenizer):
    return LensDashboard(model, tokenizer, SEQUENCE, annotations=[Annotation("site", 3, 9, "site")], origin=5)


def shown_values(dashboard):
    return np.frombuffer(dashboard.track.values, "<f4")


def rest(dashboard, **traits):
    """The pointer comes to rest: the browser sets what it points at, and says so."""
    for name, value in traits.items():
        setattr(dashboard.track, name, value)
    place = {"cursor": dashboard.track.cursor, "selection": dashboard.track.selection}
    dashboard.track._handle_custom_msg({"rested": place}, [])


def seen(panel):
    """The parts of a panel that are not out of sight."""
    return [part for part in panel.children if "gl-away" not in part._dom_classes]


def probabilities(dashboard):
    return [float(value) for value in re.findall(r"gl-value'>(\d\.\d{3})<", dashboard.prediction.table.value)]


def other(base):
    return next(letter for letter in "ACGT" if letter != SEQUENCE[base])


def test_it_shows_what_the_functions_say(dashboard, model, tokenizer):
    prediction = predict(model, tokenizer, [SEQUENCE])[0]
    assert probabilities(dashboard) == pytest.approx(prediction.probabilities, abs=5e-4)
    assert dashboard.contributions.target.value == prediction.label
    np.testing.assert_allclose(shown_values(dashboard), dashboard.contributions.record.values, rtol=1e-6)
    assert "adds up to" in dashboard.contributions.foot.value
    share = dashboard.session.tiles().share(0)
    assert f"{100 * share:.3g} % of the Jacobian" in dashboard.attention.foot.value


def test_output_and_method_change_the_letters_and_the_gap(dashboard):
    first = shown_values(dashboard)
    labels = [name for name in dashboard.session.names if name != dashboard.contributions.target.value]
    dashboard.contributions.target.value = labels[0]
    second = shown_values(dashboard)
    assert np.abs(first - second).max() > 1e-4
    dashboard.contributions.question.value = QUESTIONS["integrated gradients, mean of the bases"]
    assert np.abs(shown_values(dashboard) - second).max() > 1e-6
    assert "integrated" in dashboard.contributions.foot.value.lower()


def test_layer_and_path_change_the_map_its_share_and_the_filters(dashboard):
    seen = {(dashboard.attention.tiles.map, dashboard.attention.foot.value)}
    curve = np.array(dashboard.filters.figure.data[0].y)
    dashboard.attention.layer.value = 1
    seen.add((dashboard.attention.tiles.map, dashboard.attention.foot.value))
    assert np.abs(curve - np.array(dashboard.filters.figure.data[0].y)).max() > 1e-6
    dashboard.attention.path.value = "gates"
    seen.add((dashboard.attention.tiles.map, dashboard.attention.foot.value))
    assert len(seen) == 3
    dashboard.attention.shade.value = "linear"
    assert dashboard.attention.tiles.shade == "linear"


def test_what_is_done_afterwards_waits_and_gives_way_to_what_is_newer():
    done = []

    async def press_keys():
        afterwards = Afterwards(seconds=0.01)
        afterwards(lambda: done.append("old"))
        afterwards(lambda: done.append("one"), lambda: done.append("two"))
        assert done == []
        await asyncio.sleep(0.2)

    asyncio.run(press_keys())
    assert done == ["one", "two"]


def test_the_filters_come_also_if_the_slider_moves_before_they_are_drawn(model, tokenizer):
    async def move_at_once():
        dashboard = LensDashboard(model, tokenizer, SEQUENCE)
        assert dashboard.filters.figure is None
        dashboard.attention.layer.value = 1
        while not dashboard.afterwards._task.done():
            await asyncio.sleep(0.05)
        return dashboard

    dashboard = asyncio.run(move_at_once())
    assert dashboard.filters.figure is not None
    assert dashboard.filters.layer == 1


def test_filters_drawn_late_are_those_of_the_layer_shown_by_then(model, tokenizer):
    view = FilterView(LensSession(model, tokenizer, SEQUENCE))
    view.show(1)
    view.draw()
    expected = FilterView(view.session)
    expected.draw()
    expected.show(1)
    for late, early in zip(view.figure.data, expected.figure.data, strict=True):
        np.testing.assert_array_equal(late.y, early.y)
    assert view.room.children == (view.figure,)


def test_the_channels_through_which_the_base_at_the_cursor_listens_are_lit(dashboard):
    rest(dashboard, cursor=12)
    use = dashboard.session.tiles().channel_use(12, 0)
    assert f"channels {use.argmax()} (" in dashboard.filters.note.value
    for trace in dashboard.filters.figure.data[:-1]:
        lit = use[int(trace.legendgroup)] > 1 / len(use)
        assert trace.opacity == (1 if lit else 0.2)
    assert {trace.opacity for trace in dashboard.filters.figure.data[:-1]} == {1, 0.2}
    rest(dashboard, cursor=None)
    assert {trace.opacity for trace in dashboard.filters.figure.data[:-1]} == {1}
    assert dashboard.filters.note.value == ""


def test_the_cursor_is_told_in_every_panel(dashboard):
    rest(dashboard, cursor=12)
    value = dashboard.contributions.record.values[12]
    assert f"Base 12 ({SEQUENCE[12]}) contributes {with_sign(value)}." == dashboard.track.note
    row = dashboard.session.tiles().norms(np.array([12]), np.arange(40), 0)[0]
    assert f"draws most on base {row.argmax()} " in dashboard.attention.tiles.note
    assert dashboard.changes.letters.value == SEQUENCE[12]


def test_a_selection_is_summed(dashboard):
    rest(dashboard, selection=[3, 9])
    total = dashboard.contributions.record.values[3:9].sum()
    assert dashboard.track.note == f"Bases 3–8 add {total:+.3g}.".replace("-", "−")


def test_a_base_changed_by_its_letter_moves_everything_and_undo_brings_it_back(dashboard):
    before = probabilities(dashboard), shown_values(dashboard).copy(), dashboard.attention.tiles.map
    rest(dashboard, cursor=38)
    dashboard.changes.letters.value = other(38)
    assert dashboard.track.sequence[38] == other(38)
    assert dashboard.track.changed == [38]
    assert dashboard.changes.letters.value == other(38)
    assert probabilities(dashboard) != before[0]
    assert np.abs(shown_values(dashboard) - before[1]).max() > 1e-4
    assert dashboard.attention.tiles.map != before[2]
    assert f"38 {SEQUENCE[38]}→{other(38)}" in dashboard.changes.foot.value
    assert "by the changes" in dashboard.prediction.table.value
    dashboard.changes.undo.click()
    assert (probabilities(dashboard), dashboard.attention.tiles.map) == (before[0], before[2])
    np.testing.assert_array_equal(shown_values(dashboard), before[1])
    assert dashboard.changes.undo.disabled


def test_the_track_changes_a_base_by_message(dashboard):
    dashboard.track._handle_custom_msg({"mutate": [2, other(2)]}, [])
    assert dashboard.session.changed == [2]


def test_pointing_at_a_base_changes_nothing(dashboard):
    for base in range(10):
        rest(dashboard, cursor=base)
    assert dashboard.session.changed == []


def test_all_methods_are_compared_when_asked(dashboard):
    assert dashboard.methods.table.value.count("<tr>") == 2
    dashboard.methods.compare.click()
    assert dashboard.methods.table.value.count("<tr>") == 1 + len(QUESTIONS)
    assert "occlusion by windows of 1" in dashboard.methods.table.value


def test_export_holds_the_sequence_as_it_came_and_as_it_is(dashboard, tmp_path):
    dashboard.mutate(4, other(4))
    page = dashboard.export(tmp_path / "page.html").read_text()
    changed = SEQUENCE[:4] + other(4) + SEQUENCE[5:]
    assert f'"sequence":"{SEQUENCE}"' in page
    assert f'"sequence":"{changed}"' in page
    assert dashboard.session.sequence == changed
    assert "page.html" in dashboard.saved.value


@pytest.mark.parametrize("length", [1, 10, 64])
def test_sequences_from_one_base_to_the_limit(model, tokenizer, tmp_path, length):
    dashboard = LensDashboard(model, tokenizer, (SEQUENCE * 2)[:length])
    rest(dashboard, cursor=length - 1)
    assert f"Base {length - 1} " in dashboard.track.note
    assert dashboard.export(tmp_path / "page.html").stat().st_size > 1000


def test_long_sequences_start_with_one_reference_and_are_exported_in_bins(build, tokenizer, tmp_path):
    sequence = "".join(np.random.default_rng(1).choice(list("ACGT"), 2500))
    dashboard = LensDashboard(build(d_model=4, n_layers=1, sequence_length=4096), tokenizer, sequence)
    assert dashboard.contributions.question.value.baseline == "mean"
    assert dashboard.attention.tiles.levels == 6
    assert "one of its pairs" in dashboard.attention.foot.value
    assert dashboard.export(tmp_path / "page.html").stat().st_size < 2_000_000


def test_a_model_of_values_has_contributions_and_says_why_it_has_no_classes(regression, tokenizer):
    dashboard = LensDashboard(regression, tokenizer, SEQUENCE)
    assert "expected a classifier" in dashboard.prediction.foot.value
    assert "adds up to" in dashboard.contributions.foot.value
    dashboard.mutate(3, other(3))
    assert dashboard.track.changed == [3]


class Pooled(PreTrainedModel):
    """Mean of embeddings and a linear head: no operator, no filter."""

    config_class = HyenaGLTConfig

    def __init__(self, config):
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.score = nn.Linear(config.d_model, config.num_labels)

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, pooling_mask=None, **_):
        states = self.embedding(input_ids) if inputs_embeds is None else inputs_embeds
        return SequenceClassifierOutput(logits=self.score(states.mean(1)))


def test_a_model_without_an_operator_hides_the_map_and_says_why(tokenizer):
    torch.manual_seed(0)
    names = dict(enumerate(["donor", "acceptor"]))
    model = Pooled(HyenaGLTConfig(vocab_size=len(tokenizer), d_model=4, n_layers=1, id2label=names))
    dashboard = LensDashboard(model, tokenizer, SEQUENCE)
    assert dashboard.attention.tiles is None
    assert "no layer that gives a mixing operator" in dashboard.attention.children[1].value
    assert dashboard.filters.figure is None
    assert len(seen(dashboard.filters)) == 2
    rest(dashboard, cursor=3)
    dashboard.mutate(3, other(3))
    assert "contributes" in dashboard.track.note


def test_a_letter_that_no_tokenizer_knows_is_refused(model, tokenizer):
    with pytest.raises(TokenizationError):
        LensDashboard(model, tokenizer, "ACGTJ")


def test_the_interpreter_opens_the_dashboard(model, tokenizer):
    dashboard = ModelInterpreter(model).dashboard(SEQUENCE, title="<b>bold</b>")
    assert dashboard.session.sequence == SEQUENCE
    assert "&lt;b&gt;bold" in dashboard.children[0].children[0].value


def test_html_of_the_panels_is_escaped():
    name = "<script>alert(1)</script>"
    prediction = Prediction("ACGT", (name, "b"), np.array([0.5, 0.5]), np.zeros(2))
    record = Attribution("ACGT", np.ones(4), name, name, name, 4.0, 0.0, 0.0)
    for markup in (prediction_table(prediction, prediction), adds_up(record), gap_table([record])):
        assert "<script>" not in markup


@pytest.mark.parametrize(
    ("gap", "words"), [(0.0, "> 99.99999 %"), (3e-6, "99.9997 %"), (0.02, "does not add up: off by 2 %")]
)
def test_the_share_that_adds_up_has_the_digits_that_matter(gap, words):
    record = Attribution("ACGT", np.ones(4), "a", "rules", "mean", 4.0, 0.0, gap)
    assert words in adds_up(record)


# models that cut chunks

ROUTED = {"n_layers": 5, "chunking": "routing", "target_ratios": (0.3, 0.5)}


@pytest.fixture
def routed(build, tokenizer):
    return LensDashboard(build(**ROUTED), tokenizer, SEQUENCE)


def starts(dashboard):
    """The lanes of the track, (stages, length), in 255ths."""
    return np.frombuffer(dashboard.track.starts, np.uint8).reshape(len(dashboard.track.lanes), -1)


def test_the_track_has_a_lane_of_boundaries_for_each_stage(routed, tokenizer):
    record = chunk_map(routed.session.model, tokenizer, SEQUENCE)
    assert routed.track.lanes == ["stage 0", "stage 1"]
    np.testing.assert_array_equal(starts(routed) > 0, record.start)
    np.testing.assert_allclose(starts(routed)[record.start], 255 * record.probability[record.start], atol=1)


def test_a_model_that_cuts_no_chunks_has_no_lanes(dashboard):
    assert (dashboard.track.lanes, dashboard.track.starts) == ([], b"")


def test_boundaries_follow_a_changed_base_and_come_back(routed, tokenizer):
    before = starts(routed).copy()
    routed.mutate(20, other(20))
    changed = chunk_map(routed.session.model, tokenizer, routed.session.sequence)
    np.testing.assert_array_equal(starts(routed) > 0, changed.start)
    assert np.abs(starts(routed).astype(int) - before).max() > 0
    routed.reset()
    np.testing.assert_array_equal(starts(routed), before)


def test_the_chunk_of_the_base_at_the_cursor_is_told(routed):
    rest(routed, cursor=12)
    index = routed.session.chunks().index
    spans = [np.flatnonzero(row == row[12])[[0, -1]] for row in index]
    words = ", ".join(f"{first}–{last} at stage {stage}" for stage, (first, last) in enumerate(spans))
    assert f"Its chunk: bases {words}." in routed.track.note


def test_what_holding_the_boundaries_leaves_out_is_said(routed):
    left_out = routed.contributions.record.left_out
    assert left_out != 0
    assert f"which leaves out {with_sign(left_out)}" in routed.contributions.foot.value
    assert "Boundaries" not in adds_up(Attribution("A", np.ones(1), "a", "rules", "mean", 1.0, 0.0, 0.0))
    unknown = Attribution("A", np.ones(1), "a", "rules", "mean", 1.0, 0.0, 0.0, left_out=np.nan)
    assert "is not known" in adds_up(unknown)


def test_filters_on_chunks_count_in_chunks_and_their_bracket_in_bases(routed):
    assert routed.filters.figure.layout.xaxis.title.text == "lag (bases back)"
    routed.attention.layer.value = 2
    median = np.median(routed.session.filters(2).reach)
    bases = round(median * routed.session.chunks().compression[1])
    assert routed.filters.figure.layout.xaxis.title.text == "lag (chunks back)"
    assert f"chunks, about {bases} base" in routed.filters.foot.value
    assert routed.track.reach == [bases, 0]
    assert not any("bases" in trace.hovertemplate for trace in routed.filters.figure.data)
    routed.attention.layer.value = 4
    assert routed.filters.figure.layout.xaxis.title.text == "lag (bases back)"
    assert "chunk" not in routed.filters.foot.value


def test_a_page_of_a_model_with_chunks_holds_only_filters_that_count_in_bases(routed, tmp_path):
    page = routed.export(tmp_path / "page.html").read_text()
    assert [int(layer) for layer in re.findall(r'"layer":(\d),"index":0', page)] == [0, 4]


# layers without long filters


@pytest.fixture
def striped(tokenizer):
    torch.manual_seed(0)
    names = dict(enumerate(["donor", "acceptor", "neither"]))
    shape = {"d_model": 16, "num_heads": 4, "sequence_length": 64, "initializer_range": 0.3}
    config = StripedHyenaConfig(vocab_size=len(tokenizer), id2label=names, **shape)
    return LensDashboard(StripedHyenaForSequenceClassification(config).eval(), tokenizer, SEQUENCE)


def test_attention_has_no_filters_says_so_and_the_next_layer_has_them_again(striped):
    view = striped.filters
    assert view.room in seen(view)
    first = [np.array(trace.y) for trace in view.figure.data]
    striped.attention.layer.value = 3
    assert view.room not in seen(view)
    assert "those with long filters are 0, 1, 2" in view.reason.value
    assert striped.track.reach == [0, 0]
    rest(striped, cursor=7)
    assert "Base 7" in striped.attention.tiles.note
    striped.attention.layer.value = 1
    assert view.room in seen(view)
    assert view.reason not in seen(view)
    assert "of layer 1 drawn" in view.foot.value
    assert any(len(one) != len(two.y) for one, two in zip(first, view.figure.data, strict=True))
    striped.attention.layer.value = 0
    for one, two in zip(first, view.figure.data, strict=True):
        np.testing.assert_array_equal(one, two.y)


def test_filters_come_late_where_the_first_layer_has_none(tokenizer):
    shape = {"d_model": 16, "num_heads": 4, "sequence_length": 64, "n_layers": 2, "layout": "attention-se"}
    model = StripedHyenaForSequenceClassification(StripedHyenaConfig(vocab_size=len(tokenizer), num_labels=2, **shape))
    dashboard = LensDashboard(model.eval(), tokenizer, SEQUENCE)
    assert dashboard.filters.figure is None
    dashboard.attention.layer.value = 1
    assert dashboard.filters.room in seen(dashboard.filters)
    assert dashboard.filters.figure is not None


def test_a_page_of_a_model_with_attention_holds_the_filters_of_the_other_layers(striped, tmp_path):
    page = striped.export(tmp_path / "page.html").read_text()
    assert [int(layer) for layer in re.findall(r'"layer":(\d),"index":0', page)] == [0, 1, 2]


def test_a_method_that_cannot_answer_leaves_the_rest_of_the_lens_alone(build, tokenizer, monkeypatch):
    """The exact rules know a list of modules; a model with another one is explained by integrated gradients."""
    plain = LensSession.attribution

    def refuse(session, target, question):
        if question.method == "exact":
            raise ModelError("There is no rule for <this> module.")
        return plain(session, target, question)

    monkeypatch.setattr(LensSession, "attribution", refuse)
    dashboard = LensDashboard(build(**ROUTED), tokenizer, SEQUENCE)
    assert "no rule for &lt;this&gt; module" in dashboard.contributions.foot.value
    assert dashboard.track.values == b""
    rest(dashboard, cursor=3, selection=[2, 5])
    assert dashboard.track.note.startswith("Its chunk")
    dashboard.mutate(3, other(3))
    assert (dashboard.track.sequence[3], dashboard.track.changed) == (other(3), [3])
    dashboard.methods.compare.click()
    exact = [question for question in QUESTIONS.values() if question.method == "exact"]
    assert dashboard.methods.table.value.count("<tr>") == 1 + len(QUESTIONS) - len(exact)
    assert dashboard.methods.foot.value.count("no rule") == 1
    dashboard.contributions.question.value = QUESTIONS["integrated gradients, mean of the bases"]
    assert np.abs(shown_values(dashboard)).max() > 0
    assert "contributes" in dashboard.track.note
