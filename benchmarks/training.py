"""The trainer against a bare PyTorch loop on the demo's model: what a step costs beside the model itself.

    python benchmarks/training.py [--pairs 12] [--steps 120] [--out benchmarks/training.json]

Both see the same batches in the same order, with the same optimiser, groups, schedule and clipping, and end with the
same weights, which is checked. They take turns on one thread, each time for so many steps, and CPU seconds a step are
compared pair by pair; on a busy machine the quickest run of each tells most. The trainer logs every ten steps and
validates and saves nothing, as the loop. What it costs to start is given apart, and so is the rate at which letters
become ids.
"""

import argparse
import json
import time
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


class Clock(TrainerCallback):
    """CPU seconds at the first and the last step."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.begin = time.process_time()

    def on_train_end(self, args, state, control, **kwargs):
        self.end = time.process_time()


def bare_loop(config, table) -> tuple[float, nn.Module]:
    """CPU seconds of training in a plain loop, and the model."""
    set_seed(config.seed)
    model = HyenaGLTForSequenceClassification(config)
    data, collate = splice_dataset(table), PaddingCollator(config.pad_token_id)
    sampler = SeededBatchSampler(len(data), config.batch_size, config.seed)
    optimizer = torch.optim.AdamW(parameter_groups(model, config), eps=1e-8, fused=True)
    total = config.num_epochs * len(sampler)
    schedule = get_cosine_schedule_with_warmup(optimizer, int(np.ceil(total * config.warmup_fraction)), total)
    set_seed(config.seed)
    model.train()
    begin = time.process_time()
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
    return time.process_time() - begin, model


def with_trainer(config, table) -> tuple[float, float, nn.Module]:
    """CPU seconds of its steps, of what it does before and after, and the model."""
    trainer, clock = splice_trainer(config, table), Clock()
    trainer.hf.add_callback(clock)
    begin = time.process_time()
    trainer.train()
    steps = clock.end - clock.begin
    return steps, time.process_time() - begin - steps, trainer.model


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
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = splice_config(epochs=2)
    table = splice_junctions("train").iloc[: options.steps * config.batch_size // 2]
    steps = config.num_epochs * -(-len(table) // config.batch_size)
    loops, trainers, starts, same = [], [], [], True
    bare_loop(config, table), with_trainer(config, table)
    for pair in range(options.pairs):
        order = (bare_loop, with_trainer) if pair % 2 else (with_trainer, bare_loop)
        found = {kind: kind(config, table) for kind in order}
        (loop, plain), (ours, start, model) = found[bare_loop], found[with_trainer]
        loops.append(loop / steps), trainers.append(ours / steps), starts.append(start)
        same &= all(torch.equal(*weights) for weights in zip(plain.parameters(), model.parameters(), strict=True))
    ratios = np.array(trainers) / np.array(loops)
    bases = config.batch_size * len(table.sequence.iloc[0])
    result = {
        "steps": steps, "pairs": options.pairs, "same_weights": same, "loop_ms": spread(1e3 * np.array(loops)),
        "trainer_ms": spread(1e3 * np.array(trainers)), "ratio": spread(ratios), "start_s": spread(np.array(starts)),
        "ratio_of_the_quickest": min(trainers) / min(loops),
        "bases_per_second": bases / float(np.median(trainers)), "tokenizing_mb_per_second": tokenizing_rate(),
    }  # fmt: skip
    print(f"{options.pairs} pairs of {steps} steps, one thread; final weights {'identical' if same else 'DIFFER'}")
    for name, unit in (("loop_ms", "ms a step"), ("trainer_ms", "ms a step"), ("start_s", "s to start and end")):
        print(f"{name.split('_')[0]:8} {{median:.2f}} ({{low:.2f}} to {{high:.2f}}) {unit}".format(**result[name]))
    quickest = f"; of the quickest runs {result['ratio_of_the_quickest']:.3f}"
    print("ratio    {median:.3f} ({low:.3f} to {high:.3f})".format(**result["ratio"]) + quickest)
    print(f"{result['bases_per_second']:,.0f} bases a CPU second")
    print(f"{result['tokenizing_mb_per_second']:,.0f} MB of bases a CPU second are tokenized")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
