"""Pairs of bases: only those that work together show up."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability import dependency_map
from genomic_lens.interpretability.mutations.dependencies import log_odds
from genomic_lens.model import (
    HyenaGLTForCausalLM,
    HyenaGLTForSequenceClassification,
    HyenaGLTForTokenClassification,
)
from genomic_lens.records import DependencyMap
from tests.model.chunks.test_stages import WAYS, small_model

from ..conftest import build_model
from ..scorers import Both, Linear

SEQUENCE = "CAGGTAAGTNACG"


def test_log_odds_are_those_of_the_probabilities():
    scores = torch.tensor([[3.0, -1.0, 0.5, 0.0], [80.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    chances = scores.softmax(-1)
    expected = torch.log2(chances[0] / (1 - chances[0]))
    torch.testing.assert_close(log_odds(scores)[0], expected)
    assert log_odds(scores)[1, 0] == pytest.approx((80 - np.log(3)) / np.log(2)), "also where 1 - p rounds to 0"


def test_only_the_pair_that_works_together_has_epistasis():
    found = dependency_map(Both({1: "A", 4: "T"}, worth=2.0, each=0.7), DNATokenizer(), "CAGGTA", target=0)
    expected = np.zeros((6, 6))
    expected[1, 4] = expected[4, 1] = 2.0  # f(ab) - f(a) - f(b) + f = 0 - 0.7 - 0.7 + (2 + 1.4) less both singles
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-5)
    assert (found.kind, found.target) == ("epistasis", "score")


def test_a_pair_that_is_not_there_shows_where_it_could_be_made():
    """Of C and T only T stands there: making the C changes nothing unless T is there, and the excess is negative."""
    found = dependency_map(Both({1: "C", 4: "T"}), DNATokenizer(), "CAGGTA", target=0)
    assert found.matrix[1, 4] == pytest.approx(-1)
    found.matrix[[1, 4], [4, 1]] = 0
    assert np.nanmax(np.abs(found.matrix)) < 1e-6


def test_a_linear_scorer_has_none():
    weights = np.random.default_rng(0).normal(size=(13, 4))
    found = dependency_map(Linear(weights), DNATokenizer(), SEQUENCE, target=0)
    assert np.nanmax(np.abs(found.matrix)) < 1e-5
    assert np.isnan(found.matrix[9]).all()
    assert np.isnan(found.matrix[:, 9]).all()


def brute_force(model, tokenizer, sequence, answers):
    """Largest change of log2 odds, from probabilities, one variant at a time."""

    def odds(bases):
        with torch.no_grad():
            chances = answers(model(torch.from_numpy(tokenizer.encode(bases))[None]).logits[0]).softmax(-1)
        return torch.log2(chances / (1 - chances))

    own, found = odds(sequence), np.zeros((len(sequence), len(sequence)))
    for place in range(len(sequence)):
        for letter in "ACGT":
            variant = odds(sequence[:place] + letter + sequence[place + 1 :])
            found[place] = np.maximum(found[place], (variant - own).abs().amax(-1).numpy())
    return found


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("special", ["none", "cls_sep"])
def test_a_language_models_map_is_that_of_brute_force(fast, special):
    model, tokenizer = build_model(HyenaGLTForCausalLM, dtype=torch.float64).eval(), DNATokenizer(special=special)
    record = dependency_map(model, tokenizer, SEQUENCE, fast=fast)
    first = special == "cls_sep"
    expected = brute_force(
        model, tokenizer, SEQUENCE,
        lambda logits: torch.cat([logits[:1] * 0, logits])[first : first + 13, 7:11],
    )  # fmt: skip
    np.fill_diagonal(expected, np.nan)
    expected[9] = expected[:, 9] = np.nan
    if not first:
        expected[:, 0] = np.nan  # nothing stands before the first base
    np.testing.assert_allclose(record.matrix, expected, atol=1e-8)
    assert record.kind == "log-odds"
    assert np.nanmax(record.matrix) > 0.1


def test_what_comes_later_is_all_that_can_depend_on_a_base():
    record = dependency_map(build_model(HyenaGLTForCausalLM, dtype=torch.float64), DNATokenizer(), SEQUENCE)
    assert np.nanmax(record.matrix[np.tril_indices(13, -1)]) < 1e-12


@pytest.mark.parametrize("options", [{}, {"two_sided": True}])
def test_a_token_classifiers_map_is_that_of_brute_force(options):
    model = build_model(HyenaGLTForTokenClassification, dtype=torch.float64, **options).eval()
    record = dependency_map(model, DNATokenizer(), SEQUENCE, start=2, stop=8)
    expected = brute_force(model, DNATokenizer(), SEQUENCE, lambda logits: logits)[2:8, 2:8]
    np.testing.assert_allclose(record.matrix, expected, atol=1e-8)
    assert record.bases == (2, 8)


@pytest.mark.parametrize("way", ["routing", "patches"])
def test_models_that_cut_chunks(way):
    model = small_model(HyenaGLTForTokenClassification, WAYS[way])
    record = dependency_map(model, DNATokenizer(), SEQUENCE, stop=6)
    expected = brute_force(model, DNATokenizer(), SEQUENCE, lambda logits: logits)[:6, :6]
    np.testing.assert_allclose(record.matrix, expected, atol=1e-8)


def test_epistasis_of_one_base_of_a_language_model():
    """Pairs that include a later base do nothing together."""
    model = build_model(HyenaGLTForCausalLM, dtype=torch.float64)
    record = dependency_map(model, DNATokenizer(), SEQUENCE, ("base", 6), stop=8)
    assert np.nanmax(np.abs(record.matrix[6:])) < 1e-9
    assert np.nanmax(np.abs(record.matrix[:6, :6])) > 1e-3
    np.testing.assert_array_equal(record.matrix, record.matrix.T)


def test_the_fast_way_is_exact():
    model = build_model(dtype=torch.float64)
    fast, plain = (dependency_map(model, DNATokenizer(), SEQUENCE, 0, stop=6, fast=way) for way in (True, False))
    np.testing.assert_allclose(np.abs(fast.matrix), np.abs(plain.matrix), atol=1e-9)


def test_the_record_comes_back_and_tabulates(tmp_path):
    record = dependency_map(build_model(HyenaGLTForCausalLM), DNATokenizer(), SEQUENCE, start=3, stop=6)
    again = DependencyMap.load(record.save(tmp_path / "map.npz"))
    np.testing.assert_array_equal(again.matrix, record.matrix)
    table = again.to_dataframe()
    assert table[["changed", "looked_at"]].to_numpy()[:4].tolist() == [[3, 3], [3, 4], [3, 5], [4, 3]]


def test_a_model_of_one_answer_needs_a_target():
    with pytest.raises(ConfigurationError, match="HyenaGLTForSequenceClassification came without a target"):
        dependency_map(build_model(HyenaGLTForSequenceClassification), DNATokenizer(), SEQUENCE)
