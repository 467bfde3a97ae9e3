"""Which output is asked about: classes, values, classes of a base, the next base; and models that read words."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.interpretability.attribution.questions import ask, read_output, shared_by_words
from genomic_lens.model import HyenaGLTForRegression, HyenaGLTForSequenceClassification
from genomic_lens.model.token_models import HyenaGLTForCausalLM, HyenaGLTForTokenClassification

SEQUENCE = "CAGGTAAGTNNCCTTTCAGGA"


def batch_of(tokenizer, sequence):
    return torch.from_numpy(tokenizer.encode(sequence))[None]


# --- outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("special", ["none", "cls_sep"])
@pytest.mark.parametrize("name", ["base", "C"])
def test_a_language_model_is_asked_for_the_log_probability_of_a_base(make_model, special, name):
    """That of the base at 7, given those before, less the mean over the four bases."""
    tokenizer, model = DNATokenizer(special=special), make_model(HyenaGLTForCausalLM, dtype=torch.float64).eval()
    record = attribute(model, tokenizer, SEQUENCE, target=(name, 7), references=2)[0]
    first = 1 if special == "cls_sep" else 0
    chances = model(batch_of(tokenizer, SEQUENCE)).logits[0, first + 6].log_softmax(-1)[tokenizer.letter_ids]
    letter = SEQUENCE[7] if name == "base" else name
    assert record.target == f"{letter} at 7"
    assert record.output == pytest.approx((chances["ACGT".index(letter)] - chances.mean()).item())
    assert record.gap < 1e-11


def test_what_comes_later_does_not_explain_a_base_and_what_comes_before_does(make_model, tokenizer):
    model = make_model(HyenaGLTForCausalLM, dtype=torch.float64)
    for method in ("exact", "gradient", "layer_integrated_gradients", "occlusion"):
        options = {"references": 2, "steps": 4, "tolerance": 9.0}
        values = attribute(model, tokenizer, SEQUENCE, ("base", 7), method, **options)[0].values
        assert np.nanmax(abs(values[7:])) < 1e-14
        assert abs(values[1:7]).min() > 1e-8


def test_a_token_classifier_is_asked_at_one_base(make_model, tokenizer):
    model = make_model(HyenaGLTForTokenClassification, dtype=torch.float64, two_sided=True).eval()
    logits = model(batch_of(tokenizer, SEQUENCE)).logits[0]
    for position in (0, 5, 20):
        record = attribute(model, tokenizer, SEQUENCE, ("acceptor", position), references=2)[0]
        assert record.target == f"acceptor at {position}"
        assert record.output == pytest.approx((logits[position, 1] - logits[position].mean()).item())
        assert record.gap < 1e-11
    numbered = attribute(model, tokenizer, SEQUENCE, (1, 20), references=2)[0]
    np.testing.assert_array_equal(numbered.values, record.values)


def test_each_value_of_a_regression_model_is_explained_as_it_is(make_model, tokenizer):
    """Values are no classes: another one does not speak against this one."""
    names = {0: "expression", 1: "accessibility"}
    model = make_model(HyenaGLTForRegression, id2label=names, dtype=torch.float64).eval()
    values = model(batch_of(tokenizer, SEQUENCE)).logits[0]
    for rank, name in names.items():
        record = attribute(model, tokenizer, SEQUENCE, name, baseline="mean")[0]
        assert record.output == pytest.approx(values[rank].item())


@pytest.mark.parametrize(
    ("kind", "target", "message"),
    [
        (HyenaGLTForCausalLM, "base", r"answers for each base: pass \(name, position\)"),
        (HyenaGLTForCausalLM, ("base", 21), "Position 21 came; expected a base of the 21"),
        (HyenaGLTForCausalLM, ("base", -1), "Position -1 came"),
        (HyenaGLTForCausalLM, ("base", "x"), "Position 'x' came"),
        (HyenaGLTForCausalLM, ("base", 0), "Nothing stands before the first base"),
        (HyenaGLTForCausalLM, ("base", 9), "'N' is to be explained at base 9; expected one of A, C, G, T"),
        (HyenaGLTForCausalLM, ("donor", 3), "'donor' is to be explained"),
        (HyenaGLTForTokenClassification, 1, "answers for each base"),
        (HyenaGLTForTokenClassification, ("exon", 1), "Target 'exon' came; expected one of donor"),
        (HyenaGLTForSequenceClassification, ("donor", 1), r"Target \('donor', 1\) came"),
    ],
)
def test_outputs_that_there_are_not_are_refused(make_model, tokenizer, kind, target, message):
    with pytest.raises(ConfigurationError, match=message):
        read_output(make_model(kind), tokenizer, tokenizer.encode(SEQUENCE), target)


# --- one reference of many ------------------------------------------------------------------------------------------


def test_a_question_about_one_reference_is_part_of_that_about_all(make_model, tokenizer):
    model = make_model(kmer_sizes=(2, 3))
    question = ask(model, tokenizer, tokenizer.encode(SEQUENCE), "donor", "shuffled", 4, 0)
    one = question.only(2)
    assert torch.equal(one.references[0], question.references[2])
    assert torch.equal(one.reference_ids[0], question.reference_ids[2])
    assert [size for size, _ in one.words] == [2, 3]
    for (_, part), (_, whole) in zip(one.words, question.words, strict=True):
        assert torch.equal(part[0], whole[2])


# --- words ----------------------------------------------------------------------------------------------------------


def test_shares_of_words_by_brute_force():
    values, size = torch.randn(2, 9), 4
    values[:, : size - 1] = 0
    expected = torch.zeros(2, 9)
    for end in range(size - 1, 9):
        expected[:, end - size + 1 : end + 1] += values[:, end : end + 1] / size
    torch.testing.assert_close(shared_by_words(values, size), expected)


@pytest.mark.parametrize("special", ["none", "cls_sep"])
@pytest.mark.parametrize("baseline", ["shuffled", "random", "n"])
@pytest.mark.parametrize("method", ["exact", "layer_integrated_gradients", "integrated_gradients"])
def test_models_of_words_add_up(make_model, special, method, baseline):
    """The output at the sums of embeddings is that at the ids, and nothing is lost between base and word."""
    tokenizer = DNATokenizer(special=special)
    model = make_model(kmer_sizes=(2, 4), dtype=torch.float64).eval()
    options = {"baseline": baseline, "references": 3, "steps": 60}
    record = attribute(model, tokenizer, SEQUENCE, "donor", method, tolerance=1e-3, **options)[0]
    logits = model(batch_of(tokenizer, SEQUENCE)).logits[0]
    assert record.output == pytest.approx((logits[0] - logits.mean()).item())
    assert record.gap < (1e-11 if method == "exact" else 1e-3)
    assert record.hypothetical is None
    assert np.nansum(record.values) == pytest.approx(record.output - record.reference_output, abs=1e-3)
    assert (np.isnan(record.values) == (np.array(list(SEQUENCE)) == "N")).all()


def test_ids_and_sums_of_words_have_the_same_integrated_gradients(make_model, tokenizer):
    model, options = make_model(kmer_sizes=(3,), dtype=torch.float64), {"references": 2, "steps": 7, "tolerance": 9.0}
    ids, sums = (
        attribute(model, tokenizer, SEQUENCE, "donor", method, **options)[0].values
        for method in ("layer_integrated_gradients", "integrated_gradients")
    )
    np.testing.assert_allclose(ids, sums, atol=1e-12)


def test_a_word_is_shared_by_its_bases_in_a_model_solved_by_hand(make_model, tokenizer):
    """Only the word GT is known to the model's table, so that G and T have half each of all there is."""
    model = make_model(kmer_sizes=(2,), dtype=torch.float64)
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()
        table = model.backbone.kmers.tables[0].weight
        table.zero_()
        table[4 * 2 + 3] = torch.randn(8)
    record = attribute(model, tokenizer, "ACGTCA", "donor", baseline="n")[0]
    assert record.values[2] == record.values[3] != 0
    np.testing.assert_array_equal(record.values[[0, 1, 4, 5]], 0)


@pytest.mark.parametrize("baseline", ["mean", "zero", "blur"])
def test_words_are_not_compared_with_what_has_none(make_model, tokenizer, baseline):
    with pytest.raises(ConfigurationError, match=f"{baseline!r} came; this model reads words"):
        attribute(make_model(kmer_sizes=(2,)), tokenizer, SEQUENCE, "donor", baseline=baseline)
