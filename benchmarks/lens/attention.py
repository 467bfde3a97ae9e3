"""Hidden attention of a million bases at any zoom: how long the pyramid takes, how much memory, how far it holds.

    python benchmarks/interpretability.py --parts attention

One Hyena layer as HyenaDNA has it, 256 channels wide and untrained, reads the normed embeddings of 1,048,576 random
bases. Everything that it takes to see its map is timed: gates and filters of the layer, the pyramid, and the first view
of all bases. Errors against all pairs are measured at 4,096 bases, where these can be counted.
"""

import os
import resource
import time
from statistics import median

import torch

from genomic_lens.interpretability.attention.pyramid import AttentionPyramid, pooling_error
from genomic_lens.model.convolution.hyena import HyenaOperator

LENGTH, WIDTH = 2**20, 256
PLACES = ((0.0, 0.0), (0.5, 0.5), (0.9, 0.1))  # of windows, as shares of the sequence
SPANS = (2**9, 2**13, 2**17, 2**19)
DENSE, CHANNELS = 4096, 64


def layer_and_input(length: int, width: int) -> tuple[HyenaOperator, torch.Tensor]:
    """An untrained layer, and what it reads."""
    torch.manual_seed(0)
    layer = HyenaOperator(d_model=width, l_max=length).eval()
    letters = torch.nn.functional.layer_norm(torch.randn(4, width), (width,))
    return layer, letters[torch.randint(4, (length,))]


def timed(function, *arguments):
    """What a call returns, its wall seconds and its CPU seconds."""
    wall, work = time.perf_counter(), time.process_time()
    found = function(*arguments)
    return found, time.perf_counter() - wall, time.process_time() - work


def row(what: str, value: float, unit: str, target: str = "", note: str = "") -> dict:
    return {"what": what, "value": value, "unit": unit, "target": target, "note": note}


def zoom(pyramid: AttentionPyramid) -> list[dict]:
    """Windows of several sizes, each at several places, and lines."""
    rows, every = [], []
    for span in (span for span in SPANS if span < pyramid.length):
        times = []
        for place in PLACES:
            starts = [int(share * (pyramid.length - span)) for share in place]
            window, *spent = timed(pyramid.window, *((start, start + span) for start in starts))
            times.append(spent)
        every += times
        wall, work = (median(part) for part in zip(*times, strict=True))
        note = f"cells of {window.rows.step} × {window.rows.step} bases, q = {window.q}, CPU {work:.2f} s"
        rows.append(row(f"window of {span:,} bases", wall, "s", note=note))
    walls, works = zip(*every, strict=True)
    note = f"slowest {max(walls):.2f} s; CPU {median(works):.2f} s"
    rows.append(row("all windows, median", median(walls), "s", "<= 0.3", note))
    for name, ask in (("row", pyramid.row), ("column", pyramid.column)):
        _, wall, work = timed(ask, pyramid.length // 2)
        rows.append(row(f"one {name}, base by base", wall, "s", note=f"CPU {work:.2f} s"))
    return [part | {"what": f"{part['what']}, {pyramid.kind}"} for part in rows]


def long_map(length: int, width: int, kind: str) -> list[dict]:
    """From hidden states to the first view of everything, and on."""
    layer, hidden = layer_and_input(length, width)
    operator, *made = timed(layer.mixing_operator, hidden)
    pyramid, *built = timed(AttentionPyramid, operator, kind)
    view, *seen = timed(pyramid.window)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    errors, *counted = timed(pyramid.errors, view)
    wall, work = (sum(times) for times in zip(made, built, seen, strict=True))
    parts = f"gates and filters {made[0]:.1f}, pyramid {built[0]:.1f}, view {seen[0]:.2f} s"
    held = f"{hidden.nbytes / 2**30:.1f} of it hidden states, which the layer reads"
    counting = f"from 8 cells, counted out in {counted[0]:.1f} s"
    return [
        row(f"pyramid and first full view, {kind}", wall, "s", "<= 20", f"{parts}; CPU {work:.1f} s; q = {view.q}"),
        row(f"peak resident memory, {kind}", peak, "GiB", "<= 8", held),
        row(f"error of the first view, {kind}", errors[0], "", note=counting),
        row(f"distance from exact norms, {kind}", errors[1], ""),
        *zoom(pyramid),
    ]


def against_all_pairs(length: int, width: int, cells: int) -> list[dict]:
    """Distance of the whole view from the same cells with as many bins as bases, that is from all pairs."""
    layer, hidden = layer_and_input(length, width)
    operator, rows = layer.mixing_operator(hidden), []
    for kind, target in (("magnitude", "<= 5e-3"), ("diagonal", "")):
        pyramid = AttentionPyramid(operator, kind)
        exact = pyramid.window(bins=cells, q=length // cells).weights
        for q in (4, 8):
            view = pyramid.window(bins=cells, q=q)
            error = float((view.weights - exact).norm() / exact.norm())
            note = f"{length:,} bases, {width} channels; estimated from 8 cells {pooling_error(pyramid, view):.1e}"
            rows.append(row(f"error against all pairs, {kind}, q = {q}", error, "", target, note))
    return rows


def measure(quick: bool = False) -> list[dict]:
    """The rows of this part; what viewers show comes first, so that its peak of memory is its own."""
    length, width = (2**15, 32) if quick else (LENGTH, WIDTH)
    rows = long_map(length, width, "diagonal") + long_map(length, width, "magnitude")
    rows += against_all_pairs(*((1024, 16, 64) if quick else (DENSE, CHANNELS, 256)))
    note = f"{length:,} bases, {width} channels; load at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [*rows, row("threads", torch.get_num_threads(), "", note=note)]
