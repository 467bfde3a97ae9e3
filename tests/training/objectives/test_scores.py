"""Scores by hand, against scikit-learn, and where they are undefined."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer, KmerTokenizer
from genomic_lens.errors import DataError
from genomic_lens.training.monitoring.resources import bases_per_token
from genomic_lens.training.multi.modalities import ModalityTokenizer
from genomic_lens.training.objectives.scores import auroc, bases_of_tokens, language_scores, language_sums, score


@pytest.fixture
def several():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, (80, 3)).astype(np.float32)
    logits = truth * 1.5 + generator.normal(size=truth.shape)
    truth[::5, 1], truth[:, 2] = np.nan, 1
    return truth, logits


def test_the_area_under_the_curve_is_that_of_scikit_learn_also_with_ties():
    generator = np.random.default_rng(0)
    for _ in range(20):
        truth, chances = generator.integers(0, 2, 30), generator.integers(0, 6, 30) / 6
        assert auroc(truth, chances) == pytest.approx(roc_auc_score(truth, chances))


def test_each_label_is_scored_where_it_is_known_and_the_mean_where_it_is_defined(several):
    truth, logits = several
    found = score(HyenaGLTConfig(id2label={0: "a", 1: "b", 2: "c"}), logits, truth, "multi_label", resamples=50)
    known = ~np.isnan(truth[:, 1])
    first = roc_auc_score(truth[:, 0], logits[:, 0])
    second = roc_auc_score(truth[known, 1], logits[known, 1])
    assert found["auroc_a"].value == pytest.approx(first)
    assert found["auroc_b"].value == pytest.approx(second)
    assert np.isnan(found["auroc_c"].value)
    assert found["auroc_c"].resamples == 0
    assert found["auroc"].value == pytest.approx((first + second) / 2)
    assert found["auroc"].low < found["auroc"].value < found["auroc"].high
    precision = average_precision_score(truth[known, 1], logits[known, 1])
    assert found["auprc_b"].value == pytest.approx(precision)
    assert set(found) == {f"{name}{end}" for name in ("auroc", "auprc") for end in ("", "_a", "_b", "_c")}


def test_means_alone_while_training_and_chosen_metrics(several):
    truth, logits = several
    assert set(score(None, logits, truth, "multi_label", each=False, resamples=0)) == {"auroc", "auprc"}
    assert set(score(None, logits, truth, "multi_label", metrics=["auprc"], resamples=0)) == {
        "auprc", "auprc_0", "auprc_1", "auprc_2",
    }  # fmt: skip
    with pytest.raises(DataError, match="Unknown metric 'accuracy'"):
        score(None, logits, truth, "multi_label", metrics=["accuracy"])


def test_several_values_are_scored_one_by_one():
    truth = np.array([[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]])
    found = score(None, truth + [[1.0, 2.0]], truth, "regression", resamples=0)
    assert (found["mae_0"].value, found["mae_1"].value, found["mae"].value) == pytest.approx((1, 2, 1.5))
    assert found["pearson_0"].value == pytest.approx(1)


def test_whole_numbers_may_be_values():
    found = score(None, np.array([[1.0], [3.0]]), np.array([1, 2]), "regression", resamples=0, metrics=["mae"])
    assert found["mae"].value == 0.5


def test_classes_of_bases_are_scored_where_they_are_known():
    logits = np.zeros((2, 3, 2))
    logits[..., 1] = [[1, 1, -1], [1, -1, -100]]
    labels = np.array([[1, 0, 0], [1, 0, -100]])
    found = score(None, logits, labels, "token_classification", resamples=0)
    assert found["accuracy"].value == pytest.approx(4 / 5)
    assert found["accuracy"].items == 5


# --- language -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [True, False])
def test_bits_a_base_by_hand(causal):
    """Bases alone are counted: neither the N, nor [SEP], nor what has no label."""
    torch.manual_seed(0)
    bases = bases_of_tokens(HyenaGLTConfig(vocab_size=12), DNATokenizer())
    labels = torch.tensor([[7, 8, 11, 9, 1], [10, 10, -100, 7, -100]])
    logits = torch.randn(2, 5, 16)
    sums = language_sums(logits, labels, bases, causal)
    chances = logits[..., :12].double().log_softmax(-1)
    places = [(0, 1), (0, 3), (1, 1), (1, 3)] + ([] if causal else [(0, 0), (1, 0)])
    at = {place: chances[place[0], place[1] - causal] for place in places}
    surprise = -sum(at[place][labels[place]].item() for place in places)
    found = language_scores(sums.numpy(), resamples=0)
    assert found["bits_per_base"].value == pytest.approx(surprise / len(places) / np.log(2), rel=1e-5)
    assert found["perplexity"].value == pytest.approx(np.exp(surprise / len(places)), rel=1e-5)
    right = np.mean([at[place].argmax() == labels[place] for place in places])
    assert found["accuracy"].value == pytest.approx(right)


def test_words_are_scored_by_the_bases_they_add():
    """Six letters in two words of three, each with a chance of 1/64: two bits a base, as for letters at 1/4."""
    words = KmerTokenizer(k=3)
    bases = bases_of_tokens(HyenaGLTConfig(vocab_size=len(words)), words)
    ids = torch.from_numpy(words.encode("ACGTTT"))[None]
    logits = torch.full((1, 2, len(words)), -1e9)
    logits[..., 12:] = 0
    found = language_scores(language_sums(logits, ids, bases, causal=False).numpy(), resamples=0)
    assert found["bits_per_base"].value == pytest.approx(2)
    assert found["perplexity"].value == pytest.approx(64)
    overlapping = KmerTokenizer(k=3, overlapping=True)
    assert set(bases_of_tokens(HyenaGLTConfig(vocab_size=len(overlapping)), overlapping).tolist()) == {0, 1}


@pytest.mark.parametrize("modality", ["dna", "rna", "protein"])
def test_the_name_of_an_alphabet_before_a_letter_is_no_letter(modality):
    """Letters of another alphabet, such as protein:A, are one residue each, as they are in the log of a run."""
    words = ModalityTokenizer(modality)
    known = set(range(7, len(words))) - set(words.masked_ids)
    config = HyenaGLTConfig(vocab_size=len(words), masked_token_ids=words.masked_ids)
    assert bases_of_tokens(config, words).nonzero().flatten().tolist() == sorted(known)
    assert bases_of_tokens(config, words).max() == 1
    assert bases_per_token(len(words), (), words).tolist() == bases_of_tokens(config, words).tolist()
