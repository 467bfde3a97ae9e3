"""Training curves: each line takes the cells it has, the kept checkpoint is marked."""

import numpy as np
import pandas as pd
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.training import best, draw_training, plot_training

from .conftest import words


@pytest.fixture
def history():
    return pd.DataFrame(
        {
            "step": [10, 20, 30, 1040],
            "epoch": [1.0, 2.0, 3.0, 4.0],
            "loss": [1.0, np.nan, 0.5, 0.4],
            "eval_loss": [np.nan, 0.9, 0.3, 0.6],
            "eval_mcc": [np.nan, 0.1, 0.5, 0.4],
            "eval_runtime": [np.nan, 2.0, 2.0, 2.0],
            "eval_samples_per_second": [np.nan, 9.0, 9.0, 9.0],
        }
    )


def lines(figure):
    return {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}


def test_each_line_has_the_steps_at_which_it_was_logged(history):
    found = lines(plot_training(history))
    assert found["training loss"] == ([10, 30, 1040], [1.0, 0.5, 0.4])
    assert found["evaluation loss"] == ([20, 30, 1040], [0.9, 0.3, 0.6])
    assert found["mcc"] == ([20, 30, 1040], [0.1, 0.5, 0.4])
    assert set(found) == {"training loss", "evaluation loss", "mcc", "lowest"}


def test_the_lowest_evaluation_loss_is_marked_and_named(history):
    assert best(history) == (30, 0.3)
    figure = plot_training(history)
    assert lines(figure)["lowest"] == ([30], [0.3])
    ax = draw_training(history)
    assert ax.lines[-1].get_xydata().tolist() == [[30, 0.3]]
    for title in (figure.layout.title.text, words(ax)):
        assert "lowest evaluation loss 0.3 at step 30" in title
        assert "1,040 steps, 4 epochs" in title


def test_a_history_without_evaluation_says_so(history):
    figure = plot_training(history[["step", "loss"]])
    assert list(lines(figure)) == ["training loss"]
    assert "no evaluation loss" in figure.layout.title.text


def test_rows_out_of_order_and_infinite_losses_do_not_bend_the_line(history):
    history.loc[3, "loss"] = np.inf
    found = lines(plot_training(history.iloc[::-1]))
    assert found["training loss"] == ([10, 30], [1.0, 0.5])


def test_scores_have_their_own_panel(history):
    figure = plot_training(history)
    panels = {trace.name: trace.yaxis for trace in figure.data}
    assert panels["mcc"] != panels["training loss"] == panels["evaluation loss"]


def test_other_columns_can_be_drawn(history):
    ax = draw_training(history, columns=["eval_mcc"])
    assert [line.get_label() for line in ax.lines] == ["mcc"]
    assert ax.lines[0].get_ydata().tolist() == [0.1, 0.5, 0.4]


@pytest.mark.parametrize("columns", [["loss"], ["step"], []])
def test_histories_that_cannot_be_drawn_are_refused(history, columns):
    for function in (plot_training, draw_training):
        with pytest.raises(DataError, match="expected step and at least one of loss, eval_loss"):
            function(history[columns])
