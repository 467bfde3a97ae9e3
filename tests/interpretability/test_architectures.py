"""Exact attributions add up for every kind of layer, and for chunks that are held still."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.interpretability.attributions import attribute
from genomic_lens.interpretability.references import reference_embeddings
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.model.routing import frozen_routing
from tests.model.test_stages import WAYS, small_model

SEQUENCE = "ACGTTGCATTGACCAGTACGTAGGCATTACAGTTACGATCGATTACGAGTCAGT"
LAYOUTS = {layout: {"layout": layout, "n_layers": 4} for layout in ("se-mr-li-attention", "modal-attention-hyena")}
GATED = {"gated and rms": {"layout": "se-attention", "n_layers": 2, "gated_mlp": True, "rms_norm": True}}
ALL = WAYS | LAYOUTS | GATED


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("two_sided", [False, True])
def test_exact_contributions_add_up(kind, two_sided):
    model = small_model(HyenaGLTForSequenceClassification, ALL[kind], two_sided=two_sided).float()
    record = attribute(model, DNATokenizer(), SEQUENCE, target=0, references=4)[0]
    assert record.gap < 1e-5
    assert abs(record.values).max() > 1e-3


@pytest.mark.parametrize("kind", WAYS)
def test_what_holding_the_boundaries_leaves_out_is_told(kind):
    tokenizer, model = DNATokenizer(), small_model(HyenaGLTForSequenceClassification, ALL[kind])
    record = attribute(model, tokenizer, SEQUENCE, target=0, references=4)[0]
    ids = tokenizer.encode(SEQUENCE)
    table = model.get_input_embeddings().weight.detach()
    references = reference_embeddings(table, ids, tokenizer, "shuffled", 4, 0)

    def output():  # by the model as it predicts, not as it is explained
        with torch.no_grad():
            logits = model(inputs_embeds=references).logits
        return (logits[:, 0] - logits.mean(1)).mean().item()

    with frozen_routing(model, input_ids=torch.from_numpy(ids)[None]):
        held = output()
    assert record.reference_output == pytest.approx(held, abs=1e-9)
    if kind == "patches":
        assert np.isnan(record.left_out), "embeddings do not tell where patches begin"
        return
    assert record.left_out == pytest.approx(output() - held, abs=1e-9)
    assert abs(record.left_out) > 1e-4


def test_models_without_chunks_leave_nothing_out():
    model = small_model(HyenaGLTForSequenceClassification, LAYOUTS["se-mr-li-attention"])
    assert attribute(model, DNATokenizer(), SEQUENCE, target=0, references=2)[0].left_out == 0
