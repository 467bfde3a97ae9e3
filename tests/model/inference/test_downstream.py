"""Computed from their first changed token on, variants are what the whole model says of them."""

import pytest
import torch

from genomic_lens.model.hyena_glt import HyenaGLTForRegression, HyenaGLTForSequenceClassification, HyenaGLTModel
from genomic_lens.model.inference.downstream import looks_back_only, pass_reference, variant_logits
from genomic_lens.model.token_models import HyenaGLTForCausalLM, HyenaGLTForTokenClassification

LENGTH = 60
KINDS = (
    HyenaGLTForSequenceClassification, HyenaGLTForRegression, HyenaGLTForTokenClassification, HyenaGLTForCausalLM,
)  # fmt: skip
SHAPES = {
    "two gates": {},
    "three gates": {"hyena_order": 3, "conv_kernel_size": 5},
    "four gates": {"hyena_order": 4},
    "attention among filters": {"layout": "se-mr-li-attention", "n_layers": 4, "num_heads": 4},
    "attention first": {"layout": "attention-modal-hyena", "n_layers": 3, "num_heads": 4},
    "gated and rms": {"gated_mlp": True, "rms_norm": True},
    "words": {"kmer_sizes": (2, 5)},
    "the last position": {"pooling": "last"},
    "the first position": {"pooling": "first"},
    "the sum": {"pooling": "sum"},
    "weights of positions": {"pooling": "position"},
}


@pytest.fixture
def ids():
    return torch.randint(7, 11, (1, LENGTH), generator=torch.Generator().manual_seed(0))


def whole(model, ids):
    with torch.no_grad():
        return model(ids).logits


def changed(ids, places, count=4):
    """Variants that differ from a sequence at some places at most."""
    variants = ids.repeat(count, 1)
    variants[:, places] = torch.randint(7, 11, (count, len(places)), generator=torch.Generator().manual_seed(1))
    return variants


def compare(model, ids, start, width, reaches=True):
    variants = changed(ids, list(range(start, start + width)))
    found = variant_logits(pass_reference(model, ids), variants[:, start:], start, width)
    torch.testing.assert_close(found, whole(model, variants), rtol=0, atol=1e-10)
    assert bool((found[0] - whole(model, ids)[0]).abs().max() > 1e-9) == reaches


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("start", "width"), [(0, 1), (1, 3), (23, 1), (20, 30), (59, 1), (0, 60)])
def test_every_kind_of_layer(build_model, ids, shape, start, width):
    model = build_model(HyenaGLTForSequenceClassification, **SHAPES[shape]).double()
    compare(model, ids, start, width, reaches=shape != "the first position" or start == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model(build_model, ids, kind):
    compare(build_model(kind).double(), ids, 17, 2)


@pytest.mark.parametrize("width", [1, 11, 12, 13, 20])
def test_narrow_and_wide_changes_meet(build_model, ids, width):
    """Few changed positions are summed lag by lag, many go by way of a transform."""
    compare(build_model().double(), ids, 5, width)


def test_shorter_and_longer_variants(build_model, ids):
    model, longer = build_model(HyenaGLTForTokenClassification).double(), torch.cat([ids, ids[:, :3]], dim=1)
    reference = pass_reference(model, longer)
    for tokens in (40, 41, 59, 60, 63):
        variant = longer[:, :tokens].clone()
        variant[:, 40:] = 17 - variant[:, 40:].clamp(7, 10) if tokens > 41 else variant[:, 40:]
        start = min(40, tokens - 1)
        found = variant_logits(reference, variant[:, start:], start)
        torch.testing.assert_close(found, whole(model, variant), rtol=0, atol=1e-10)


def test_masked_tokens_are_not_pooled(build_model, ids):
    model, ids = build_model().double(), ids.clone()
    ids[:, [3, 30, 31]], ids[:, -1] = 11, 1  # N and a special token
    variants = changed(ids, [28])
    variants[0, 28] = 11
    found = variant_logits(pass_reference(model, ids), variants[:, 28:], 28, 1)
    torch.testing.assert_close(found, whole(model, variants), rtol=0, atol=1e-10)


def test_what_came_before_is_not_touched(build_model, ids):
    model = build_model(HyenaGLTForCausalLM)
    reference = pass_reference(model, ids)
    found = variant_logits(reference, changed(ids, [25])[:, 25:], 25, 1)
    own = reference.logits
    assert torch.equal(found[:, :25], own[:, :25].expand_as(found[:, :25]))
    assert (found[:, 25:] - own[:, 25:])[..., 7:11].abs().amax((1, 2)).max() > 1e-3


def test_a_reference_serves_many_variants(build_model, ids):
    model = build_model(HyenaGLTForSequenceClassification, hyena_order=3).double()
    reference = pass_reference(model, ids)
    before = [part.clone() for layer in reference.layers for part in (*layer.read, *layer.returned, *layer.gates)]
    for start in (50, 3, 30, 3):
        variants = changed(ids, [start, start + 5])
        found = variant_logits(reference, variants[:, start:], start, 6)
        torch.testing.assert_close(found, whole(model, variants), rtol=0, atol=1e-10)
    after = [part for layer in reference.layers for part in (*layer.read, *layer.returned, *layer.gates)]
    assert all(map(torch.equal, before, after))
    torch.testing.assert_close(reference.logits, whole(model, ids), rtol=0, atol=1e-10)


def test_single_precision_stays_within_rounding(build_model, ids):
    model, variants = build_model(), changed(ids, [12])
    found = variant_logits(pass_reference(model, ids), variants[:, 12:], 12, 1)
    torch.testing.assert_close(found, whole(model, variants), rtol=0, atol=1e-5)


def test_which_models_look_back_only(build_model):
    assert all(looks_back_only(build_model(kind), LENGTH) for kind in KINDS)
    assert looks_back_only(build_model(layout="se-mr-li-modal-attention", num_heads=4), LENGTH)
    assert not looks_back_only(build_model(two_sided=True), LENGTH)
    assert not looks_back_only(build_model(chunking="routing", n_layers=3), LENGTH)
    assert not looks_back_only(build_model(use_dynamic_merging=True, n_layers=3), LENGTH)
    assert not looks_back_only(build_model(HyenaGLTModel), LENGTH), "states are no answer"
    assert not looks_back_only(build_model().half(), LENGTH)
    assert not looks_back_only(build_model(), 10**9), "what a sequence leaves behind must fit"
    assert not looks_back_only(torch.nn.Linear(2, 2), LENGTH)
