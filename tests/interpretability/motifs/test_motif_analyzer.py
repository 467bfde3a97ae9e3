"""From sequences to named motifs, with a model that scans for two motifs and whose answers are therefore known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import fisher_exact
from torch import nn

from genomic_lens.data.meme import read_meme
from genomic_lens.data.planted import PLANTED
from genomic_lens.errors import DataError
from genomic_lens.interpretability.motifs.motif_analyzer import GenomicMotifAnalyzer, motif_cooccurrence, motifs_to_meme
from genomic_lens.interpretability.motifs.motif_discovery import discover_motifs
from genomic_lens.interpretability.motifs.motif_matches import read_database
from genomic_lens.interpretability.motifs.seqlets import null_attributions
from genomic_lens.records import Motif, MotifDiscovery

from ..conftest import ByHand
from ..planted import few, positives

WORDS = {"one": "TGACTCAC", "three": "ATGCAAAT"}


class Scanner(ByHand):
    """Log-odds of each motif at each place and strand, above a threshold, summed."""

    def __init__(self):
        super().__init__({0: "motifs"})
        self.bend, self.match = nn.ReLU(), nn.Conv1d(12, 4, 8)
        rows = [turn for name in WORDS for turn in (PLANTED[name], PLANTED[name][::-1, ::-1])]
        with torch.no_grad():
            self.match.weight.zero_()
            self.match.weight[:, 7:11] = torch.tensor(np.stack(rows)).log2().add(2).transpose(1, 2).float()
            self.match.bias.fill_(-6)

    def score(self, embeddings):
        return self.bend(self.match(embeddings.transpose(1, 2))).sum((1, 2))[:, None]


@pytest.fixture(scope="module")
def sequences():
    data = few(motifs={name: PLANTED[name] for name in WORDS}, count=140, length=60)
    return positives(data)[0]


@pytest.fixture(scope="module")
def analyzer():
    return GenomicMotifAnalyzer(Scanner())


@pytest.fixture(scope="module")
def results(analyzer, sequences):
    database = dict(list(read_database()[1].items())[:60]) | PLANTED
    return analyzer.discover_motifs(sequences, references=2, database=database, seed=4)


def turned(word):
    return word.translate(str.maketrans("ACGT", "TGCA"))[::-1]


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_both_motifs_are_found_named_and_told(results):
    assert len(results) == results["count"] == 2
    found = {motif.name: motif.consensus.upper() for motif in results["top_motifs"]}
    for name, word in WORDS.items():
        match = [motif for motif, text in found.items() if word in text or turned(word) in text]
        assert len(match) == 1
        row = results.matches.best(match[0])
        assert results.matches.targets[row] == name
        assert results.matches.q_values[row] < 1e-3
    table = results.to_dataframe().set_index("motif")
    assert sorted(table["match"]) == sorted(WORDS)
    assert (table["match_q"] < 1e-3).all()
    assert len(table) == 2


def test_the_analyzer_is_its_parts(results, analyzer, sequences):
    """The attributions are those of the sequences, and the discovery is that of the function."""
    assert [record.sequence for record in results["attributions"]] == sequences
    assert {record.references for record in results.attributions} == {2}
    null = null_attributions(analyzer.model, analyzer.tokenizer, sequences, "motifs", seed=4, references=2)
    again = discover_motifs(results.attributions, null)
    for one, other in zip(results.motifs, again.motifs, strict=True):
        np.testing.assert_array_equal(one.contributions, other.contributions)
    assert results["null"] == f"{len(sequences)} shuffled sequences"
    assert set(results.keys()) >= {"top_motifs", "discovered_patterns", "count", "matches", "attributions", "reason"}


def test_shuffled_sequences_hold_nothing_and_the_result_says_so(analyzer, sequences):
    generator = np.random.default_rng(0)
    shuffled = ["".join(generator.permutation(list(sequence))) for sequence in sequences[:40]]
    nothing = analyzer.discover_motifs(shuffled, references=2)
    assert nothing["count"] == 0
    assert nothing["reason"]
    assert nothing["advice"]
    assert len(nothing.matches) == 0
    assert nothing.to_dataframe().empty
    for plot in (analyzer.plot_motif_conservation, analyzer.plot_motif_positions):
        with pytest.raises(DataError, match="No motif was found"):
            plot(nothing)


def test_every_figure_shows_what_was_found(results, analyzer):
    logo = analyzer.create_motif_logo(results.motifs[0])
    assert results.motifs[0].name in logo.layout.title.text
    assert len(analyzer.plot_motif_conservation(results).data[0].y) == 2
    assert "strand as given" in {trace.name for trace in analyzer.plot_motif_positions(results).data}
    assert "1 pair" in analyzer.plot_motif_cooccurrence(results).layout.meta["alt"]
    for which in (results.motifs[1], results.motifs[1].name):
        assert results.motifs[1].name in analyzer.plot_motif_match(results, which).layout.title.text


def test_names_may_be_left_out(analyzer, sequences):
    plain = analyzer.discover_motifs(sequences[:5], references=2, database=False)
    assert plain.matches is None
    assert "match" not in plain.to_dataframe()
    with pytest.raises(DataError, match="No names were looked up"):
        analyzer.plot_motif_match(plain, "motif 1")


@pytest.mark.parametrize("sequences", ["ACGT", [], ()])
def test_one_sequence_is_no_list_of_them(analyzer, sequences):
    with pytest.raises(DataError, match="pass a list of them"):
        analyzer.discover_motifs(sequences)


# --- files ------------------------------------------------------------------------------------------------------------


def test_meme_and_back(results, analyzer, tmp_path):
    again = read_meme(analyzer.to_meme(results, tmp_path / "found.meme"))
    assert len(again) == 2
    for motif in results.motifs:
        name = next(key for key in again if key.startswith(motif.name.replace(" ", "_") + " "))
        assert name.split()[1] in WORDS
        np.testing.assert_allclose(again[name], motif.frequencies, atol=1e-6)
    text = (tmp_path / "found.meme").read_text()
    assert all(f"nsites= {motif.sequences}" in text for motif in results.motifs)


def test_without_names_the_consensus_stands_in_the_file(results, tmp_path):
    again = read_meme(motifs_to_meme(results.motifs, tmp_path / "found.meme"))
    assert [name.split()[1] for name in again] == [motif.consensus for motif in results.motifs]
    with pytest.raises(DataError, match="0 motifs"):
        motifs_to_meme((), tmp_path / "none.meme")


# --- together ---------------------------------------------------------------------------------------------------------


def standing(name, rows):
    places = np.array([[row, 0, 1] for row in rows])
    return Motif(name, tuple("ACGT"), np.eye(4), np.eye(4), "ACGT", sequences=len(rows), instances=places)


def test_cooccurrence_by_hand():
    """a in 0 to 5 (twice in 0), b in 3 to 8, c in 9: of ten sequences three have a and b."""
    motifs = (standing("a", [0, 0, 1, 2, 3, 4, 5]), standing("b", [3, 4, 5, 6, 7, 8]), standing("c", [9]))
    table = motif_cooccurrence(MotifDiscovery(motifs, np.full(10, 60))).set_index(["first", "second"])
    counts = table[["both", "first_alone", "second_alone", "neither"]]
    assert counts.loc[("a", "b")].tolist() == [3, 3, 3, 1]
    assert counts.loc[("a", "c")].tolist() == [0, 6, 1, 3]
    assert table["expected"].tolist() == pytest.approx([3.6, 0.6, 0.6])
    assert table.loc[("a", "b"), "log2_odds"] == pytest.approx(np.log2(3.5 * 1.5 / 3.5**2))
    assert table.loc[("a", "b"), "p_value"] == pytest.approx(fisher_exact([[3, 3], [3, 1]]).pvalue)
    assert (table["q_value"] >= table["p_value"]).all()


def test_motifs_that_keep_company_and_those_that_avoid_each_other_are_told_apart():
    motifs = (standing("a", range(30)), standing("b", range(28)), standing("c", range(30, 60)))
    table = motif_cooccurrence(MotifDiscovery(motifs, np.full(60, 60))).set_index(["first", "second"])
    assert table.loc[("a", "b"), "log2_odds"] > 5
    assert table.loc[("a", "c"), "log2_odds"] < -5
    assert (table["q_value"] < 1e-6).all()


def test_one_motif_has_no_pairs():
    assert motif_cooccurrence(MotifDiscovery((standing("a", [0]),), np.full(3, 60))).empty


def test_a_target_is_the_class_that_is_predicted_most(sequences):
    """Two classes, of which the second has all scores: nobody said so, and it is explained."""

    class Two(Scanner):
        device = torch.device("cpu")

        def __init__(self):
            super().__init__()
            self.config = SimpleNamespace(id2label={0: "no", 1: "yes"}, num_labels=2, pad_token_id=4)

        def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, pooling_mask=None):
            return super().forward(self.table(input_ids) if inputs_embeds is None else inputs_embeds, pooling_mask)

        def score(self, embeddings):
            found = super().score(embeddings)
            return torch.cat([torch.zeros_like(found), found], 1)

    results = GenomicMotifAnalyzer(Two()).discover_motifs(sequences[:5], references=2, database=False)
    assert results["target"] == "yes"
