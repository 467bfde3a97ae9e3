"""Where a sum breaks: planted operations that no rule sees are named, and whole models have none."""

import pytest
import torch
from torch import nn

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.interpretability.attribution.attributions import attribute, contributions
from genomic_lens.interpretability.attribution.gradients import exact_multipliers
from genomic_lens.interpretability.attribution.leaks import CompletenessWarning, Leak, leak_words, leaks
from genomic_lens.interpretability.attribution.questions import ask
from genomic_lens.model.chunks.routing import frozen_routing
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from tests.model.chunks.test_stages import small_model

from ..conftest import NAMES, ByHand
from ..test_architectures import ALL

SEQUENCE = "CAGGTAAGTNNCCTTTCAGGA"


class Around(nn.Module):
    """A module inside another that does something to its output and input, unseen."""

    def __init__(self, inner, unseen):
        super().__init__()
        self.inner, self.unseen = inner, unseen

    def forward(self, hidden, *others):
        return self.unseen(self.inner(hidden, *others), hidden)


UNSEEN = {
    "product": lambda out, hidden: out * hidden,
    "exponential": lambda out, hidden: torch.exp(out / 4),
    "clamp": lambda out, hidden: out.clamp(-0.1, 0.1),
    "softmax": lambda out, hidden: out + hidden.softmax(-1),
}


def question_of(model, tokenizer, sequence=SEQUENCE, baseline="mean"):
    return ask(model.eval(), tokenizer, tokenizer.encode(sequence), 0, baseline, 1, 0)


def missing(model, question):
    """What contributions by exact rules miss."""
    multipliers = exact_multipliers(model, question)
    values = contributions(question, multipliers)[0]
    return (multipliers.output - multipliers.reference_output).item() - values.sum()


@pytest.mark.parametrize("unseen", UNSEEN)
@pytest.mark.parametrize(
    "place", ["backbone.layers.0.mlp", "backbone.layers.1.norm2", "backbone.layers.0.mixer.out_proj", "backbone.ln_f"]
)
def test_an_operation_that_no_rule_sees_is_named(make_model, tokenizer, place, unseen):
    model = make_model(dtype=torch.float64)
    parent, _, name = place.rpartition(".")
    setattr(model.get_submodule(parent), name, Around(model.get_submodule(place), UNSEEN[unseen]))
    question = question_of(model, tokenizer)
    found = leaks(model, question)
    assert (found[0].name, found[0].kind) == (place, "Around")
    assert all(abs(leak.amount) < 1e-9 for leak in found[1:])
    assert abs(found[0].amount) > 1e-4
    assert found[0].amount == pytest.approx(missing(model, question), abs=1e-10)


def test_two_leaks_are_told_apart_and_add_up(make_model, tokenizer):
    model = make_model(dtype=torch.float64)
    for layer, unseen in zip(model.backbone.layers, ("product", "exponential"), strict=True):
        layer.mlp = Around(layer.mlp, UNSEEN[unseen])
    question = question_of(model, tokenizer)
    found = leaks(model, question)
    assert {leak.name for leak in found[:2]} == {"backbone.layers.0.mlp", "backbone.layers.1.mlp"}
    assert sum(leak.amount for leak in found) == pytest.approx(missing(model, question), abs=1e-10)


def test_a_leak_in_the_model_itself_is_named_as_such(tokenizer):
    """The model returns what has no doors, so all that its own code does is one leak."""

    class Bare(ByHand):
        def __init__(self):
            super().__init__(NAMES)
            self.weights = nn.Linear(12, 3)

        def score(self, embeddings):
            return self.weights(embeddings.mean(1)).square()

    found = leaks(Bare(), question_of(Bare(), tokenizer, "GATTAC"))
    assert (found[0].name, found[0].kind) == ("", "Bare")
    assert leak_words(found).startswith("It breaks in the forward of Bare itself")


def test_a_module_that_is_called_twice_has_two_calls(tokenizer):
    class Twice(ByHand):
        def __init__(self):
            super().__init__(NAMES)
            self.part, self.last = Around(nn.Linear(12, 12), UNSEEN["product"]), nn.Linear(12, 3)

        def score(self, embeddings):
            return self.last(self.part(self.part(embeddings)).mean(1))

    torch.manual_seed(0)
    model = Twice()
    found = leaks(model, question_of(model, tokenizer, "GATTAC"))
    assert [leak.name for leak in found[:2]] == ["part", "part"]
    assert all(abs(leak.amount) > 1e-4 for leak in found[:2])


@pytest.mark.parametrize("kind", ALL)
def test_no_part_of_a_real_model_leaks(kind):
    model = small_model(HyenaGLTForSequenceClassification, ALL[kind])
    tokenizer, sequence = DNATokenizer(), "ACGTTGCATTGACCAGTACGTAGGCATTACAGTT"
    ids = torch.from_numpy(tokenizer.encode(sequence))[None]
    with frozen_routing(model, input_ids=ids):
        found = leaks(model, question_of(model, tokenizer, sequence))
    assert len(found) > 20
    assert max(abs(leak.amount) for leak in found) < 1e-11


def test_the_warning_names_the_operation(make_model, tokenizer):
    model = make_model()
    model.backbone.layers[1].mlp = Around(model.backbone.layers[1].mlp, UNSEEN["product"])
    with pytest.warns(CompletenessWarning) as caught:
        records = attribute(model, tokenizer, ["ACGTTACA", SEQUENCE], "donor", references=3)
    words = str(caught[0].message)
    assert len(caught) == 1
    assert "It breaks in backbone.layers.1.mlp (Around)" in words
    assert f"miss {max(each.gap for each in records):.2g} of what they explain, more than the tolerance of" in words
    assert caught[0].filename == __file__


def test_a_chunked_model_that_leaks_says_so():
    model = small_model(HyenaGLTForSequenceClassification, ALL["routing"])
    block = model.backbone.blocks[1]
    block.mlp = Around(block.mlp, UNSEEN["product"])
    name = next(name for name, part in model.named_modules() if part is block.mlp)
    with pytest.warns(CompletenessWarning, match=f"It breaks in {name} "):
        attribute(model, DNATokenizer(), "ACGTTGCATTGACCAGTACGTAGGCATT", 0, references=2)


def test_the_model_is_left_as_it_was(make_model, tokenizer):
    model = make_model().train()
    leaks(model, question_of(model, tokenizer))
    model.train()
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    for part in model.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
        assert not getattr(part, "explaining", False)


def test_many_small_leaks_are_called_rounding():
    found = [Leak(f"layers.{rank}", "LayerNorm", 1e-3 * (-1) ** rank) for rank in range(12)]
    assert leak_words(found).startswith("It is lost to rounding in many places, layers.0 first")


def test_half_precision_is_tolerated_and_its_losses_are_rounding(make_model, tokenizer):
    model = make_model(dtype=torch.bfloat16)
    with pytest.warns(CompletenessWarning, match="lost to rounding|It breaks in"):
        attribute(model, tokenizer, SEQUENCE, "donor", references=2, tolerance=1e-5)
