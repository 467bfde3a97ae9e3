"""Exact attributions add up for every kind of layer, and for chunks that are held still."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ModelError
from genomic_lens.interpretability.attribution.attributions import METHODS, attribute
from genomic_lens.interpretability.attribution.references import reference_embeddings
from genomic_lens.model.chunks.routing import frozen_routing
from genomic_lens.model.hyena_dna import HyenaDNAConfig, HyenaDNAForSequenceClassification
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaForSequenceClassification
from tests.model.chunks.test_stages import WAYS, small_model

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


BLOCKS = {
    **{kind: {"layout": kind, "n_layers": 2} for kind in ("hyena", "se", "mr", "li", "modal", "attention")},
    "order 3": {"layout": "hyena", "n_layers": 2, "hyena_order": 3},
    "rms": {"layout": "hyena-attention", "n_layers": 2, "rms_norm": True},
    "words": {"layout": "hyena", "n_layers": 2, "kmer_sizes": (2, 3)},
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_kind_of_block_adds_up_in_single_precision(kind):
    model = small_model(HyenaGLTForSequenceClassification, BLOCKS[kind]).float()
    for baseline in ("shuffled", "n"):
        record = attribute(model, DNATokenizer(), SEQUENCE, target=0, baseline=baseline, references=4)[0]
        assert record.gap < 1e-4
        assert abs(record.values).max() > 1e-3


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (HyenaDNAForSequenceClassification, HyenaDNAConfig),
        (StripedHyenaForSequenceClassification, StripedHyenaConfig),
    ],
)
def test_published_architectures_add_up(model, config):
    torch.manual_seed(0)
    shape = {"d_model": 16, "num_labels": 3, "sequence_length": 64, "initializer_range": 0.3, "num_heads": 4}
    record = attribute(model(config(**shape)), DNATokenizer(), SEQUENCE, target=0, references=4)[0]
    assert record.gap < 1e-4
    assert abs(record.values).max() > 1e-3


@pytest.mark.filterwarnings("ignore::genomic_lens.interpretability.attribution.leaks.CompletenessWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [*WAYS, "se-mr-li-attention"])
def test_every_method_works_for_every_architecture(kind, method):
    """Outputs are those of the model as it predicts, N has nothing, and the bases have something."""
    model, sequence = small_model(HyenaGLTForSequenceClassification, ALL[kind]), SEQUENCE[:20] + "NN" + SEQUENCE[22:]
    record = attribute(model, DNATokenizer(), sequence, 0, method, references=2, steps=3, samples=2, window=3)[0]
    logits = model(input_ids=torch.from_numpy(DNATokenizer().encode(sequence))[None]).logits[0]
    assert record.output == pytest.approx((logits[0] - logits.mean()).item(), abs=1e-9)
    assert np.flatnonzero(np.isnan(record.values)).tolist() == [20, 21]
    assert np.nanmax(abs(record.values)) > 1e-4


@pytest.mark.filterwarnings("ignore::genomic_lens.interpretability.attribution.leaks.CompletenessWarning")
@pytest.mark.parametrize("method", METHODS)
def test_half_precision_says_nearly_the_same_or_refuses(method):
    model = small_model(HyenaGLTForSequenceClassification, LAYOUTS["modal-attention-hyena"])
    options = {"method": method, "references": 2, "samples": 2}
    whole = attribute(model, DNATokenizer(), SEQUENCE, 0, **options)[0].values
    if method == "layer_integrated_gradients":
        with pytest.raises(ModelError, match="half precision"):
            attribute(model.bfloat16(), DNATokenizer(), SEQUENCE, 0, **options)
        return
    half = attribute(model.bfloat16(), DNATokenizer(), SEQUENCE, 0, **options)[0]
    assert np.corrcoef(half.values, whole)[0, 1] > 0.9
    assert (half.gap < 0.1) == (method in ("exact", "integrated_gradients"))
