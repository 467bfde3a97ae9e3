"""An edit replaces some bases; what the model says of it is what it says of the edited sequence."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability.attribution.questions import read_output
from genomic_lens.interpretability.mutations.edits import (
    ONWARDS,
    WHOLE,
    Edit,
    edited_logits,
    edited_outputs,
)
from genomic_lens.model import (
    HyenaGLTForCausalLM,
    HyenaGLTForSequenceClassification,
    HyenaGLTForTokenClassification,
)
from tests.model.chunks.test_stages import WAYS, small_model

from ..conftest import build_model
from ..scorers import Linear

SEQUENCE = "CAGGTAAGTNACGTTGCATTGACCA"
EDITS = [
    Edit(3, 4, "C"), Edit(0, 1, "T"), Edit(24, 25, "G"), Edit(4, 4, "A"), Edit(25, 25, "TT"), Edit(0, 0, "G"),
    Edit(2, 4, ""), Edit(24, 25, ""), Edit(0, 3, ""), Edit(5, 12, "N" * 7), Edit(9, 10, "A"), Edit(7, 20, "ACG"),
    Edit(3, 4, "G"), Edit(3, 4, "g"),
]  # fmt: skip


def by_hand(model, tokenizer, sequence, target):
    """The output of one sequence, asked alone."""
    ids = tokenizer.encode(sequence)
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(ids)[None]).logits
    return read_output(model, tokenizer, ids, target)[1](logits.double()).item()


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("special", ["none", "cls_sep"])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_each_answer_is_that_of_the_edited_sequence(fast, special, batch_size):
    model, tokenizer = build_model(dtype=torch.float64), DNATokenizer(special=special)
    answers = edited_outputs(model, tokenizer, SEQUENCE, EDITS, "donor", batch_size, fast)
    expected = [by_hand(model, tokenizer, edit.of(SEQUENCE), "donor") for edit in EDITS]
    np.testing.assert_allclose(answers.outputs, expected, atol=1e-10)
    assert answers.output == pytest.approx(by_hand(model, tokenizer, SEQUENCE, "donor"), abs=1e-10)
    assert answers.method == (ONWARDS if fast else WHOLE)
    assert np.ptp(answers.outputs) > 0.01


def test_an_edit_that_changes_nothing_gives_the_very_same_answer():
    answers = edited_outputs(build_model(), DNATokenizer(), SEQUENCE, EDITS, "donor")
    assert answers.outputs[-2] == answers.outputs[-1] == answers.output


@pytest.mark.parametrize("way", WAYS)
def test_chunks_of_a_variant_are_its_own(way):
    """Nothing is held: the boundaries are those that the model would put into the variant."""
    tokenizer, model = DNATokenizer(), small_model(HyenaGLTForSequenceClassification, WAYS[way])
    answers = edited_outputs(model, tokenizer, SEQUENCE, EDITS[:6], 0)
    expected = [by_hand(model, tokenizer, edit.of(SEQUENCE), 0) for edit in EDITS[:6]]
    np.testing.assert_allclose(answers.outputs, expected, atol=1e-9)
    assert answers.method == WHOLE


@pytest.mark.parametrize("options", [{"two_sided": True}, {"kmer_sizes": (3,)}, {"layout": "se-attention"}])
def test_two_sided_models_words_and_attention(options):
    model, tokenizer = build_model(dtype=torch.float64, num_heads=2, **options), DNATokenizer()
    answers = edited_outputs(model, tokenizer, SEQUENCE, EDITS, 1)
    expected = [by_hand(model, tokenizer, edit.of(SEQUENCE), 1) for edit in EDITS]
    np.testing.assert_allclose(answers.outputs, expected, atol=1e-10)
    assert (answers.method == WHOLE) == ("two_sided" in options)


@pytest.mark.parametrize("kind", [HyenaGLTForTokenClassification, HyenaGLTForCausalLM])
@pytest.mark.parametrize("fast", [True, False])
def test_the_base_asked_about_moves_with_the_edit(kind, fast):
    model, tokenizer = build_model(kind, dtype=torch.float64), DNATokenizer()
    name = "G" if kind is HyenaGLTForCausalLM else "donor"
    edits = [Edit(4, 4, "AA"), Edit(4, 6, ""), Edit(12, 13, ""), Edit(10, 11, ""), Edit(11, 11, "T"), Edit(10, 11, "G")]
    answers = edited_outputs(model, tokenizer, SEQUENCE, edits, (name, 10), fast=fast)
    places = [12, 8, 10, None, 10, 10]
    for edit, place, output in zip(edits, places, answers.outputs, strict=True):
        if place is None:
            assert np.isnan(output)
        else:
            expected = by_hand(model, tokenizer, edit.of(SEQUENCE), (name, place))
            assert output == pytest.approx(expected, abs=1e-10)


def test_the_length_can_be_kept():
    model, tokenizer = build_model(dtype=torch.float64), DNATokenizer()
    edits = [Edit(3, 3, "A"), Edit(3, 4, ""), Edit(25, 25, "A"), Edit(3, 4, "C")]
    fitted = [SEQUENCE[:3] + "A" + SEQUENCE[3:-1], SEQUENCE[:3] + SEQUENCE[4:] + "N", SEQUENCE, edits[3].of(SEQUENCE)]
    for fast in (True, False):
        answers = edited_outputs(model, tokenizer, SEQUENCE, edits, 0, fast=fast, keep_length=True)
        expected = [by_hand(model, tokenizer, variant, 0) for variant in fitted]
        np.testing.assert_allclose(answers.outputs, expected, atol=1e-10)


def test_what_falls_off_the_end_has_no_answer():
    model = build_model(HyenaGLTForTokenClassification)
    answers = edited_outputs(
        model, DNATokenizer(), SEQUENCE, [Edit(3, 3, "A"), Edit(3, 4, "")], ("donor", 24), keep_length=True
    )
    assert np.isnan(answers.outputs[0])
    assert np.isfinite(answers.outputs[1])


def test_a_model_of_any_make_is_asked_as_a_whole():
    weights = np.arange(20.0).reshape(5, 4)
    answers = edited_outputs(Linear(weights), DNATokenizer(), "ACGTA", [Edit(1, 2, "T"), Edit(1, 2, "N")], 0)
    assert answers.output == 0 + 5 + 10 + 15 + 16
    assert answers.outputs.tolist() == [answers.output + 2, answers.output - 5]
    assert answers.method == WHOLE


def test_each_edit_comes_once():
    ranks = [rank for some, _ in edited_logits(build_model(), DNATokenizer(), SEQUENCE, EDITS, 3) for rank in some]
    assert sorted(ranks) == list(range(len(EDITS)))


def test_the_model_is_left_as_it_was():
    model = build_model().train()
    model.head.eval()
    edited_outputs(model, DNATokenizer(), SEQUENCE, EDITS, 0)
    assert model.training
    assert not model.head.training
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_no_answer_and_stays_as_it_was(two_threads):
    model, sequence, found = build_model(seed=3), "ACGTTGCA" * 5, []
    edits = [Edit(base, base + 1, letter) for base in range(len(sequence)) for letter in "ACGT"]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(edited_outputs(model, DNATokenizer(), sequence, edits, 0, batch_size=4).outputs)
        assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(*found)


def test_what_cannot_be_edited_is_refused():
    model, tokenizer = build_model(), DNATokenizer()
    for edit in (Edit(-1, 2, "A"), Edit(3, 26, ""), Edit(4, 3, "A")):
        with pytest.raises(DataError, match=f"{edit.start}–{edit.stop} came; expected 0 <= start"):
            edited_outputs(model, tokenizer, SEQUENCE, [edit], 0)
    with pytest.raises(ConfigurationError, match="'exon' came"):
        edited_outputs(model, tokenizer, SEQUENCE, [], "exon")
