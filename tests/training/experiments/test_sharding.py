"""Divided weights: each process keeps its part, and the gradients are those of the whole model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genomic_lens.errors import ConfigurationError
from genomic_lens.training.experiments.sharding import check_sharding

ROOT = Path(__file__).resolve().parents[3]
RUN = """
import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.model import HyenaDNAConfig, HyenaDNAForCausalLM, HyenaGLTForSequenceClassification
from genomic_lens.model import StripedHyenaConfig, StripedHyenaForCausalLM
from genomic_lens.training.experiments.sharding import shard

shape = {"d_model": 16, "n_layers": 4, "sequence_length": 32, "dropout": 0.0, "embed_dropout": 0.0}
# The loss of the routing's ratios is of means over a batch, so half a batch has another one.
routed = {"vocab_size": 12, "chunking": "routing", "initializer_range": 0.2, "ratio_loss_weight": 0.0}
models = {
    "hyenadna": lambda: HyenaDNAForCausalLM(HyenaDNAConfig(**shape)),
    "striped": lambda: StripedHyenaForCausalLM(StripedHyenaConfig(**shape, vocab_size=12, num_heads=4)),
    "routed": lambda: HyenaGLTForSequenceClassification(HyenaGLTConfig(**shape, **routed, num_classes=3)),
}
mesh = init_device_mesh("cpu", (2,))
rank = dist.get_rank()
generator = torch.Generator().manual_seed(0)
ids = torch.randint(7, 11, (4, 24), generator=generator)
for name, build in models.items():
    torch.manual_seed(1)
    whole = build().train()
    torch.manual_seed(1)
    divided = shard(build().train(), mesh)
    labels = torch.tensor([0, 1, 2, 0]) if name == "routed" else ids
    whole(ids, labels=labels).loss.backward()
    mine = slice(2 * rank, 2 * rank + 2)
    divided(ids[mine], labels=labels[mine]).loss.backward()
    expected = dict(whole.named_parameters())
    worst, held, all_of_it = 0.0, 0, 0
    for key, parameter in divided.named_parameters():
        assert isinstance(parameter, DTensor), key
        held += parameter.to_local().numel()
        all_of_it += parameter.numel()
        if expected[key].grad is not None:
            worst = max(worst, float((parameter.grad.full_tensor() - expected[key].grad).abs().max()))
    units = sum("FSDP" in type(module).__name__ for module in divided.modules())
    with open(f"{sys.argv[1]}/process{rank}.txt", "a") as file:  # two processes may print into one line
        print(name, worst, held / all_of_it, units, file=file)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_gradients_of_divided_blocks_are_those_of_the_whole_model(tmp_path):
    """HyenaDNA, StripedHyena with attention, and chunks; each process has half of the batch."""
    script = tmp_path / "run.py"
    script.write_text(RUN)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launch, str(script), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split() for file in tmp_path.glob("process*.txt") for line in file.read_text().splitlines()]
    assert len(lines) == 6
    for name, worst, share, units in lines:
        assert float(worst) < 1e-5, name
        assert 0.4 < float(share) < 0.6, name
        assert int(units) == 5, name  # four blocks, and the rest


def test_where_weights_would_be_copied_it_is_refused(monkeypatch):
    check_sharding(False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ConfigurationError, match="without an accelerator; on CPUs every process would hold all weights"
    ):
        check_sharding(True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigurationError, match="with one process; start several"):
        check_sharding(True)
