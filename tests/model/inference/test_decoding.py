"""A new base costs one step, and the step gives what the whole model gives."""

import pytest
import torch

from genomic_lens.errors import ModelError
from genomic_lens.model.inference.decoding import extend, generate
from genomic_lens.model.token_models import HyenaGLTForCausalLM

KINDS = [(2, 3), (3, 3), (4, 5)]


@pytest.fixture
def build(build_model):
    def build(order=2, kernel=3, **changes):
        shape = {"hyena_order": order, "conv_kernel_size": kernel, "sequence_length": 80, "dropout": 0.3}
        return build_model(HyenaGLTForCausalLM, **shape | changes).double()

    return build


@pytest.fixture
def ids():
    return torch.randint(7, 11, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("order", "kernel"), KINDS)
@pytest.mark.parametrize("cuts", [[0, 40], [0, 39, 40], [0, 1, 2, 3, 40], [0, 17, 18, 30, 31, 40], list(range(41))])
def test_scores_are_those_of_the_whole_however_the_sequence_is_cut(build, ids, order, kernel, cuts):
    model, past, parts = build(order, kernel), None, []
    for start, stop in zip(cuts, cuts[1:], strict=False):
        scores, past = extend(model, ids[:, start:stop], past)
        parts.append(scores)
    whole = model(ids).logits.detach()
    torch.testing.assert_close(torch.cat(parts, 1)[..., :12], whole[..., :12], rtol=0, atol=1e-10)
    assert past.length == 40


def test_variants_share_what_comes_before_them(build, ids):
    model = build()
    _, past = extend(model, ids[:, :25])
    before = [layer.filters[0].history.clone() for layer in past.layers]
    for base in (7, 8):
        variant = ids[:, 25:].clone()
        variant[:, 0] = base
        scores, _ = extend(model, variant, past.fork())
        whole = model(torch.cat([ids[:, :25], variant], 1)).logits.detach()
        torch.testing.assert_close(scores[..., :12], whole[:, 25:, :12], rtol=0, atol=1e-10)
    assert past.length == 25
    for layer, kept in zip(past.layers, before, strict=True):
        assert torch.equal(layer.filters[0].history, kept)


def test_one_past_serves_several_variants_at_once(build, ids):
    model = build()
    _, past = extend(model, ids[:, :25])
    variants = torch.randint(7, 11, (6, 15), generator=torch.Generator().manual_seed(1))
    scores, _ = extend(model, variants, past.fork(3))
    whole = model(torch.cat([ids[:, :25].repeat_interleave(3, 0), variants], 1)).logits.detach()
    torch.testing.assert_close(scores[..., :12], whole[:, 25:, :12], rtol=0, atol=1e-10)
    assert past.layers[0].recent.shape[0] == 2


def test_the_likeliest_base_is_what_the_whole_model_says_step_by_step(build, ids):
    model, expected = build(), ids[:, :5]
    for _ in range(12):
        following = 7 + model(expected).logits[:, -1:, 7:11].argmax(-1)
        expected = torch.cat([expected, following], dim=1)
    assert torch.equal(generate(model, ids[:, :5], 12), expected)
    assert torch.equal(model.generate(ids[:, :5], max_new_tokens=12), expected)


def test_choice_by_chance_follows_the_scores_and_the_seed(build):
    model = build(sequence_length=8)
    start = torch.full((4000, 1), 7)
    chances = torch.zeros(12, dtype=torch.float64)
    chances[7:11] = model(start[:1]).logits[0, -1, 7:11].detach().softmax(-1)
    found = generate(model, start, 1, do_sample=True, seed=3)[:, 1]
    shares = torch.bincount(found, minlength=12) / len(found)
    assert (shares - chances).abs().max() < 0.03
    assert torch.equal(found, generate(model, start, 1, do_sample=True, seed=3)[:, 1])
    assert not torch.equal(found, generate(model, start, 1, do_sample=True, seed=4)[:, 1])
    best = set(chances.topk(2).indices.tolist())
    assert set(generate(model, start, 1, do_sample=True, top_k=2)[:, 1].tolist()) == best
    cold = generate(model, start, 1, do_sample=True, temperature=1e-4)[:, 1]
    assert set(cold.tolist()) == {int(chances.argmax())}


def test_the_model_keeps_its_mode_and_no_gradient_is_kept(build, ids):
    model = build().train()
    scores, past = extend(model, ids)
    assert model.training
    assert not scores.requires_grad
    assert not past.layers[0].filters[0].history.requires_grad


def test_what_cannot_be_led_on_is_refused(build, build_model, ids):
    model = build()
    _, past = extend(model, torch.cat([ids, ids], 1)[:, :79])
    with pytest.raises(ModelError, match="81 positions came, and there is room for 80"):
        extend(model, ids[:, :2], past)
    with pytest.raises(ModelError, match="1 sequences came; the past is of 2"):
        extend(model, ids[:1, :1], past)
    with pytest.raises(ModelError, match="Padding came"):
        extend(model, torch.tensor([[7, 4]]))
    with pytest.raises(ModelError, match="input has 90 tokens, the model reads 80"):
        generate(model, ids, 50)
    with pytest.raises(ModelError, match="Ids from 7 to 99"):
        extend(model, torch.tensor([[7, 99]]))
    with pytest.raises(ModelError, match="temperature is 0"):
        generate(model, ids, 1, temperature=0)
    model.backbone.layers[0].mixer.two_sided = True
    with pytest.raises(ModelError, match="two-sided model has no past"):
        extend(model, ids)


def test_words_are_not_forgotten(build, ids):
    """A base alone does not tell the words that end at it: such a model reads all again."""
    model = build(kmer_sizes=(3,))
    with pytest.raises(ModelError, match="no memory of this kind"):
        extend(model, ids)
    made = generate(model, ids[:, :20], 4)
    with torch.no_grad():
        scores = model(made).logits[:, 19:-1, 7:11]
    assert torch.equal(made[:, 20:], scores.argmax(-1) + 7)


def test_what_cannot_be_continued_is_refused_at_once(build, ids):
    model = build()
    for options, says in (({"top_k": 0}, "top_k=0"), ({"max_new_tokens": -1}, "max_new_tokens=-1")):
        with pytest.raises(ModelError, match=says):
            generate(model, ids, **{"max_new_tokens": 2} | options)
    padded = ids.clone()
    padded[0, -1] = 4
    with pytest.raises(ModelError, match="Padding came"):
        generate(build(kmer_sizes=(3,)), padded, 2)
