"""The explorer without a browser: motifs and instances are chosen, and what is shown is held against the record."""

import numpy as np
import pytest

from genomic_lens.dashboards import LensDashboard, MotifExplorer
from genomic_lens.interpretability.motifs.motif_analyzer import MotifResults, motif_cooccurrence
from genomic_lens.plots.motif_sets import plot_motif_positions
from genomic_lens.plots.motifs import plot_motif
from genomic_lens.records import Attribution, Motif, MotifDiscovery, MotifMatches

from .conftest import SEQUENCE

WORDS = {"one": "TGACTCA", "two": "ATGCAAAT"}
SEQUENCES = ["AACTGACTCATTATGCAAATCC", "GGTGACTCAGGTTTGCATAACC", "CCCCCCTGACTCACCCCCCCCC"]
PLACES = {"one": [(0, 3, 1), (1, 2, 1), (2, 6, 1)], "two": [(0, 12, 1), (1, 11, -1)]}


def motif(name):
    matrix = np.eye(4)[["ACGT".index(letter) for letter in WORDS[name]]]
    places = np.array(PLACES[name])
    made = {"instances": places, "strengths": np.arange(1.0, len(places) + 1), "sequences": len(places)}
    return Motif(name, tuple("ACGT"), matrix, matrix, WORDS[name], q_value=1e-4, **made)


def matches():
    one, columns = np.ones(2, int), np.tile(np.eye(4), (2, 1))
    parts = one * 1e-5, np.array([1e-4, 0.3]), 0 * one, one * 4, one, one * 4, one * 4, columns, columns
    return MotifMatches(("one", "two"), ("MA0099 <JUN>", "MA0785 POU2F1"), *parts, "JASPAR", 900)


@pytest.fixture
def results():
    values = [np.where(np.array(list(text)) == "C", 0.1, -0.2) for text in SEQUENCES]
    records = tuple(
        Attribution(text, row, "bound", "exact", "shuffled", row.sum(), 0.0, 0.0)
        for text, row in zip(SEQUENCES, values, strict=True)
    )
    found = MotifDiscovery((motif("one"), motif("two")), np.full(3, 22), seqlets=5, false_share=0.02, method="exact")
    return MotifResults(found, matches(), records)


@pytest.fixture
def explorer(results):
    return MotifExplorer(results)


def traces(figure):
    """Names and outlines of what a figure shows."""
    return [(trace.name, np.nan_to_num(np.asarray(trace.x, dtype=float)).tolist()) for trace in figure.data]


def test_the_list_names_motifs_with_their_q_values(explorer):
    rows = [words for words, _ in explorer.motifs.list.options]
    assert rows[0].split() == ["one", "TGACTCA", "3", "+2.00", "0.0001", "0.0001", "MA0099", "<JUN>"]
    assert rows[1].split()[-3:] == ["0.3", "MA0785", "POU2F1"]
    assert rows[0].index("MA0099") == rows[1].index("MA0785")
    assert "2 % of them expected to be false" in explorer.motifs.foot.value
    assert "900 motifs of JASPAR" in explorer.motifs.foot.value


def test_the_panels_follow_the_chosen_motif(explorer, results):
    for rank in (1, 0):
        explorer.motifs.list.value = rank
        chosen = results.motifs[rank]
        assert traces(explorer.logo.room.figure) == traces(plot_motif(chosen))
        alone = MotifDiscovery((chosen,), results.discovery.lengths)
        shown = [np.asarray(trace.y).tolist() for trace in explorer.places.room.figure.data]
        assert shown == [np.asarray(trace.y).tolist() for trace in plot_motif_positions(alone).data]
        assert len(explorer.instances.list.options) == len(chosen.instances)


def test_the_logo_has_three_heights(explorer, results):
    heights = explorer.logo.heights
    heights.value = "information"
    assert explorer.logo.room.figure.layout.yaxis.title.text == "information (bits)"
    heights.value = "match"
    assert "Motif one beside MA0099 &lt;JUN&gt; (q = 0.0001)" in explorer.logo.foot.value
    explorer.motifs.list.value = 1
    assert "Motif two beside" in explorer.logo.foot.value
    heights.value = "contributions"
    assert traces(explorer.logo.room.figure) == traces(plot_motif(results.motifs[1]))


def test_an_instance_is_shown_in_its_sequence(explorer):
    view = explorer.instances
    assert [rank for _, rank in view.list.options] == [2, 1, 0], "the strongest first"
    assert (view.track.sequence, view.track.selection) == (SEQUENCES[2], [6, 13])
    sent = []
    view.track.send = sent.append
    view.list.value = 0
    assert (view.track.sequence, view.track.selection, view.track.cursor) == (SEQUENCES[0], [3, 10], 3)
    assert sent == [{"reveal": [3, 10]}]
    assert [(item["name"], item["start"], item["strand"]) for item in view.track.annotations] == [
        ("one", 3, "+"), ("two", 12, "+")
    ]  # fmt: skip
    np.testing.assert_allclose(np.frombuffer(view.track.values, "<f4"), view.results.attributions[0].values, rtol=1e-6)
    assert "Shown: sequence 0, bases 3–9, which contribute" in view.foot.value


def test_an_instance_on_the_other_strand_is_marked(explorer):
    explorer.motifs.list.value = 1
    explorer.instances.list.value = 1
    assert explorer.instances.track.annotations[1]["strand"] == "-"
    assert "−" in dict((rank, words) for words, rank in explorer.instances.list.options)[1]


def test_all_motifs_are_compared(explorer, results):
    odds = motif_cooccurrence(results.discovery)["log2_odds"][0]
    shown = np.array(explorer.together.room.figure.data[0].z, dtype=float)
    np.testing.assert_allclose(shown[0, 1], odds)
    bits = np.array(explorer.conservation.room.figure.data[0].z, dtype=float)
    np.testing.assert_allclose(np.nansum(bits, 1), [14, 16])


def test_one_motif_alone_has_no_company(results):
    alone = MotifDiscovery(results.motifs[:1], results.discovery.lengths)
    explorer = MotifExplorer(MotifResults(alone, None, results.attributions))
    assert "One motif alone" in explorer.together.children[1].value
    assert "match" not in dict(explorer.logo.heights.options).values()
    assert "no names were looked up" in explorer.motifs.foot.value


def test_a_discovery_alone_lists_instances_and_says_what_is_missing(results):
    explorer = MotifExplorer(results.discovery)
    assert len(explorer.instances.list.options) == 3
    assert "Pass the results of discover_motifs" in explorer.instances.foot.value


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (MotifDiscovery((), np.array([60]), reason="Too few <seqlets>.", advice="Pass more."),
         "No motif was found. Too few &lt;seqlets&gt;. Pass more."),
        (None, "No motifs were passed; find some with"),
        ("TGACTCA", "A str came; expected what"),
    ],
)  # fmt: skip
def test_why_there_is_nothing_to_show_is_said_in_the_panel(found, message):
    explorer = MotifExplorer(found)
    assert message in explorer.children[-1].children[1].value


def test_explorers_live_in_the_dashboard_and_share_its_session(model, tokenizer, results):
    dashboard = LensDashboard(model, tokenizer, SEQUENCE, motifs=results)
    explorers = dashboard.explorers
    assert len(explorers.children) == 1, "an explorer is made when it is opened"
    explorers.choice.value = "attributions"
    opened = explorers.opened["attributions"]
    assert opened.session is dashboard.session
    assert opened.contributions.record is dashboard.contributions.record, "what is known is not computed again"
    explorers.choice.value = "attention"
    assert "gl-away" in opened._dom_classes
    assert explorers.opened["attention"].map.source is dashboard.session.tiles()
    explorers.choice.value = "motifs"
    assert explorers.opened["motifs"].results is results
    explorers.choice.value = "attributions"
    assert "gl-away" not in opened._dom_classes
    letter = next(letter for letter in "ACGT" if letter != SEQUENCE[4])
    dashboard.mutate(4, letter)
    assert opened.track.sequence[4] == letter
    assert opened.track.changed == [4]
    explorers.choice.value = None
    assert all("gl-away" in explorer._dom_classes for explorer in explorers.opened.values())
