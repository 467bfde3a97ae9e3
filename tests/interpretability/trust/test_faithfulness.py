"""Faithfulness: exact on a linear model, by brute force on small ones, and numbers by chance are found out."""

import captum.metrics
import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.interpretability.trust.faithfulness import (
    mutagenesis_agreement,
    perturbation_curves,
    put_back,
    rank_correlation,
    replacement_changes,
    sequence_outputs,
    shuffled_copies,
)
from genomic_lens.model import HyenaGLTForRegression, HyenaGLTForTokenClassification

from ..conftest import build_model
from ..toys import TOKENIZER, Counter, Linear, by_chance, draw

SEQUENCE = "CAGGTAAGTNNCCTTTCAGGA"


def outputs_one_by_one(model, sequences):
    rows = [torch.from_numpy(TOKENIZER.encode(sequence))[None] for sequence in sequences]
    return np.array([model(input_ids=ids).logits.item() for ids in rows])


# --- what the checks share --------------------------------------------------------------------------------------------


def test_outputs_are_those_that_attributions_explain_whatever_the_batch_and_the_order():
    model = build_model(dtype=torch.float64)
    sequences = [SEQUENCE, "ACGTACGT", SEQUENCE, "GATTACA"]
    outputs = sequence_outputs(model, DNATokenizer(), sequences, "acceptor", batch_size=2)
    alone = [attribute(model, DNATokenizer(), item, "acceptor", references=1)[0].output for item in sequences]
    np.testing.assert_allclose(outputs, alone, atol=1e-12)
    assert np.ptp(outputs) > 0.01


def test_a_regression_model_is_read_as_it_is():
    model = build_model(HyenaGLTForRegression, id2label={0: "value"}, dtype=torch.float64).eval()
    logits = model(torch.from_numpy(TOKENIZER.encode(SEQUENCE))[None]).logits
    assert sequence_outputs(model, TOKENIZER, [SEQUENCE], 0) == pytest.approx(logits.item())


def test_a_model_that_answers_for_each_base_is_refused():
    with pytest.raises(ModelError, match="one answer for each sequence"):
        sequence_outputs(build_model(HyenaGLTForTokenClassification), TOKENIZER, [SEQUENCE], 0)


def test_rank_correlation_leaves_out_masked_bases_and_says_when_nothing_varies():
    assert rank_correlation(np.array([1, 2, np.nan, 9]), np.array([-1, -2, 5, -3.0])) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
    assert np.isnan(rank_correlation(np.array([1, np.nan, 2]), np.arange(3.0)))


def test_shuffled_copies_are_the_references_of_attributions():
    """The same letters, dinucleotide counts, and masked bases in place; a copy for each rank."""
    copies = shuffled_copies(TOKENIZER, SEQUENCE, 5, seed=3)
    assert len(set(copies)) > 1
    for copy in copies:
        assert sorted(copy) == sorted(SEQUENCE)
        assert copy[9:11] == "NN"
    assert copies == shuffled_copies(TOKENIZER, SEQUENCE, 5, seed=3) != shuffled_copies(TOKENIZER, SEQUENCE, 5, seed=4)


# --- taking away and putting back -------------------------------------------------------------------------------------


def test_bases_come_back_in_order_and_masked_ones_never_leave():
    values = np.array([0.1, np.nan, 0.9, 0.5])
    own = put_back(values, np.array([2, 3, 0]), np.linspace(0, 1, 4))
    assert own.astype(int).tolist() == [[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1]]


def test_curves_are_the_outputs_of_the_sequences_that_they_say():
    """By brute force: mix each sequence with its copies by hand, and ask one by one."""
    model, sequences = Linear(12), draw(2, 12)
    records = attribute(model, TOKENIZER, sequences, 0, baseline="mean")
    curves = perturbation_curves(model, TOKENIZER, records, steps=4, references=3, orders=2, seed=5)
    for row, record in enumerate(records):
        best = np.argsort(-record.values)
        for step, count in enumerate([0, 3, 6, 9, 12]):
            mixed = {"insertion": [], "deletion": []}
            for copy in shuffled_copies(TOKENIZER, record.sequence, 3, seed=5):
                for name, kept in (("insertion", set(best[:count])), ("deletion", set(best[count:]))):
                    letters = [record.sequence[base] if base in kept else copy[base] for base in range(12)]
                    mixed[name].append("".join(letters))
            for name, asked in mixed.items():
                assert getattr(curves, name)[row, step] == pytest.approx(outputs_one_by_one(model, asked).mean())
    np.testing.assert_allclose(curves.random[:, :, -1], np.broadcast_to(curves.insertion[:, -1], (2, 2)))
    np.testing.assert_allclose(curves.random[:, :, 0], np.broadcast_to(curves.deletion[:, -1], (2, 2)))


@pytest.mark.parametrize("model", [Linear(30), Counter("GATTA")], ids=["linear", "counter"])
def test_right_contributions_beat_every_random_order_and_chance_does_not(model):
    sequences = draw(4, 30, "GATTA")
    records = attribute(model, TOKENIZER, sequences, 0)
    right = perturbation_curves(model, TOKENIZER, records)
    assert right.p_values == {"insertion": 1 / 40, "deletion": 1 / 40}
    assert min(right.gains.values()) > 0.05
    chance = perturbation_curves(model, TOKENIZER, [by_chance(model, item, 0) for item in sequences])
    assert max(chance.p_values.values()) > 0.2


def test_contributions_turned_around_are_the_worst_order():
    model, sequences = Linear(20), draw(3, 20)
    records = attribute(model, TOKENIZER, sequences, 0)
    turned = [type(record)(**vars(record) | {"values": -record.values}) for record in records]
    curves = perturbation_curves(model, TOKENIZER, turned)
    assert curves.p_values == {"insertion": 1.0, "deletion": 1.0}
    assert max(curves.gains.values()) < 0


def test_the_same_seed_gives_the_same_curves():
    model, record = Linear(12), attribute(Linear(12), TOKENIZER, draw(1, 12), 0)
    first, again, other = (perturbation_curves(model, TOKENIZER, record, orders=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.random, again.random)
    assert np.abs(first.random - other.random).max() > 1e-3


def test_nothing_to_perturb_is_refused():
    with pytest.raises(ConfigurationError, match="attributions=0"):
        perturbation_curves(Linear(4), TOKENIZER, [])
    with pytest.raises(ConfigurationError, match="orders=0"):
        perturbation_curves(Linear(4), TOKENIZER, attribute(Linear(4), TOKENIZER, "ACGT", 0), orders=0)


# --- substitutions ----------------------------------------------------------------------------------------------------


def test_agreement_is_perfect_for_a_linear_model_and_absent_by_chance():
    model, sequences = Linear(40), draw(4, 40)
    records = attribute(model, TOKENIZER, sequences, 0, baseline="mean")
    np.testing.assert_allclose(mutagenesis_agreement(model, TOKENIZER, records), 1, atol=1e-9)
    chance = mutagenesis_agreement(model, TOKENIZER, [by_chance(model, item, 0) for item in sequences])
    assert abs(chance.mean()) < 0.25


# --- several at once --------------------------------------------------------------------------------------------------


def test_a_linear_model_is_foretold_in_full_whatever_the_baseline():
    for baseline in ("mean", "shuffled", "zero"):
        record = attribute(Linear(30), TOKENIZER, draw(1, 30), 0, baseline=baseline)[0]
        found = replacement_changes(Linear(30), TOKENIZER, record, count=40, share=0.2)
        np.testing.assert_allclose(found.promised, found.actual, atol=1e-9)
        assert found.infidelity == pytest.approx(0, abs=1e-9)
        assert np.abs(found.actual).max() > 0.01


def test_infidelity_is_captums(make_model, tokenizer):
    """Captum's normalized infidelity over the same replacements, in units of the mean square change."""
    model = make_model(dtype=torch.float64)
    record = attribute(model, tokenizer, "CAGGTAAGTATTTACCAGTC", "donor", references=3)[0]
    found = replacement_changes(model, tokenizer, record, count=30, share=0.2, seed=4)
    one_hot = torch.tensor([[letter == base for letter in "ACGT"] for base in record.sequence], dtype=torch.float64)
    generator, drawn = np.random.default_rng(4), []
    for _ in range(30):
        bases, letters = generator.choice(20, 4, replace=False), generator.integers(4, size=4)
        changed = one_hot.clone()
        changed[bases] = torch.eye(4, dtype=torch.float64)[letters]
        drawn.append(changed)

    def forward(inputs):
        sequences = ["".join("ACGT"[letter] for letter in row) for row in inputs.argmax(-1)]
        return torch.from_numpy(sequence_outputs(model, tokenizer, sequences, "donor"))

    changed, multipliers = torch.stack(drawn), torch.from_numpy(record.hypothetical)[None]
    expected = captum.metrics.infidelity(
        forward, lambda inputs: (one_hot - changed, changed), one_hot[None], multipliers, n_perturb_samples=30,
        normalize=True,
    )  # fmt: skip
    assert found.infidelity == pytest.approx(expected.item() / np.mean(found.actual**2), rel=1e-6)
    assert 0.05 < found.infidelity < 1


def test_contributions_without_other_letters_foretell_nothing():
    record = attribute(Linear(10), TOKENIZER, draw(1, 10), 0, method="occlusion")[0]
    with pytest.raises(ConfigurationError, match="hypothetical"):
        replacement_changes(Linear(10), TOKENIZER, record)
