"""The combined figure: one axis of bases, everything at its base, and what does not belong together refused."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots.combined import combined_words, draw_combined, instance_rows
from genomic_lens.records import HiddenAttention, Motif, MotifDiscovery

from .conftest import words


@pytest.fixture
def looks(donor):
    weights = np.tril(np.full((10, 10), 0.1))
    weights[7, 2] = 0.8
    return HiddenAttention(donor.sequence, weights, (0, 10), (0, 10), layer=1, path="value", share=0.47)


@pytest.fixture
def discovery():
    """Two motifs; in sequence 0 they overlap, in sequence 1 the second stands on the other strand."""
    made = {"letters": tuple("ACGT"), "contributions": np.eye(4), "frequencies": np.eye(4), "strengths": np.ones(2)}
    places = np.array([[0, 2, 1], [2, 0, 1]])
    first = Motif("one", consensus="ACGT", instances=places, sequences=2, q_value=1e-9, **made)
    second = Motif("two", consensus="ACGT", instances=np.array([[0, 4, 1], [1, 3, -1]]), sequences=2, **made)
    return MotifDiscovery((first, second), np.array([10, 10, 10]), seqlets=4)


def test_rows_are_as_few_as_overlaps_allow():
    assert instance_rows([(0, 4), (2, 6), (4, 8), (5, 9), (8, 9)]) == [0, 1, 0, 2, 0]
    assert instance_rows([]) == []


def test_all_parts_share_the_axis_of_bases(donor, looks, discovery):
    figure = draw_combined(donor, looks, discovery)
    track, lane, looked, *logos = figure.axes
    figure.draw_without_rendering()
    assert track.get_xlim() == lane.get_xlim() == looked.get_xlim() == (-0.5, 9.5)
    edges = [ax.get_position().intervalx for ax in (track, lane, looked)]
    np.testing.assert_allclose(edges, np.broadcast_to(edges[0], (3, 2)), atol=1e-9)
    assert len([ax for ax in logos if ax.get_title(loc="left") in ("one", "two")]) == 2


def test_motifs_lie_on_their_bases_and_tell_their_strand(donor, discovery):
    lane = draw_combined(donor, None, discovery, number=0).axes[1]
    assert [(box.get_x(), box.get_width(), int(box.get_y())) for box in lane.patches] == [(1.5, 4, 0), (3.5, 4, 1)]
    lane = draw_combined(donor, None, discovery, number=1).axes[1]
    assert [text.get_text() for text in lane.texts] == ["‹ two"]
    lane = draw_combined(donor, None, replace(discovery, motifs=()), number=0).axes[1]
    assert words(lane).strip() == "no motif in this sequence"


def test_cells_lie_on_their_bases(donor, looks):
    looked = draw_combined(donor, looks).axes[1]
    values = looked.collections[0].get_array().reshape(10, 10)
    assert np.unravel_index(np.argmax(values), (10, 10)) == (7, 2)
    assert looked.get_ylim() == (9.5, -0.5)


def test_each_part_carries_its_honesty_figure(donor, looks, discovery):
    told = " ".join(words(ax) for ax in draw_combined(donor, looks, discovery).axes)
    for part in ("adds up to 99.97 %", "shows 47 % of the Jacobian", "2 instances, q = 1e-09"):
        assert part in told
    alt = combined_words(donor, looks, discovery)
    assert "base 3 (G) contributes most" in alt
    assert "Motifs found: ACGT, ACGT." in alt


def test_only_the_lowest_part_has_the_labels_of_the_axis(donor, looks, discovery):
    for parts in ((looks, discovery), (None, discovery), (looks, None), (None, None)):
        shared = [ax for ax in draw_combined(donor, *parts).axes if ax.get_xlim() == (-0.5, 9.5)]
        assert [bool(ax.get_xlabel()) for ax in shared] == [False] * (len(shared) - 1) + [True]


def test_maps_of_other_sequences_and_of_windows_are_refused(donor, looks):
    for other in (replace(looks, sequence="ACGTACGTAC"), replace(looks, columns=(0, 5), weights=looks.weights[:, :5])):
        with pytest.raises(DataError, match="another sequence, or of a part"):
            draw_combined(donor, other)
