"""Words of letters give what the operator reads position by position, and stand aside where letters do not tell."""

import pytest
import torch
from torch import nn

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.model.backbone import HyenaBackbone
from genomic_lens.model.convolution import fast_mixing, words
from genomic_lens.model.convolution.fast_mixing import mix
from genomic_lens.model.convolution.hyena import HyenaOperator
from genomic_lens.model.convolution.words import Words, words_of
from genomic_lens.model.hyena_dna import HyenaDNAConfig, HyenaDNAModel

LENGTH = 1100


@pytest.fixture
def answered(monkeypatch):
    """Whether each stretch of 512 positions was looked up."""
    monkeypatch.setattr(fast_mixing, "for_each", lambda work, parts, device: [work(part) for part in parts])
    seen, streams = [], Words.streams

    def noted(self, *question):
        answer = streams(self, *question)
        seen.append(answer is not None)
        return answer

    monkeypatch.setattr(Words, "streams", noted)
    return seen


@pytest.fixture
def letters():
    return torch.randint(4, (2, LENGTH), generator=torch.Generator().manual_seed(0)) + 7


def embedded(letters, width=12):
    torch.manual_seed(1)
    return torch.randn(16, width, dtype=torch.float64)[letters]


@pytest.mark.parametrize("taps", [1, 3, 5])
@pytest.mark.parametrize(("order", "two_sided"), [(2, False), (3, False), (4, True)])
def test_looking_up_equals_reading(letters, answered, monkeypatch, order, two_sided, taps):
    monkeypatch.setattr(words, "MOST", 5**5)
    monkeypatch.setattr(words, "WORTH", 0.1)
    torch.manual_seed(0)
    operator = HyenaOperator(12, LENGTH, order, short_kernel=taps, two_sided=two_sided).double()
    hidden, norm = embedded(letters), nn.LayerNorm(12).double()
    with torch.no_grad():
        found = mix(operator, hidden, None, norm, letters=letters)
        torch.testing.assert_close(found, operator.spelt_out(norm(hidden)), rtol=0, atol=1e-11)
    assert answered == [True] * 3


def test_padding_is_no_letter(letters, answered):
    """Whatever stands at padding, no word reads it, and the words of padding are silent."""
    mask = torch.ones_like(letters, dtype=torch.bool)
    mask[0, :9], mask[1, 633:] = False, False
    operator, padded = HyenaOperator(12, LENGTH).double(), torch.where(mask, letters, 4)
    with torch.no_grad():
        found = mix(operator, embedded(padded), mask, letters=padded)
        torch.testing.assert_close(found, operator.spelt_out(embedded(padded), mask), rtol=0, atol=1e-11)
        torch.testing.assert_close(found[:1, 9:], operator(embedded(letters[:1, 9:])), rtol=0, atol=1e-11)
    assert answered == [True] * 3


@pytest.mark.parametrize(("place", "read"), [(0, {0}), (511, {0, 1}), (513, {1}), (LENGTH - 1, {0, 1, 2})])
def test_hidden_states_that_differ_from_their_letter_are_read_as_they_are(letters, answered, place, read):
    """A dropout, a hook, a perturbation: ids promise too much, and the hidden states count.

    The second stretch reads two positions before its own; the last position stands for its letter.
    """
    operator, hidden = HyenaOperator(12, LENGTH).double(), embedded(letters)
    hidden[1, place] += 1
    with torch.no_grad():
        found = mix(operator, hidden, letters=letters)
        torch.testing.assert_close(found, operator.spelt_out(hidden), rtol=0, atol=1e-11)
    assert {number for number, known in enumerate(answered) if not known} == read
    assert len(answered) == 3


def test_many_letters_and_short_inputs_are_not_worth_it(letters):
    operator, many = HyenaOperator(12, LENGTH).double(), torch.arange(LENGTH).expand(2, LENGTH) % 30
    with torch.no_grad():
        assert words_of(operator, embedded(letters), letters, None, nn.Identity()) is not None
        assert words_of(operator, torch.randn(30, 12).double()[many], many, None, nn.Identity()) is None
        assert words_of(operator, embedded(letters[:, :30]), letters[:, :30], None, nn.Identity()) is None


@pytest.fixture
def model():
    torch.manual_seed(0)
    return HyenaDNAModel(HyenaDNAConfig(d_model=8, sequence_length=LENGTH)).double().eval()


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_only_the_first_layer_of_a_model_looks_up(model, letters, answered, dtype):
    with torch.no_grad():
        states = model(letters.to(dtype), output_hidden_states=True).hidden_states
    assert answered == [True] * 3
    embeddings = model.backbone.embeddings["word_embeddings"](letters)
    with torch.no_grad():
        plain = model(inputs_embeds=embeddings, attention_mask=torch.ones_like(letters), output_hidden_states=True)
    assert answered == [True] * 3, "embeddings tell no letters"
    torch.testing.assert_close(states, plain.hidden_states, rtol=0, atol=1e-11)


@pytest.mark.parametrize("part", ["norm1", "mixer.in_proj"])
def test_who_listens_hears_every_position(model, letters, answered, part):
    heard, block = [], model.backbone.layers[0]
    block.get_submodule(part).register_forward_hook(lambda _, inputs, output: heard.append(output.shape[1]))
    with torch.no_grad():
        model(letters)
    assert sum(heard) >= LENGTH
    assert not answered


class Silent(nn.Module):
    """A block of somebody else's, which takes what blocks took before."""

    def forward(self, hidden, mask=None):
        return hidden


def test_another_block_in_the_first_place_gets_what_it_takes(model, letters, answered):
    model.backbone.layers[0] = Silent()
    with torch.no_grad():
        model(letters)
    assert not answered, "the second layer does not read letters"


def test_what_is_random_in_the_projection_is_drawn_at_every_position(model, letters, answered):
    """As in a LoRA adapter with dropout, in training mode and without gradients."""
    mixer = model.backbone.layers[0].mixer
    mixer.in_proj = nn.Sequential(mixer.in_proj, nn.Dropout(0.5).train())
    with torch.no_grad():
        model(letters)
    assert not answered
    mixer.in_proj.eval()
    with torch.no_grad():
        model(letters)
    assert answered == [True] * 3


def test_a_change_of_what_comes_into_the_block_is_seen(model, letters):
    """As in activation patching: ids are the old ones."""
    block, noise = model.backbone.layers[0], torch.randn(2, LENGTH, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = model(inputs_embeds=model.backbone.embeddings["word_embeddings"](letters) + noise).last_hidden_state
        block.register_forward_pre_hook(lambda _, inputs: (inputs[0] + noise, *inputs[1:]))
        torch.testing.assert_close(model(letters).last_hidden_state, expected, rtol=0, atol=1e-11)


def test_words_of_a_model_with_embeddings_of_words_are_not_asked(letters, answered):
    config = HyenaGLTConfig(vocab_size=12, d_model=8, n_layers=1, sequence_length=LENGTH, kmer_sizes=(3,))
    with torch.no_grad():
        HyenaBackbone(config).eval()(letters)
    assert not answered
