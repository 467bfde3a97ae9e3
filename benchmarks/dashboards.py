"""How long a person waits for the dashboard, in JupyterLab in a headless Chromium.

    python benchmarks/dashboards.py [--out benchmarks/dashboards.json]

Times are taken inside the page, from the event to the next frame after the map has all its tiles, so that the driver's
own latency is not counted. The models are untrained: the time does not depend on the weights.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browser.lab import BROWSER, Notebook, browsing, serving, write_notebook

RUNS = 10
REST = 1500  # milliseconds after which every panel has followed
WIDTH = 1000  # pixels: one panel beside the other does not fit, so the map has 512 × 512
MODEL = """
import torch
from genomic_lens.config import HyenaGLTConfig
from genomic_lens.dashboards import LensDashboard, tiles
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification

torch.manual_seed(0)
tokenizer = DNATokenizer()

def build(length, layers):
    sizes = dict(vocab_size=len(tokenizer), d_model=32, n_layers=layers, sequence_length=length, num_classes=3)
    return HyenaGLTForSequenceClassification(HyenaGLTConfig(**sizes)).eval()

small, deep, long = build(64, 2), build(512, RUNS + 1), build(8192, 1)
sequence = "".join("ACGT"[letter] for letter in torch.randint(4, (8192,)).tolist())
""".replace("RUNS", str(RUNS))
PAGE = """
const cells = () => document.querySelectorAll(".jp-Notebook .jp-CodeCell");
const find = (what) => [...cells()].at(-1).querySelector(what);
const canvas = () => find("canvas.gl-canvas");
const complete = () => canvas()?.dataset.missing === "0";
const READY = {
  drawn: (count) => cells().length === count && complete() && find(".gl-letter"),
  whole: (count) => READY.drawn(count) && find(".js-plotly-plot .trace"),
  layer: (layer) => complete() && find(`.gl-stack svg[aria-label*="layer ${layer},"]`),
  painted: (times) => complete() && Number(canvas().dataset.painted) > times,
};
const until = (name, value) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`${name} ${value} never came`)), 30000);
  const look = () => {
    if (!READY[name](value)) return;
    watcher.disconnect();
    requestAnimationFrame(() => resolve(performance.now()));
  };
  const watcher = new MutationObserver(look);
  watcher.observe(document.body, { subtree: true, childList: true, attributes: true });
});
const happens = (cause) => new Promise((resolve) => {
  const heard = (event) => {
    if (cause === "pointermove" && !event.buttons) return;
    document.removeEventListener(cause, heard, true);
    resolve(event.timeStamp);
  };
  if (cause) document.addEventListener(cause, heard, true);
  else resolve(performance.now());
});
window.measure = ([cause, name, value]) => {
  window.measured = happens(cause).then(async (start) => (await until(name, value)) - start);
};
"""


class Stopwatch:
    """Milliseconds between an event on a page and what it leads to."""

    def __init__(self, page):
        self.page = page
        page.add_script_tag(content=PAGE)

    def start(self, cause: str | None, name: str, value: int) -> None:
        """Wait from an event, or from now, for one of the states in PAGE."""
        self.page.evaluate("question => window.measure(question)", [cause, name, value])

    def stop(self) -> float:
        """The time, as soon as the state is there; then wait until all panels have followed."""
        time = self.page.evaluate("() => window.measured")
        kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        self.page.wait_for_timeout(REST)
        self.page.wait_for_function(f'() => {kernel}.status === "idle"')
        return time


def first_paint(notebook: Notebook, watch: Stopwatch, state: str) -> list[float]:
    """From running the cell until the map and the track, or all panels, are drawn."""
    times = []
    for _ in range(RUNS):
        count = notebook.page.locator(".jp-Notebook .jp-CodeCell").count()
        watch.start(None, state, count + 1)
        notebook.run("LensDashboard(small, tokenizer, sequence[:60])")
        times.append(watch.stop())
        notebook.page.evaluate('() => window.jupyterapp.commands.execute("notebook:clear-cell-output")')
    return times


def next_layer(notebook: Notebook, watch: Stopwatch, kept: int) -> tuple[list[float], list[float]]:
    """From the key on the slider until the layer's 512 × 512 cells are drawn; every layer is shown once.

    Then the key is pressed faster than maps can come, and the time runs from its last press. With `kept` 0, no map is
    computed before it is asked for.
    """
    cell = notebook.run(f"tiles.KEPT_TILES = {kept}\nLensDashboard(deep, tokenizer, sequence[:512])")
    handle = cell.locator(".gl-hidden-attention .noUi-handle")
    cell.locator(".js-plotly-plot .trace").first.wait_for()
    handle.scroll_into_view_if_needed()
    times = []
    for layer in range(1, RUNS + 1):
        watch.start("keydown", "layer", layer)
        handle.press("ArrowRight")
        times.append(watch.stop())
    held = []
    for turn in range(RUNS):
        way, last = ("ArrowLeft", RUNS - 5) if turn % 2 == 0 else ("ArrowRight", RUNS)
        for _ in range(4):
            handle.press(way)
            notebook.page.wait_for_timeout(50)
        watch.start("keydown", "layer", last)
        handle.press(way)
        held.append(watch.stop())
    return times, held


def pan(notebook: Notebook, watch: Stopwatch, step: int) -> list[float]:
    """From the move of the pointer until the map, at one cell a pixel, is drawn at its new place.

    A step as wide as a tile needs new tiles each time; one forth and back does not.
    """
    cell = notebook.run("LensDashboard(long, tokenizer, sequence)")
    canvas, mouse = cell.locator('canvas[data-missing="0"]'), notebook.page.mouse
    cell.locator(".js-plotly-plot .trace").first.wait_for()
    canvas.evaluate("canvas => canvas.scrollIntoView({ block: 'center' })")
    notebook.page.wait_for_timeout(1000)
    box = canvas.bounding_box()
    x, y = box["x"] + 450, box["y"] + 450
    mouse.click(x - 440, y - 440)
    for _ in range(4):
        mouse.wheel(0, -240)
    times = []
    for turn in range(RUNS):
        way = step if step > 100 or turn % 2 else -step
        mouse.move(x, y)
        canvas.wait_for()
        watch.page.wait_for_timeout(500)
        mouse.down()
        watch.start("pointermove", "painted", int(canvas.get_attribute("data-painted")))
        mouse.move(x - way, y - way)
        times.append(watch.stop())
        mouse.up()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not BROWSER:
        sys.exit("No browser was found; install chromium or set CHROMIUM to the path of one.")

    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as lab, browsing(WIDTH) as context:
        write_notebook(lab.root / "bench.ipynb", MODEL)
        notebook = Notebook(context, lab, "bench.ipynb")
        notebook.page.keyboard.press("Control+b")
        notebook.run_all()
        watch = Stopwatch(notebook.page)
        some, whole = (first_paint(notebook, watch, state) for state in ("drawn", "whole"))
        now, now_held = next_layer(notebook, watch, kept=0)
        before, before_held = next_layer(notebook, watch, kept=2000)
        results = {
            "first paint of map and track, 60 bases": some,
            "first paint of all panels, 60 bases": whole,
            "another layer, 512 × 512 cells": before,
            "another layer, key held": before_held,
            "another layer, none computed ahead": now,
            "another layer, key held, none ahead": now_held,
            "pan by a tile, new tiles": pan(notebook, watch, 128),
            "pan within known tiles": pan(notebook, watch, 40),
        }
        failures = notebook.failures()
    if failures:
        sys.exit(f"A cell failed: {failures[0]}")
    print(f"\nMilliseconds, {RUNS} runs each, {os.cpu_count()} cores\n")
    print(f"{'':40}{'median':>8}{'least':>8}{'most':>8}{'first':>8}")
    for name, times in results.items():
        print(f"{name:40}" + "".join(f"{time:8.0f}" for time in (median(times), min(times), max(times), times[0])))
    if options.out:
        rounded = {name: [round(time, 1) for time in times] for name, times in results.items()}
        options.out.write_text(json.dumps({"cores": os.cpu_count(), "milliseconds": rounded}, indent=1) + "\n")


if __name__ == "__main__":
    main()
