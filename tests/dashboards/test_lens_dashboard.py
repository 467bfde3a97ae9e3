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
from genomic_lens.dashboards.lens_dashboard import Afterwards
from genomic_lens.dashboards.panels import adds_up, gap_table, prediction_table, with_sign
from genomic_lens.dashboards.session import QUESTIONS, LensSession
from genomic_lens.dashboards.views import FilterView
from genomic_lens.errors import TokenizationError
from genomic_lens.interpretability import ModelInterpreter, predict
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
    assert view.figure in view.children


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
    assert dashboard.methods.table.value.count("<tr>") == 4


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
    assert len(dashboard.filters.children) == 2
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


@pytest.mark.parametrize(("gap", "words"), [(0.0, "> 99.99999 %"), (3e-6, "99.9997 %"), (0.02, "adds up to 98 % only")])
def test_the_share_that_adds_up_has_the_digits_that_matter(gap, words):
    record = Attribution("ACGT", np.ones(4), "a", "rules", "mean", 4.0, 0.0, gap)
    assert words in adds_up(record)
