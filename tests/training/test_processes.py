"""Two processes on one machine are one: same weights, same checkpoints, resumed as exactly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genomic_lens.training import CurriculumLearner
from genomic_lens.training.batches import SeededBatchSampler

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"save_steps": 2, "dropout": 0.0}
STAGES = [{"max_length": 8}, {"max_length": 16}]
RUN = f"""
import sys
from pathlib import Path

import torch
from genomic_lens.training import CurriculumLearner
from tests.training.conftest import StopAt, build_trainer

STAGES = {STAGES}
folder, options = Path(sys.argv[1]), {{**{OPTIONS}, "batch_size": 2}}


def finish(name):
    trainer = build_trainer(folder / name, start=len(name), **options)
    trainer.train(resume=True)
    if trainer.hf.is_world_process_zero():
        torch.save(trainer.model.state_dict(), folder / f"{{name}}.pt")


trainer = build_trainer(folder / "straight", **options)
trainer.train()
if trainer.hf.is_world_process_zero():
    torch.save(trainer.model.state_dict(), folder / "straight.pt")
budget = build_trainer(folder / "budget", **options, batch_tokens=36)  # an even number of batches
budget.train()
if budget.hf.is_world_process_zero():
    torch.save(budget.model.state_dict(), folder / "budget.pt")
by_loss = build_trainer(None, **options | {{"batch_size": 4}}, curriculum=CurriculumLearner(STAGES, "loss"))
by_loss.train()
if by_loss.hf.is_world_process_zero():
    torch.save(by_loss.model.state_dict(), folder / "by_loss.pt")
try:
    build_trainer(folder / "resumed", callbacks=[StopAt(7)], **options).train()
except KeyboardInterrupt:
    finish("resumed")
"""


def largest(one, other):
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_resume_exactly(make_trainer, tmp_path):
    """The same batches of four, by one process and by two; and by two that were interrupted at step 7."""
    script = tmp_path / "run.py"
    script.write_text(RUN)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script, tmp_path]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    straight, resumed = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("straight", "resumed"))
    alone = make_trainer(**OPTIONS, batch_size=4)
    alone.train()
    assert largest(alone.model.state_dict(), straight) < 1e-5
    assert largest(straight, resumed) == 0
    by_budget = make_trainer(**OPTIONS, batch_tokens=36, accumulation_steps=2)  # one process, two batches a step
    by_budget.train()
    assert largest(by_budget.model.state_dict(), torch.load(tmp_path / "budget.pt", weights_only=True)) < 1e-5
    by_loss = make_trainer(**OPTIONS, batch_size=4, curriculum=CurriculumLearner(STAGES, "loss"))
    by_loss.train()
    assert largest(by_loss.model.state_dict(), torch.load(tmp_path / "by_loss.pt", weights_only=True)) < 1e-5
    names = {path.name for path in (tmp_path / "straight" / "checkpoint-18").iterdir()}
    assert {"rng_state_0.pth", "rng_state_1.pth", "model.safetensors"} <= names
    assert not list((tmp_path / "straight").glob(".*"))


def test_parts_of_processes_make_up_the_batches_of_one():
    for items in (24, 23, 5):
        whole = SeededBatchSampler(items, 6, seed=1)
        parts = [SeededBatchSampler(items, 3, 1, rank, 2) for rank in range(2)]
        assert len(whole) == len(parts[0]) == len(list(parts[1]))
        for all_of_it, one, other in zip(whole, *parts, strict=True):
            assert len(one) == len(other)
            assert set(one + other) >= set(all_of_it)
            assert len(one + other) <= len(all_of_it) + 1
