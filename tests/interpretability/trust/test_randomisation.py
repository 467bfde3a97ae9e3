"""The cascade: parts in the order in which they work, noise that keeps sizes, and what must not survive it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.interpretability.attribution.attributions import attribute
from genomic_lens.interpretability.trust.randomisation import (
    explainer,
    parts_from_top,
    randomisation_cascade,
    shuffle_weights,
    weight_parts,
)
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.model.pretrained import fingerprint
from tests.model.chunks.test_stages import small_model

from ..conftest import build_model
from ..test_architectures import ALL
from ..toys import TOKENIZER, Counter, Deaf, Linear, by_chance, draw

IDS = torch.from_numpy(TOKENIZER.encode("ACGTTGCATTGACCAGTACGTAGGCATTACAG"))[None]


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_every_weight_belongs_to_one_part(kind):
    model = small_model(HyenaGLTForSequenceClassification, ALL[kind])
    parts = parts_from_top(model, input_ids=IDS)
    owned = [id(parameter) for _, parameters in parts for parameter in parameters]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(parameter) for parameter in model.parameters()}


@pytest.mark.parametrize("kind", ALL)
def test_parts_come_from_the_output_down(kind):
    model = small_model(HyenaGLTForSequenceClassification, ALL[kind])
    names = [name for name, _ in parts_from_top(model, input_ids=IDS)]
    assert names[0] == "head"
    assert names[-1] == "backbone.embeddings"
    layers = [name for name in names if ".layers." in name]
    assert len(layers) > 1
    if kind in ("routing", "merging", "patches"):
        rank = {part: min(place for place, name in enumerate(names) if f"stage.{part}" in name) for part in
                ("decoder", "inner", "chunker", "encoder")}  # fmt: skip
        assert rank["decoder"] < rank["inner"] < rank["encoder"]
        assert rank["inner"] < rank["chunker"] < rank["encoder"]


def test_order_is_that_of_calls_and_not_of_definition():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(2, 1), nn.Linear(2, 2)
            self.never = nn.Linear(1, 1)
            self.own = nn.Parameter(torch.zeros(2))

        def forward(self, x):
            return self.last(self.first(x + self.own))

    names = [name for name, _ in parts_from_top(Crossed(), x=torch.zeros(1, 2))]
    assert names == ["last", "first", "Crossed", "never"]


def test_shared_weights_are_shuffled_once_and_with_what_is_called_first():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(self.embed(x))

    assert [name for name, _ in parts_from_top(Tied(), x=torch.zeros(1, 2))] == ["embed"]


def test_a_model_without_weights_is_refused():
    with pytest.raises(ModelError, match="nothing to randomise"):
        parts_from_top(nn.ReLU(), input=torch.zeros(1))


def test_noise_keeps_the_numbers_and_loses_their_order():
    weights = nn.Parameter(torch.arange(60.0).view(6, 10))
    shuffle_weights([weights], np.random.default_rng(0))
    assert sorted(weights.flatten().tolist()) == list(range(60))
    assert (weights.flatten() == torch.arange(60.0)).sum() < 10
    assert weights.requires_grad


# --- the cascade ------------------------------------------------------------------------------------------------------


def test_a_right_explanation_is_gone_at_the_end():
    model = build_model(d_model=32)
    records = attribute(model, TOKENIZER, draw(4, 40), "donor", references=8)
    cascade = randomisation_cascade(model, TOKENIZER, records, explainer(TOKENIZER, references=8))
    assert cascade.parts == ("head", "backbone.ln_f", "backbone.layers.1", "backbone.layers.0", "backbone.embeddings")
    assert abs(cascade.final) < 0.3
    assert cascade.magnitude.shape == cascade.signed.shape == (5, 4)


def test_the_model_is_left_as_it_was_and_the_seed_decides():
    model = build_model()
    before, training = fingerprint(model), model.training
    records = attribute(model, TOKENIZER, draw(2, 30), "donor", baseline="mean")
    explain = explainer(TOKENIZER, baseline="mean")
    first, again, other = (randomisation_cascade(model, TOKENIZER, records, explain, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.magnitude, again.magnitude)
    assert np.abs(first.magnitude - other.magnitude).max() > 1e-3
    assert (fingerprint(model), model.training) == (before, training)


def test_a_linear_model_falls_at_its_only_part():
    model = Linear(60)
    records = attribute(model, TOKENIZER, draw(3, 60), 0, baseline="mean")
    cascade = randomisation_cascade(model, TOKENIZER, records, explainer(TOKENIZER, baseline="mean"))
    assert cascade.parts == ("head",)
    assert abs(cascade.final) < 0.3


@pytest.mark.parametrize(("model", "explain"), [(Deaf(40), None), (Linear(40), by_chance)], ids=["deaf", "input alone"])
def test_what_does_not_hang_on_weights_survives_and_is_found_out(model, explain):
    explain = explain or explainer(TOKENIZER, baseline="mean")
    records = [explain(model, sequence, 0) for sequence in draw(3, 40)]
    cascade = randomisation_cascade(model, TOKENIZER, records, explain)
    assert cascade.final == pytest.approx(1)


def test_top_layers_that_are_not_listened_to_leave_the_explanation_as_it_was():
    """Their branches are closed by zeros, which stay zeros when they are shuffled."""
    model = build_model(dtype=torch.float64)
    block = model.backbone.layers[1]
    with torch.no_grad():
        for layer in (block.mixer.out_proj, block.mlp.fc2):
            layer.weight.zero_()
            layer.bias.zero_()
    records = attribute(model, TOKENIZER, draw(2, 30), "donor", baseline="mean")
    cascade = randomisation_cascade(model, TOKENIZER, records, explainer(TOKENIZER, baseline="mean"))
    above, block, below = cascade.magnitude[1:4]
    np.testing.assert_allclose(block, above, atol=1e-9)
    assert np.abs(below - above).max() > 0.05


def test_a_picture_that_vanishes_has_nothing_in_common_with_what_it_was():
    """The counter's shuffled filter matches nothing, so every contribution is 0."""
    model = Counter("GATTA")
    records = attribute(model, TOKENIZER, draw(2, 40, "GATTA"), 0)
    cascade = randomisation_cascade(model, TOKENIZER, records)
    assert np.isfinite(cascade.magnitude).all()
    assert cascade.final < 0.3


def test_nothing_to_compare_is_refused():
    with pytest.raises(ConfigurationError, match="No attributions"):
        randomisation_cascade(Linear(4), TOKENIZER, [])


def test_parts_of_lists_inside_lists_belong_to_the_outer_one():
    inner = nn.ModuleList([nn.ModuleList([nn.Linear(1, 1)]), nn.Linear(1, 1)])
    assert [name for name, _, _ in weight_parts(nn.ModuleDict({"layers": inner}))] == ["layers.0", "layers.1"]


def test_the_method_is_that_of_the_attributions():
    records = [replace(record, method="mine") for record in attribute(Linear(10), TOKENIZER, draw(1, 10), 0)]
    assert randomisation_cascade(Linear(10), TOKENIZER, records).method == "mine"
