"""Scores: dots and intervals where the numbers are, baselines in their rows."""

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.scores import draw_scores, plot_scores
from genomic_lens.records import Score

from .conftest import words


@pytest.fixture
def scores():
    made = {"items": 640, "groups": 80, "resamples": 1000}
    return {"mcc": Score("mcc", 0.5, 0.4, 0.65, **made), "auroc": Score("auroc", 0.9, 0.85, 0.92, **made)}


def test_dots_and_bars_are_the_values_and_intervals(scores):
    model = plot_scores(scores).data[0]
    assert list(model.y) == ["mcc", "auroc"]
    assert list(model.x) == [0.5, 0.9]
    assert np.allclose(model.x + model.error_x.array, [0.65, 0.92])
    assert np.allclose(model.x - model.error_x.arrayminus, [0.4, 0.85])
    ax = draw_scores(scores)
    assert [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()] == [[0.4, 0.65], [0.85, 0.92]]
    assert ax.lines[0].get_xdata().tolist() == [0.5, 0.9]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["mcc", "auroc"]


def test_the_first_score_is_on_top(scores):
    low, high = draw_scores(scores).get_ylim()
    assert low > high
    assert plot_scores(scores).layout.yaxis.autorange == "reversed"


def test_baselines_stand_in_the_row_of_their_score(scores):
    baselines = {"largest class": {"mcc": 0.0, "auroc": 0.5}, "3-mers": {"auroc": 0.8}}
    drawn = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in plot_scores(scores, baselines).data[1:]}
    assert drawn == baselines
    ax = draw_scores(scores, baselines)
    found = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert found["largest class"] == [[0.0, 0], [0.5, 1]]
    assert found["3-mers"] == [[0.8, 1]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["model", "largest class", "3-mers"]


def test_baselines_differ_in_their_marks_even_when_there_are_many(scores):
    baselines = {str(number): {"mcc": 0.1} for number in range(6)}
    figure = plot_scores(scores, baselines)
    assert len(figure.data) == 7
    assert len({trace.marker.symbol for trace in figure.data[1:6]}) == 5
    assert len(draw_scores(scores, baselines).lines) == 7


def test_titles_say_what_the_bars_are_and_on_how_much_they_rest(scores):
    for title in (plot_scores(scores).layout.title.text, words(draw_scores(scores))):
        assert all(part in title for part in ("95 % intervals", "640 items in 80 groups", "1,000 resamples"))


def test_values_stand_beside_the_dots(scores):
    assert plot_scores(scores).layout.annotations[0].text == "0.500 (0.400–0.650)"
    assert "0.500 (0.400–0.650)" in words(draw_scores(scores))


def test_nothing_to_draw_and_baselines_of_other_scores_are_refused(scores):
    for function in (plot_scores, draw_scores):
        with pytest.raises(DataError, match="no score"):
            function({})
        with pytest.raises(DataError, match="'random' has 'f1', which is not scored; expected mcc, auroc"):
            function(scores, {"random": {"f1": 0.1}})


def test_scores_without_intervals_have_dots_only_and_say_so():
    bare = {"mcc": Score("mcc", 0.5, np.nan, np.nan, items=640, groups=640)}
    assert "no intervals · 640 items" in plot_scores(bare).layout.title.text
    assert plot_scores(bare).layout.annotations[0].text == "0.500"
    assert words(draw_scores(bare)) == "Scores 0.500 no intervals · 640 items"
    assert plot_scores(bare).layout.meta["alt"] == "Mcc is 0.5, from 640 items."
