"""Windows over a file give what the model gives for the sequence, wherever they are cut."""

import numpy as np
import pytest
import torch

from genomic_lens.data.fasta import Interval, intervals, open_fasta
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model.hyena_dna import (
    HyenaDNAForCausalLM,
    HyenaDNAForTokenClassification,
)
from genomic_lens.model.inference.streaming import cut, embed, logits
from genomic_lens.model.zoo import open_model
from tests.conftest import DNA


def joined(blocks):
    blocks = list(blocks)
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


@torch.no_grad()
def whole(model, name):
    ids = torch.from_numpy(DNATokenizer().encode(DNA[name]))[None]
    return model.backbone(ids).last_hidden_state[0].numpy(), model(ids)


def test_whole_sequences_give_what_the_model_gives(dna_file, build_hyena_dna):
    model = build_hyena_dna(HyenaDNAForCausalLM)
    with open_fasta(dna_file) as records:
        windows = cut(intervals(records), 80)
        states, scores = joined(embed(model, records, windows)), joined(logits(model, records, windows))
        means = joined(embed(model, records, windows, pool="mean"))
    for name in DNA:
        rows, (hidden, out) = states["sequence"] == name, whole(model, name)
        assert states["position"][rows].tolist() == list(range(len(DNA[name])))
        np.testing.assert_allclose(states["embedding"][rows], hidden, atol=1e-6)
        np.testing.assert_allclose(scores["logits"][rows], out.logits[0, :, 7:11].numpy(), atol=1e-6)
        np.testing.assert_allclose(means["embedding"][means["sequence"] == name][0], hidden.mean(0), atol=1e-6)
    assert means["stop"].tolist() == [69, 8]


def test_context_is_read_and_not_reported(dna_file, build_hyena_dna):
    """A causal model with the whole past as context does not notice the cut."""
    model = build_hyena_dna(HyenaDNAForCausalLM)
    with open_fasta(dna_file) as records:
        place = [Interval("one", 3, 60)]
        parts = [(Interval("one", 3, 30), 3), (Interval("one", 30, 60), 3)]
        expected = joined(embed(model, records, cut(place, 80)))
        found, short = joined(embed(model, records, parts)), joined(embed(model, records, cut(place, 20, 10)))
    np.testing.assert_allclose(found["embedding"], expected["embedding"], atol=1e-5)
    assert short["position"].tolist() == list(range(3, 60))
    assert abs(short["embedding"] - expected["embedding"]).max() > 1e-3


@pytest.mark.parametrize(("window", "context"), [(7, 0), (7, 6), (100, 50), (1, 0)])
def test_each_base_is_reported_once(window, context):
    found = cut([Interval("a", 5, 40), Interval("b", 0, 3)], window, context)
    seen = [(place.name, base) for place, _ in found for base in range(place.start, place.stop)]
    assert seen == [("a", base) for base in range(5, 40)] + [("b", base) for base in range(3)]
    for place, read in found:
        assert place.stop - read <= window
        assert read == max(place.start - context, 5 if place.name == "a" else 0)


def test_a_window_holds_a_base():
    with pytest.raises(ConfigurationError, match="window is 0; expected at least 1"):
        cut([Interval("a", 0, 40)], 0)


def test_context_must_leave_room():
    with pytest.raises(ConfigurationError, match="expected 0 to 9"):
        cut([Interval("a", 0, 40)], 10, 10)


def test_a_folder_opens_as_what_wrote_it(build_hyena_dna, tmp_path):
    model = build_hyena_dna(HyenaDNAForTokenClassification, num_classes=3)
    model.save_pretrained(tmp_path)
    assert type(open_model(tmp_path)) is HyenaDNAForTokenClassification
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("HyenaDNAForTokenClassification", "Other"))
    with pytest.raises(ModelError, match="was written by Other"):
        open_model(tmp_path)
