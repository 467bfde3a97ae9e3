"""Models with an answer for each base: what comes next, and which class."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForTokenClassification

from genomic_lens.errors import DataError, ModelError
from genomic_lens.model.token_models import HyenaGLTForCausalLM, HyenaGLTForMaskedLM, HyenaGLTForTokenClassification

IDS = torch.tensor([[7, 8, 9, 10, 7, 9], [9, 9, 7, 4, 4, 4]])


@pytest.fixture
def language_model(build_model):
    return build_model(HyenaGLTForCausalLM, pad_vocab_size_multiple=8)


def test_loss_is_the_mean_surprise_at_the_next_token_counted_by_hand(language_model):
    with torch.no_grad():
        answer = language_model(IDS, labels=IDS)
    chances = answer.logits[..., :12].double().softmax(-1)
    surprises = []
    for row, real in ((0, 6), (1, 3)):  # padding neither predicts nor is predicted
        surprises += [-math.log(chances[row, place - 1, IDS[row, place]]) for place in range(1, real)]
    assert answer.loss.item() == pytest.approx(sum(surprises) / len(surprises), rel=1e-5)


def test_rows_that_pad_the_table_never_come_next(language_model):
    with torch.no_grad():
        logits = language_model(IDS).logits
    assert logits.shape == (2, 6, 16)
    assert torch.equal(logits.softmax(-1)[..., 12:], torch.zeros(2, 6, 4))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_gradients_stay_finite_beside_padded_rows(build_model, smoothing):
    model = build_model(HyenaGLTForCausalLM, pad_vocab_size_multiple=8, label_smoothing=smoothing)
    model(IDS, labels=IDS).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_head_is_the_embedding_also_after_reload(language_model, tmp_path):
    table = language_model.get_input_embeddings().weight
    assert language_model.lm_head.weight is table
    language_model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
    with torch.no_grad():
        assert torch.equal(loaded(IDS).logits, language_model(IDS).logits)


def test_untied_head_is_kept_apart(build_model, tmp_path):
    model = build_model(HyenaGLTForCausalLM, tie_word_embeddings=False)
    model.save_pretrained(tmp_path)
    loaded = HyenaGLTForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, loaded.get_input_embeddings().weight)


def test_scores_do_not_depend_on_what_comes_after_or_beside(language_model):
    language_model.double()
    with torch.no_grad():
        whole = language_model(IDS).logits
        torch.testing.assert_close(whole[:1, :4], language_model(IDS[:1, :4]).logits, rtol=0, atol=1e-10)
        torch.testing.assert_close(whole[1:, :3], language_model(IDS[1:, :3]).logits, rtol=0, atol=1e-10)


def test_two_sided_model_cannot_predict_what_it_has_seen(build_model):
    with pytest.raises(ModelError, match="two-sided model sees what comes next"):
        build_model(HyenaGLTForCausalLM, two_sided=True)


def test_class_of_a_base_counts_bases_alone(build_model, tmp_path):
    model = build_model(HyenaGLTForTokenClassification)
    labels = torch.tensor([[0, 1, 2, -100, 1, 0], [2, 2, 1, 0, 0, 0]])
    with torch.no_grad():
        answer = model(IDS, labels=labels)
    chances = answer.logits.double().softmax(-1)
    places = [(0, 0), (0, 1), (0, 2), (0, 4), (0, 5), (1, 0), (1, 1), (1, 2)]
    expected = sum(-math.log(chances[row, place, labels[row, place]]) for row, place in places) / len(places)
    assert answer.loss.item() == pytest.approx(expected, rel=1e-5)
    model.save_pretrained(tmp_path)
    assert type(AutoModelForTokenClassification.from_pretrained(tmp_path)) is HyenaGLTForTokenClassification


def test_label_out_of_range_is_refused(build_model, language_model):
    for model, wrong in ((language_model, 12), (build_model(HyenaGLTForTokenClassification), 3)):
        with pytest.raises(DataError, match=f"Label {wrong} came"):
            model(IDS, labels=torch.full_like(IDS, wrong))


# --- a hidden base ----------------------------------------------------------------------------------------------------


def test_a_hidden_base_is_scored_where_it_is_hidden(build_model):
    """By hand: the surprise at the label's own position, and at no other."""
    model = build_model(HyenaGLTForMaskedLM, two_sided=True)
    ids, labels = IDS.clone(), torch.full_like(IDS, -100)
    ids[0, 2], labels[0, 2], labels[1, 0] = 3, 9, 9
    with torch.no_grad():
        answer = model(ids, labels=labels)
    chances = answer.logits.double().log_softmax(-1)
    assert answer.loss.item() == pytest.approx(-(chances[0, 2, 9] + chances[1, 0, 9]).item() / 2, rel=1e-5)


def test_the_head_of_hidden_bases_is_the_embedding_also_after_reload(build_model, tmp_path):
    model = build_model(HyenaGLTForMaskedLM, two_sided=True)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    assert type(loaded) is HyenaGLTForMaskedLM
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
    with torch.no_grad():
        assert torch.equal(loaded(IDS).logits, model(IDS).logits)


def test_a_causal_model_is_refused_hidden_bases(build_model):
    with pytest.raises(ModelError, match="sees only what comes before a hidden base; pass two_sided=True"):
        build_model(HyenaGLTForMaskedLM)
