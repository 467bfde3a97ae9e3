"""HyenaDNA at long inputs, against a plain textbook implementation with the same weights.

    python benchmarks/long_conv.py [--lengths 1024 8192 32768 32769 131072] [--threads 2] [--runs 3] [--sizes]
                                   [--out benchmarks/long_conv.json]

The textbook draws its filters and transforms them at every call, pads to twice the length, convolves the short filter
with `conv1d`, and works on whole sequences. Each measurement has a process of its own, so that its peak memory is its
own, and runs a short input first, so that the code of libraries is loaded; the two take turns. Where a GPU is there, it
gets rows, too.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.nn import functional

from genomic_lens.model.zoo import ZOO

TASKS = {"forward": 1, "training step": 1, "decoding, one base": 32}
SHAPE = {"d_model": 128, "n_layers": 2}


# --- the textbook -----------------------------------------------------------------------------------------------------


def textbook_filter(network: nn.Module, length: int) -> torch.Tensor:
    """Taps of all channels, drawn anew."""
    place, described, rates = network.read_tables(length)
    return network.draw(place, described, rates).T


def textbook_mixer(mixer: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """Order 2, as in the paper."""
    length = hidden.shape[1]
    projected, conv = mixer.in_proj(hidden).transpose(1, 2), mixer.short_filter
    short = functional.conv1d(projected, conv.weight, conv.bias, padding=2, groups=len(conv.weight))
    first, second, value = short[..., :length].chunk(3, dim=1)
    value = value * second
    taps = textbook_filter(mixer.filter_fn, length)
    spectrum = torch.fft.rfft(taps, n=2 * length) * torch.fft.rfft(value, n=2 * length)
    filtered = torch.fft.irfft(spectrum, n=2 * length)[..., :length] + mixer.filter_fn.bias[:, None] * value
    return mixer.out_proj((filtered * first).transpose(1, 2))


def textbook(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Hidden states."""
    backbone = model.backbone
    hidden = backbone.embeddings["word_embeddings"](ids)
    for block in backbone.layers:
        hidden = hidden + textbook_mixer(block.mixer, block.norm1(hidden))
        hidden = hidden + block.mlp.fc2(block.mlp.activation(block.mlp.fc1(block.norm2(hidden))))
    return backbone.ln_f(hidden)


# --- one measurement --------------------------------------------------------------------------------------------------


def memory(line: str) -> int:
    """Of this process in bytes, VmRSS now or VmHWM at its most, as the kernel counts it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{line}:")[1].split()[0]) * 1024


class Peak:
    """The most memory that the process held while it ran; a watching thread would disturb the clock."""

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        self.base = memory("VmRSS")
        return self

    def __exit__(self, *error):
        self.extra = memory("VmHWM") - self.base


def task(name: str, implementation: str, model: nn.Module, ids: torch.Tensor):
    """What is timed, as a function without arguments."""
    if implementation == "textbook":
        states = lambda: textbook(model, ids)  # noqa: E731
    else:
        states = lambda: model.backbone(ids).last_hidden_state  # noqa: E731
    if name == "forward":
        return torch.no_grad()(states)
    if name == "training step":

        def step():
            model.zero_grad()
            states().square().mean().backward()

        return step
    if implementation == "textbook":
        return torch.no_grad()(states)  # without a memory, one more base is another whole pass
    from genomic_lens.model.inference.decoding import empty_memory, extend

    with torch.no_grad():
        _, past = extend(model, ids[:, :-128], empty_memory(model, 1, ids.shape[1]))
    return lambda: extend(model, ids[:, :1], past)


def measure(name: str, implementation: str, length: int, threads: int, device: str, model_name: str | None) -> dict:
    """Seconds of each run and peak memory, in this process."""
    from genomic_lens.model.hyena_dna import HyenaDNAConfig, HyenaDNAForCausalLM
    from genomic_lens.model.zoo import model_config

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    own = HyenaDNAConfig(**SHAPE, sequence_length=length + 2, embed_dropout=0.0)
    config = model_config(model_name) if model_name else own
    model = HyenaDNAForCausalLM(config).eval().to(device)
    ids = torch.randint(7, 11, (1, length), device=device)
    task(name if name in ("forward", "training step") else "forward", implementation, model, ids[:, :512])()
    run, times = task(name, implementation, model, ids), []
    quick = name.startswith("decoding") and implementation == "ours"
    with Peak() as peak:
        for _ in range(100 if quick else 1 if model_name else max(4, 2**17 // length)):
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    extra = torch.cuda.max_memory_allocated() if device == "cuda" else peak.extra
    return {"seconds": times, "extra_bytes": extra}


def in_process(*question) -> dict:
    """One measurement in a process of its own."""
    answer = subprocess.run(
        [sys.executable, __file__, "--one", json.dumps(question)], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        sys.exit(answer.stderr)
    return json.loads(answer.stdout.splitlines()[-1])


def compare(name: str, length: int, threads: int, device: str, runs: int) -> dict:
    """Both implementations in turns: medians after the first run of each process, and the ratio of each turn."""
    found = {"textbook": [], "ours": []}
    for _ in range(runs):
        for implementation, answers in found.items():
            answers.append(in_process(name, implementation, length, threads, device, None))
    row = {"task": name, "length": length, "device": device}
    for implementation, answers in found.items():
        row[f"{implementation}_seconds"] = median(time for answer in answers for time in answer["seconds"][1:])
        row[f"{implementation}_first_seconds"] = median(answer["seconds"][0] for answer in answers)
        row[f"{implementation}_extra_mb"] = median(answer["extra_bytes"] for answer in answers) / 2**20
    turns = [[median(answer["seconds"][1:]) for answer in answers] for answers in found.values()]
    ratios = sorted(textbook / ours for textbook, ours in zip(*turns, strict=True))  # a slow hour slows both
    row["times_faster"], row["ratio_of_each_turn"] = median(ratios), ratios
    row["memory_ratio"] = row["ours_extra_mb"] / max(row["textbook_extra_mb"], 1)
    return row


def longest(name: str, threads: int) -> dict:
    """One pass of the longest input through a published size, random weights."""
    length = min(ZOO[name].sequence_length, 1_000_000)
    answer = in_process("forward", "ours", length, threads, "cpu", name)
    seconds, extra = answer["seconds"][0], answer["extra_bytes"]
    print(f"{name:24}{length:11,} bases{seconds:8.1f} s{extra / 2**20:8.0f} MB more", flush=True)
    return {"task": "forward", "length": length, "model": name, "seconds": seconds, "extra_bytes": extra}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 8192, 32_768, 32_769, 131_072])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", action="store_true", help="the longest input of each published size, too")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    allocator = os.environ.get("LD_PRELOAD") or os.environ.get("GLIBC_TUNABLES") or "default"
    print(f"{options.threads} threads, allocator: {allocator}, torch {torch.__version__}, {SHAPE}\n")
    print(f"{'':20}{'':9}{'seconds, textbook and ours':>30}{'first':>9}{'memory in MB':>16}")
    rows = []
    for device in devices:
        for name in options.tasks:
            for length in options.lengths:
                row = compare(name, length, options.threads, device, options.runs)
                rows.append(row)
                print(
                    f"{name:20}{length:9,}{row['textbook_seconds']:12.4f}{row['ours_seconds']:10.4f}"
                    f"{row['times_faster']:8.2f}{row['ours_first_seconds']:9.2f}{row['textbook_extra_mb']:8.0f}"
                    f"{row['ours_extra_mb']:8.0f}{row['memory_ratio']:7.2f}",
                    flush=True,
                )
    if options.sizes:
        rows += [longest(name, options.threads) for name in ZOO]
    if options.out:
        about = {"threads": options.threads, "allocator": allocator, "torch": torch.__version__}
        options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
