"""A checkpoint that has learnt is told from one that has not, and so is the window that it was trained with."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError
from genomic_lens.model.hyena_dna import HyenaDNAConfig, HyenaDNAForCausalLM
from genomic_lens.model.weights.verify import CheckpointReport, verify_checkpoint

SMALL = {"d_model": 16, "sequence_length": 66, "initializer_range": 0.3}
DNA = "".join(np.random.default_rng(0).choice(list("ACGT"), 66))


@pytest.fixture(scope="module", params=[0.0, 0.05])
def learnt(request, tmp_path_factory):
    """A model that has learnt some DNA by heart, under one of the windows."""
    torch.manual_seed(0)
    shape = SMALL | {"filter_shift": request.param, "embed_dropout": 0.0}
    model = HyenaDNAForCausalLM(HyenaDNAConfig(**shape))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    ids = torch.from_numpy(DNATokenizer().encode(DNA))[None]
    for _ in range(300):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("learnt")
    model.save_pretrained(folder)
    return folder, request.param


def test_a_model_that_has_learnt_is_told_from_a_random_one_and_so_is_its_window(learnt, tmp_path):
    folder, shift = learnt
    report = verify_checkpoint(folder, DNA)
    assert report.learnt
    assert report.shift == report.model.config.filter_shift == shift
    assert report.losses[shift] < report.losses[0.05 - shift]
    assert ("training repository" if shift == 0 else "published inference") in report.verdict
    assert report.frequencies == pytest.approx(np.log(4), abs=0.1)
    HyenaDNAForCausalLM(HyenaDNAConfig(**SMALL)).save_pretrained(tmp_path)
    assert "do not know DNA" in verify_checkpoint(tmp_path, DNA).verdict


def test_the_report_lists_every_loss(learnt):
    report = verify_checkpoint(learnt[0], DNA)
    assert isinstance(report, CheckpointReport)
    assert report.to_dataframe().predictor.tolist() == [
        "filter_shift=0.05", "filter_shift=0.0", "frequencies of bases",
    ]  # fmt: skip
    with pytest.raises(DataError, match="1 bases came"):
        verify_checkpoint(learnt[0], "A")
