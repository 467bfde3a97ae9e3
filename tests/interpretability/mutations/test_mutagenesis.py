"""All edits of one base: known for scorers solved by hand, equal to the peer's for models that are not."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability import mutagenesis
from genomic_lens.interpretability.mutations.edits import ONWARDS, WHOLE
from genomic_lens.model import HyenaGLTForCausalLM
from genomic_lens.records import Mutagenesis

from ..conftest import build_model
from ..peers import OneHot, one_hot
from ..scorers import Linear

SEQUENCE = "CAGGTAAGTACGTTGCATTGACCAGTTC"


def test_effects_on_a_linear_scorer_are_differences_of_weights():
    weights = np.random.default_rng(0).normal(size=(6, 4))
    record = mutagenesis(Linear(weights), DNATokenizer(), "CAGNTA", 0, ("substitutions",))
    own = [weights[place, "ACGT".index(base)] if base != "N" else np.nan for place, base in enumerate("CAGNTA")]
    np.testing.assert_allclose(record.substitutions, weights - np.array(own)[:, None], atol=1e-6)
    assert record.kinds == ("substitutions",)
    assert record.insertions is None
    np.testing.assert_allclose(record.contributions(), own - weights.mean(1), atol=1e-6)
    np.testing.assert_allclose(record.hypothetical()[0], weights[0] - weights[0].mean(), atol=1e-6)


def test_insertions_and_deletions_move_what_follows():
    weights = np.random.default_rng(0).normal(size=(12, 4))
    score = lambda bases: sum(weights[place, "ACGT".index(base)] for place, base in enumerate(bases))  # noqa: E731
    record = mutagenesis(Linear(weights), DNATokenizer(), "CAGGTA", 0)
    for place in range(6):
        for column, letter in enumerate("ACGT"):
            inserted = "CAGGTA"[:place] + letter + "CAGGTA"[place:]
            assert record.insertions[place, column] == pytest.approx(score(inserted) - score("CAGGTA"), abs=1e-5)
        deleted = "CAGGTA"[:place] + "CAGGTA"[place + 1 :]
        assert record.deletions[place] == pytest.approx(score(deleted) - score("CAGGTA"), abs=1e-5)
    kept = mutagenesis(Linear(weights), DNATokenizer(), "CAGGTA", 0, keep_length=True)
    assert kept.insertions[0, 3] == pytest.approx(score("TCAGGT") - score("CAGGTA"), abs=1e-5)
    assert kept.deletions[0] == pytest.approx(score("AGGTA") - score("CAGGTA"), abs=1e-5)
    assert kept.length_kept
    assert not record.length_kept


@pytest.mark.parametrize("options", [{}, {"hyena_order": 3, "pooling": "last"}, {"kmer_sizes": (2, 4)}])
def test_the_fast_way_is_exact(options):
    model = build_model(dtype=torch.float64, **options)
    fast, plain = (mutagenesis(model, DNATokenizer(), SEQUENCE, "donor", fast=way) for way in (True, False))
    for kind in ("substitutions", "insertions", "deletions"):
        np.testing.assert_allclose(getattr(fast, kind), getattr(plain, kind), rtol=0, atol=1e-10)
    assert (fast.method, plain.method) == (ONWARDS, WHOLE)
    assert np.abs(fast.substitutions).max() > 0.01


@pytest.mark.parametrize("options", [{}, {"two_sided": True}, {"layout": "se-attention", "num_heads": 2}])
def test_substitutions_are_those_of_tangermeme(options):
    peer = pytest.importorskip("tangermeme.saturation_mutagenesis")
    model = build_model(dtype=torch.float64, **options).eval()
    record = mutagenesis(model, DNATokenizer(), SEQUENCE, 1, ("substitutions",))
    before, after = peer.saturation_mutagenesis(OneHot(model), one_hot(SEQUENCE), raw_outputs=True, fast=False)
    read = lambda logits: logits[..., 1] - logits.mean(-1)  # noqa: E731
    np.testing.assert_allclose(record.output, read(before)[0], atol=1e-9)
    np.testing.assert_allclose(record.substitutions, (read(after) - read(before))[0].T, atol=1e-9)
    centred = peer.saturation_mutagenesis(
        OneHot(model, read), one_hot(SEQUENCE), hypothetical=True, fast=False
    )
    np.testing.assert_allclose(record.hypothetical(), centred[0].T, atol=1e-9)


def test_masked_bases_have_no_effects_and_case_is_the_tokenizers():
    model = build_model()
    record = mutagenesis(model, DNATokenizer(), "CAGNNTaag", 0)
    assert np.isnan(record.substitutions).all(1).tolist() == [False] * 3 + [True] * 2 + [False] * 4
    assert np.isnan(record.deletions).tolist() == [False] * 3 + [True] * 2 + [False] * 4
    assert np.isfinite(record.insertions).all()
    assert np.isnan(record.contributions()).tolist() == np.isnan(record.mean_effects).tolist() == [
        False, False, False, True, True, False, False, False, False,
    ]  # fmt: skip
    assert record.substitutions[6, 0] == 0, "a lower-case a is an A"
    masked = mutagenesis(model, DNATokenizer(case="mask"), "CAGNNTaag", 0, ("deletions",))
    assert np.isnan(masked.deletions).tolist() == [False] * 3 + [True] * 2 + [False] + [True] * 3


def test_a_window_is_that_part_of_the_whole():
    model, tokenizer = build_model(dtype=torch.float64), DNATokenizer(special="cls_sep")
    whole = mutagenesis(model, tokenizer, SEQUENCE, 0)
    part = mutagenesis(model, tokenizer, SEQUENCE, 0, start=5, stop=9)
    assert part.bases == (5, 9)
    for kind in whole.kinds:
        np.testing.assert_allclose(getattr(part, kind), getattr(whole, kind)[5:9], atol=1e-10)
    table = part.to_dataframe()
    assert len(table) == 4 * (4 + 4 + 1)
    assert table.position.unique().tolist() == [5, 6, 7, 8]
    assert table[table.kind == "deletion"].change.tolist() == part.deletions.tolist()


def test_what_a_language_model_says_of_a_base_changes_by_what_stands_before_it_alone():
    model = build_model(HyenaGLTForCausalLM, dtype=torch.float64)
    record = mutagenesis(model, DNATokenizer(), SEQUENCE, ("base", 12))
    assert np.abs(record.substitutions[12:]).max() < 1e-12
    assert np.abs(record.substitutions[:12]).max() > 0.01
    assert np.isnan(record.deletions).tolist() == [place == 12 for place in range(len(SEQUENCE))]
    assert np.abs(record.deletions[13:]).max() < 1e-12


def test_a_record_comes_back_from_its_file(tmp_path):
    record = mutagenesis(build_model(), DNATokenizer(), "CAGNT", "donor", ("substitutions", "deletions"))
    again = Mutagenesis.load(record.save(tmp_path / "found.npz"))
    assert again.kinds == ("substitutions", "deletions")
    assert (again.bases, again.target, again.model) == ((0, 5), "donor", record.model)
    np.testing.assert_array_equal(again.substitutions, record.substitutions)


def test_what_cannot_be_asked_is_refused():
    model, tokenizer = build_model(sequence_length=28), DNATokenizer()
    with pytest.raises(ConfigurationError, match="makes 29 tokens, the model reads 28; pass keep_length=True"):
        mutagenesis(model, tokenizer, SEQUENCE, 0)
    assert mutagenesis(model, tokenizer, SEQUENCE, 0, keep_length=True, stop=2).insertions.shape == (2, 4)
    with pytest.raises(ConfigurationError, match="'inversions' came"):
        mutagenesis(model, tokenizer, SEQUENCE, 0, ("inversions",))
    with pytest.raises(ConfigurationError, match="expected a sequence such as"):
        mutagenesis(model, tokenizer, SEQUENCE, 0, "deletions")
    for start, stop in ((3, 3), (-1, 4), (0, 29)):
        with pytest.raises(DataError, match=f"window {start}–{stop} does not lie in the 28 bases"):
            mutagenesis(model, tokenizer, SEQUENCE, 0, start=start, stop=stop)
