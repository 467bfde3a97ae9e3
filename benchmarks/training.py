"""The trainer against a bare PyTorch loop on the demo's model: what a step costs beside the model itself.

    python benchmarks/training.py [--runs 6] [--steps 140] [--out benchmarks/training.json]

Both see the same batches in the same order, with the same optimiser, groups, schedule and clipping, and end with the
same weights, which is checked. They take turns on one thread step by step, so that what else the machine does slows
both alike; CPU seconds are compared over stretches of steps. The trainer logs every ten steps and validates and saves
nothing, as the loop. What it costs to start is given apart, and so is the rate at which letters become ids.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import TrainerCallback, get_cosine_schedule_with_warmup, set_seed

from genomic_lens.cli.splice_model import splice_config, splice_dataset, splice_trainer
from genomic_lens.data.datasets import PaddingCollator
from genomic_lens.data.samples import chlamydia_genome, splice_junctions
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.training import SeededBatchSampler, parameter_groups

STRETCH = 40  # steps that are compared as one


class Turns(TrainerCallback):
    """After each step of the trainer one of the loop; CPU seconds of each."""

    def __init__(self, loop: Iterator):
        self.loop, self.loop_seconds, self.trainer_seconds = loop, [], []

    def on_train_begin(self, args, state, control, **kwargs):
        self.dropout = torch.get_rng_state()
        self.since = self.began = time.process_time()

    def on_step_end(self, args, state, control, **kwargs):
        self.trainer_seconds.append(time.process_time() - self.since)
        others = torch.get_rng_state()
        torch.set_rng_state(self.dropout)
        start = time.process_time()
        next(self.loop)
        self.loop_seconds.append(time.process_time() - start)
        self.dropout = torch.get_rng_state()
        torch.set_rng_state(others)
        self.since = time.process_time()

    def on_train_end(self, args, state, control, **kwargs):
        self.ended = time.process_time()


def bare_loop(model: nn.Module, config, table) -> Iterator[None]:
    """Training in a plain loop, a step at a time."""
    data, collate = splice_dataset(table), PaddingCollator(config.pad_token_id)
    sampler = SeededBatchSampler(len(data), config.batch_size, config.seed)
    optimizer = torch.optim.AdamW(parameter_groups(model, config), eps=1e-8, fused=True)
    total = config.num_epochs * len(sampler)
    schedule = get_cosine_schedule_with_warmup(optimizer, int(np.ceil(total * config.warmup_fraction)), total)
    model.train()
    for epoch in range(config.num_epochs):
        sampler.set_epoch(epoch)
        for indices in sampler:
            batch = collate([data[index] for index in indices])
            loss = model(**batch).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimizer.step()
            schedule.step()
            model.zero_grad()
            yield


def in_turns(config, table) -> tuple[Turns, float, bool]:
    """Seconds of the steps, of what the trainer does before and after, and whether both end with the same weights."""
    set_seed(config.seed)
    plain = HyenaGLTForSequenceClassification(config)
    trainer, turns = splice_trainer(config, table), Turns(bare_loop(plain, config, table))
    trainer.hf.add_callback(turns)
    begin = time.process_time()
    trainer.train()
    around = turns.began - begin + time.process_time() - turns.ended
    same = all(torch.equal(*weights) for weights in zip(plain.parameters(), trainer.model.parameters(), strict=True))
    return turns, around, same


def spread(values: np.ndarray) -> dict[str, float]:
    """Median and quartiles."""
    return dict(zip(("low", "median", "high"), np.quantile(values, (0.25, 0.5, 0.75)).tolist(), strict=True))


def tokenizing_rate(runs: int = 20) -> float:
    """Bases, that is bytes of text, a CPU second from letters to ids, in millions: the median over runs."""
    tokenizer, genome, rates = DNATokenizer(), chlamydia_genome().sequence, []
    for _ in range(runs):
        begin = time.process_time()
        tokenizer.encode(genome)
        rates.append(len(genome) / 1e6 / (time.process_time() - begin))
    return float(np.median(rates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=140)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = splice_config(epochs=2)
    table = splice_junctions("train").iloc[: options.steps * config.batch_size // 2]
    loops, trainers, starts, same = [], [], [], True
    for _ in range(options.runs):
        turns, around, alike = in_turns(config, table)
        for seconds, stretches in ((turns.loop_seconds, loops), (turns.trainer_seconds, trainers)):
            usable = np.array(seconds[len(seconds) % STRETCH :])  # the first steps pay for what is made once
            stretches += (1e3 * usable.reshape(-1, STRETCH).mean(1)).tolist()
        starts.append(around)
        same &= alike
    ratios = np.array(trainers) / np.array(loops)
    bases = config.batch_size * len(table.sequence.iloc[0])
    result = {
        "steps": len(ratios) * STRETCH, "stretch": STRETCH, "same_weights": same, "loop_ms": spread(np.array(loops)),
        "trainer_ms": spread(np.array(trainers)), "ratio": spread(ratios), "start_s": spread(np.array(starts)),
        "ratio_of_sums": sum(trainers) / sum(loops), "bases_per_second": 1e3 * bases / float(np.median(trainers)),
        "tokenizing_mb_per_second": tokenizing_rate(),
    }  # fmt: skip
    print(f"{result['steps']} steps of each in turns, one thread; final weights {'identical' if same else 'DIFFER'}")
    for name, unit in (("loop_ms", "ms a step"), ("trainer_ms", "ms a step"), ("start_s", "s to start and end")):
        print(f"{name.split('_')[0]:8} {{median:.2f}} ({{low:.2f}} to {{high:.2f}}) {unit}".format(**result[name]))
    print("ratio    {median:.3f} ({low:.3f} to {high:.3f})".format(**result["ratio"]), end="")
    print(f" over {STRETCH} steps, {result['ratio_of_sums']:.3f} over all")
    print(f"{result['bases_per_second']:,.0f} bases a CPU second")
    print(f"{result['tokenizing_mb_per_second']:,.0f} MB of bases a CPU second are tokenized")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
