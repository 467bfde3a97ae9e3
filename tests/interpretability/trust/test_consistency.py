"""Consistency: counters that care for strand and place, or do not, and noise and null rates that are known."""

from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.data.alphabets import reverse_complement
from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.interpretability.trust.consistency import (
    NullWindows,
    baseline_agreement,
    highest_window,
    moved,
    null_windows,
    reference_noise,
    shift_consistency,
    strand_consistency,
)
from genomic_lens.interpretability.trust.randomisation import explainer
from genomic_lens.model import HyenaGLTForSequenceClassification

from ..conftest import build_model
from ..toys import TOKENIZER, Counter, Linear, by_chance, draw

MEAN = explainer(TOKENIZER, baseline="mean")


def explained(model, sequences):
    return attribute(model, TOKENIZER, sequences, 0, baseline="mean")


# --- strand and place -------------------------------------------------------------------------------------------------


def test_a_palindrome_counts_the_same_on_both_strands():
    model = Counter("GAATTC")
    found = strand_consistency(model, TOKENIZER, explained(model, draw(3, 40, "GAATTC")), MEAN)
    assert found.moved == 0
    np.testing.assert_allclose(found.correlation, 1)


def test_a_motif_with_a_direction_is_gone_on_the_other_strand():
    model, sequences = Counter("GATTACA"), draw(3, 40, "GATTACA")
    found = strand_consistency(model, TOKENIZER, explained(model, sequences), MEAN)
    assert found.moved == pytest.approx(1, abs=0.05)
    assert np.nan_to_num(found.correlation).max() < 0.3


def test_the_other_strand_is_compared_base_by_base():
    """Weights that read the other strand as the first is read: turned round, and of the complements."""
    model, twin = Linear(20), Linear(20)
    weights = model.head.weight.data.view(20, 12)
    turned = weights.flip(0).clone()
    turned[:, 7:11] = weights.flip(0)[:, 7:11].flip(1)
    twin.head.weight.data.copy_((weights + turned).flatten()[None])
    sequences = draw(2, 20)
    found = strand_consistency(twin, TOKENIZER, explained(twin, sequences), MEAN)
    assert found.moved < 1e-9
    np.testing.assert_allclose(found.correlation, 1)
    other = explained(twin, [reverse_complement(sequence) for sequence in sequences])
    for record, turned in zip(explained(twin, sequences), other, strict=True):
        np.testing.assert_allclose(turned.values[::-1], record.values, atol=1e-12)


def test_moving_keeps_the_length_and_fills_with_n():
    assert moved("ACGT", 2) == "NNAC"
    assert moved("ACGT", -3) == "TNNN"


def test_a_counter_does_not_mind_where_its_motif_stands():
    model = Counter("GATTACA")
    found = shift_consistency(model, TOKENIZER, explained(model, draw(3, 40, "GATTACA")), MEAN, shifts=(-3, 1, 5))
    assert len(found.change) == 9
    assert found.moved == 0
    np.testing.assert_allclose(found.correlation, 1)


def test_weights_at_fixed_places_mind():
    model = Linear(60)
    found = shift_consistency(model, TOKENIZER, explained(model, draw(4, 60)), MEAN)
    assert found.moved > 0.5
    assert abs(found.correlation.mean()) < 0.3


@pytest.mark.parametrize("shifts", [(0,), (1, -10)])
def test_shifts_that_are_none_or_too_long_are_refused(shifts):
    with pytest.raises(ConfigurationError, match="expected some of 1 to 9"):
        shift_consistency(Linear(10), TOKENIZER, explained(Linear(10), draw(1, 10)), MEAN, shifts=shifts)


# --- references and baselines -----------------------------------------------------------------------------------------


def test_noise_is_the_standard_error_that_more_references_make_smaller():
    """The predicted noise of 10 references is what 60 draws of 10 references show."""
    model, sequence = Linear(30), draw(1, 30)[0]
    records = [attribute(model, TOKENIZER, sequence, 0, references=10, seed=seed)[0] for seed in range(60)]
    values = np.stack([record.values for record in records])
    shown = values.var(0).mean() / (values.mean(0) ** 2).mean()
    assert np.mean([reference_noise(record) for record in records]) == pytest.approx(shown, rel=0.25)
    more = attribute(model, TOKENIZER, sequence, 0, references=200)[0]
    assert reference_noise(more) < 0.1 * reference_noise(records[0])


def test_one_reference_has_no_noise_to_tell():
    assert np.isnan(reference_noise(explained(Linear(10), draw(1, 10))[0]))


def test_baselines_agree_where_they_ask_the_same_and_not_where_weights_say_otherwise():
    """With weights that sum to 0 over the letters, zero and the mean of the bases are the same reference."""
    model, sequences = Linear(40), draw(2, 40)
    weights = model.head.weight.data.view(40, 12)
    weights[:, 7:11] -= weights[:, 7:11].mean(1, keepdim=True)
    same = baseline_agreement(model, TOKENIZER, explained(model, sequences), ("mean", "zero"))
    assert same["correlation"].tolist() == pytest.approx([1])
    weights[:, 7:11] += 5 * weights[:, 9:10].clone()
    other = baseline_agreement(model, TOKENIZER, explained(model, sequences), ("mean", "zero"))
    assert other["correlation"][0] < 0.6


def test_models_of_words_are_compared_against_sequences_alone():
    model = build_model(HyenaGLTForSequenceClassification, kmer_sizes=(3,))
    records = attribute(model, TOKENIZER, draw(2, 30), 0, references=3)
    table = baseline_agreement(model, TOKENIZER, records, references=3)
    assert set(table["first"]) | set(table["second"]) == {"shuffled", "random", "n"}
    assert np.isfinite(table["correlation"]).all()


def test_a_single_baseline_is_nothing_to_compare():
    with pytest.raises(ConfigurationError, match="at least two"):
        baseline_agreement(Linear(10), TOKENIZER, explained(Linear(10), draw(1, 10)), ("mean", "mean"))


# --- nothing where there is nothing -----------------------------------------------------------------------------------


def test_the_highest_window_is_the_largest_sum_in_a_row():
    values = np.array([0, 3.0, -1, 3, np.nan, 0.5])
    assert [highest_window(values, width) for width in (1, 2, 3, 99)] == [3, 3, 5, 5.5]


def test_the_rate_counts_null_windows_as_high_as_the_best_real_ones():
    found = NullWindows(np.array([1.0, 2, 3, 4, 5]), np.array([0.0, 1, 2, 9]))
    assert [found.rate(keep) for keep in (1.0, 0.75, 0.25)] == [0.75, 0.5, 0.25]


def test_a_planted_motif_is_gone_in_shuffled_sequences_and_chance_is_not():
    model, sequences = Counter("GATTACAG"), draw(10, 40, "GATTACAG")
    assert null_windows(model, TOKENIZER, explained(model, sequences), MEAN).rate() == 0
    chance = [by_chance(model, sequence, 0) for sequence in sequences]
    assert null_windows(model, TOKENIZER, chance, by_chance).rate() > 0.5


def test_shuffles_have_a_seed():
    model, sequences = Linear(30), draw(2, 30)
    records = explained(model, sequences)
    first, again, other = (null_windows(model, TOKENIZER, records, MEAN, seed=seed).null for seed in (1, 1, 9))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6


def test_what_explains_is_asked_with_the_target_of_the_record():
    asked = []

    def explain(model, sequence, target):
        asked.append(target)
        return MEAN(model, sequence, 0)

    records = [replace(record, target="mine") for record in explained(Linear(20), draw(2, 20))]
    strand_consistency(Linear(20), TOKENIZER, records, explain)
    shift_consistency(Linear(20), TOKENIZER, records, explain)
    null_windows(Linear(20), TOKENIZER, records, explain)
    assert asked == ["mine"] * (2 + 4 + 4)
