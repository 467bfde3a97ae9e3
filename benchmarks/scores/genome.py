"""The next base of the embedded genome: bits a base on its last tenth, beside Markov chains of every order.

All count the same bases: those of windows of 512 from the eleventh on, so that the longest chain has what it looks at.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import set_seed

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data import DNATokenizer, PretrainingDataset
from genomic_lens.data.samples import chlamydia_genome
from genomic_lens.metrics import MarkovModel
from genomic_lens.model import HyenaGLTForCausalLM
from genomic_lens.training import HyenaGLTTrainer

LENGTH, FIRST, ORDERS = 512, 10, range(11)
SHAPE = {"d_model": 64, "n_layers": 2, "kmer_sizes": (3, 5), "dropout": 0.0}
LEARNING = {"learning_rate": 3e-3, "warmup_fraction": 0.1, "batch_size": 8, "num_epochs": 10}


def trained(training: str, seed: int) -> HyenaGLTForCausalLM:
    """A model that has read a sequence on both strands."""
    tokenizer = DNATokenizer()
    config = HyenaGLTConfig(
        vocab_size=len(tokenizer), sequence_length=LENGTH, seed=seed, logging_steps=10**6, **SHAPE, **LEARNING
    )
    set_seed(seed)
    model = HyenaGLTForCausalLM(config)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "training.fa")
        file.write_text(f">training\n{training}\n")
        windows = PretrainingDataset(file, LENGTH, count=1000, reverse_complement=True, seed=seed)
        HyenaGLTTrainer(model, config, windows, tokenizer=tokenizer).train()
    return model.eval()


@torch.no_grad()
def model_bits(model: HyenaGLTForCausalLM, windows: list[str]) -> float:
    """Mean bits of the bases that count."""
    ids = torch.from_numpy(np.stack([DNATokenizer().encode(window) for window in windows])).long()
    chances = torch.cat([model(part).logits.log_softmax(-1) for part in ids.split(16)])
    return float(-chances[:, FIRST - 1 : -1].gather(-1, ids[:, FIRST:, None]).mean() / np.log(2))


def measure(task: str, seeds: int, data: Path) -> list[dict]:
    """A row for each order, and for each seed of the model."""
    bases = chlamydia_genome().sequence
    cut = len(bases) * 9 // 10
    windows = [bases[start : start + LENGTH] for start in range(cut, len(bases) - LENGTH, LENGTH)]
    methods = {(f"Markov chain of order {order}", 0): order for order in ORDERS}
    rows = []
    for method, seed in [*methods, *(("Hyena", seed) for seed in range(seeds))]:
        start = time.process_time()
        if method == "Hyena":
            bits = model_bits(trained(bases[:cut], seed), windows)
        else:
            bits = MarkovModel(methods[method, seed]).fit([bases[:cut]]).bits(windows, first=FIRST)
        spent = time.process_time() - start
        rows.append({"task": task, "method": method, "seed": seed, "bits_per_base": bits, "cpu_seconds": spent})
    return rows
