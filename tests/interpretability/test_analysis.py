"""The analysis: the guide's names lead to the records, and what was not asked for says how to ask."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError
from genomic_lens.interpretability import AttentionAnalyzer, GradientAnalyzer
from genomic_lens.interpretability.analysis import (
    Analysis,
    create_combined_analysis_plot,
    leading_method,
    mean_layers,
    mean_positions,
    summarise,
)
from genomic_lens.records import Attribution, Motif, MotifDiscovery, Prediction

from .conftest import build_model

SEQUENCES = ["CAGGTAAGTATTACC", "TTTCAGGATTACAGG"]


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


def record(values, sequence=None, method="exact", gap=1e-7):
    sequence = sequence or "A" * len(values)
    return Attribution(sequence, np.array(values, dtype=float), "donor", method, "mean", 1.0, 0.0, gap)


def test_the_leading_method_is_the_first_that_adds_up():
    assert leading_method(["vanilla", "guided", "exact", "integrated"]) == "exact"
    assert leading_method(["occlusion", "gradient"]) == "occlusion"


def test_positions_are_ranked_by_mean_size_over_the_sequences_that_reach_them():
    """Base 4 is in one sequence alone, base 3 is masked in one, base 2 in both."""
    found = mean_positions([record([1, -4, np.nan, 2, 3]), record([1, 2, np.nan, np.nan])])
    assert found == [1, 4, 3, 0]
    assert mean_positions([record([1, 2, 3])], count=2) == [2, 1]
    assert mean_positions([record([np.nan, np.nan])]) == []


def test_layers_are_means_over_sequences():
    found = AttentionAnalyzer(build_model()).analyze(SEQUENCES)
    told = mean_layers(found)
    assert told["avg_entropy"] == pytest.approx(np.mean([item.avg_entropy for item in found]))
    for layer in (0, 1):
        single = [item.layer_patterns["layers"][layer]["distance"] for item in found]
        assert told["layers"][layer]["distance"] == pytest.approx(np.mean(single))


@pytest.fixture
def whole():
    """An analysis with all parts but trust."""
    model = build_model()
    methods = GradientAnalyzer(model).analyze(SEQUENCES, "donor", methods=("vanilla", "exact"))
    motif = Motif("motif 1", tuple("ACGT"), np.eye(4), np.eye(4), "ACGT", sequences=2, instances=np.array([[0, 3, 1]]),
                  strengths=np.ones(1))  # fmt: skip
    return Analysis(
        tuple(SEQUENCES), ("donor",) * 2,
        predictions=tuple(Prediction(item, ("donor", "no"), np.array([0.9, 0.1]), np.zeros(2)) for item in SEQUENCES),
        maps=tuple(AttentionAnalyzer(model).analyze(SEQUENCES)), model="ab",
        attributions={name: tuple(found) for name, found in methods.items()},
        discovery=MotifDiscovery((motif,), np.array([15, 15]), seqlets=2),
    )  # fmt: skip


def test_the_guides_names_lead_to_the_records(whole):
    assert whole["motifs"]["discovered_patterns"] == whole.discovery.motifs
    assert whole["attention"]["layer_patterns"]["avg_entropy"] == mean_layers(whole.maps)["avg_entropy"]
    assert whole["gradients"]["top_positions"] == mean_positions(whole.attributions["exact"])
    assert whole["gradients"]["method"] == "exact"
    assert whole["gradients"]["top_positions_by_sequence"][1] == mean_positions(whole.attributions["exact"][1:])
    assert whole["predictions"][0].label == "donor"


def test_it_is_a_mapping_of_what_was_asked(whole):
    assert list(whole) == ["predictions", "attention", "gradients", "motifs"]
    assert len(whole) == 4
    assert "trust" not in whole
    assert whole.get("trust") is None
    assert set(dict(whole)) == set(whole)
    assert repr(whole) == "Analysis of 2 sequences: predictions, attention, gradients, motifs"


def test_what_was_not_asked_says_how_to_ask(whole):
    with pytest.raises(DataError, match="include_trust=True"):
        whole["trust"]
    with pytest.raises(DataError, match="closest: motifs"):
        whole["motif"]


def test_the_summary_is_plain_and_has_the_guides_names(whole):
    told = summarise(whole)
    assert told["motifs"]["count"] == 1
    assert told["motifs"]["consensus"] == ["ACGT"]
    assert told["attention"]["avg_entropy"] == pytest.approx(whole["attention"]["layer_patterns"]["avg_entropy"])
    assert told["gradients"]["top_positions"] == whole["gradients"]["top_positions"]
    assert told["predictions"] == {"donor": 2}
    assert told["sequences"] == {"count": 2, "shortest": 15, "longest": 15}
    assert "trust" not in told
    assert all(isinstance(position, int) for position in told["gradients"]["top_positions"])


def test_the_guides_three_results_make_one_figure():
    """As in the guide: lists of results, of which the figure shows one sequence."""
    model, tokenizer = build_model(), DNATokenizer()
    attention = AttentionAnalyzer(model, tokenizer).analyze(SEQUENCES)
    gradients = GradientAnalyzer(model, tokenizer).integrated_gradients(SEQUENCES, ["donor", "donor"], steps=2)
    motifs = MotifDiscovery((), np.array([15, 15]))
    for index in (0, 1):
        track, _, looked, *_ = create_combined_analysis_plot(attention, gradients, motifs, index=index).axes
        assert track.get_title(loc="left") == "donor"
        assert "layer 1" in looked.get_title(loc="left")
    first = create_combined_analysis_plot(attention, gradients, motifs, layer=0).axes[2]
    assert "layer 0" in first.get_title(loc="left")
    by_method = {"vanilla": gradients[::-1], "integrated": gradients}
    assert create_combined_analysis_plot(attention[0], by_method).axes
    assert len(create_combined_analysis_plot(None, gradients[1]).axes) == 1
    with pytest.raises(DataError, match="another sequence"):
        create_combined_analysis_plot(attention[1], gradients[0])
    with pytest.raises(DataError, match="Result 2 was asked for; 2 came"):
        create_combined_analysis_plot(attention, gradients, index=2)
