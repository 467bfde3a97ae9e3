"""The dashboard, live in JupyterLab: what a person does with pointer and keys, and what follows from it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from genomic_lens.cli.demo import train_demo
from genomic_lens.cli.splice_model import splice_config

from .lab import BROWSER, Complaints, Notebook, browsing, serving, write_notebook

pytestmark = pytest.mark.skipif(not BROWSER, reason="no chromium on PATH; set CHROMIUM to its path")

ROOT = Path(__file__).resolve().parents[2]
SEQUENCE = "CAGGTAAGTCTTACGGATCA" * 3
LENGTH = len(SEQUENCE)
IMPORTS = """
import torch
from genomic_lens.config import HyenaGLTConfig
from genomic_lens.dashboards import AttentionExplorer, AttributionExplorer, ChunkExplorer, LensDashboard
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.report import Annotation

tokenizer = DNATokenizer()

def build(**changes):
    torch.manual_seed(0)
    sizes = dict(d_model=16, n_layers=2, sequence_length=64, num_classes=3, initializer_range=0.3)
    return HyenaGLTForSequenceClassification(HyenaGLTConfig(vocab_size=len(tokenizer), **sizes | changes)).eval()
"""
DASHBOARD = f"""
exon, intron = Annotation("exon 1", 0, 30, "exon", "+"), Annotation("intron 1", 30, 60, "intron", "+")
dashboard = LensDashboard(build(), tokenizer, "{SEQUENCE}", annotations=[exon, intron], origin=30)
dashboard
"""
POOLED = """
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

class Pooled(PreTrainedModel):
    "Counts letters: no layer mixes positions."
    config_class = PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        self.letters, self.head = nn.Embedding(len(tokenizer), 8), nn.Linear(8, 2)
        self.post_init()

    def get_input_embeddings(self):
        return self.letters

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, pooling_mask=None):
        states = self.letters(input_ids) if inputs_embeds is None else inputs_embeds
        return SequenceClassifierOutput(logits=self.head(states.mean(1)))

LensDashboard(Pooled(PretrainedConfig(num_labels=2)), tokenizer, "ACGTTGCA" * 3)
"""
ROUTED = 'build(n_layers=5, chunking="routing", target_ratios=(0.3, 0.5), sequence_length=1024)'
PAINTED = 'canvas.gl-canvas[data-missing="0"]'


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def context(lab):  # so that pages close before the server does
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def complaints(lab):
    return Complaints(lab.base)


@pytest.fixture(scope="module")
def notebook(lab, context, complaints):
    """A notebook with a dashboard, run from top to bottom."""
    write_notebook(lab.root / "lens.ipynb", IMPORTS, DASHBOARD)
    opened = Notebook(context, lab, "lens.ipynb", complaints.listen)
    opened.run_all()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shown(notebook):
    """The dashboard of that notebook, drawn."""
    assert notebook.failures() == []
    cell = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(1)
    cell.locator(PAINTED).wait_for()
    cell.locator(".gl-track .gl-letter").first.wait_for()
    return cell


def middle(locator):
    """Where the middle of an element is on the screen."""
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def on_map(cell, row, column, length=LENGTH):
    """Where a cell of a map that is not zoomed is on the screen."""
    frame = cell.locator(".gl-stack .gl-edge").first
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    return tuple(
        box[start] + (base + 0.5) / length * box[size]
        for start, size, base in (("x", "width", column), ("y", "height", row))
    )


def pixels(cell):
    return cell.locator("canvas.gl-canvas").evaluate("canvas => canvas.toDataURL()")


def wait_for_text(locator, words):
    locator.filter(has_text=words).wait_for()


def test_a_notebook_with_a_dashboard_runs_and_is_drawn(notebook, shown):
    shown.locator(".gl-filters .js-plotly-plot .trace").first.wait_for()
    assert shown.locator(PAINTED).count() == 1
    assert "".join(shown.locator(".gl-track .gl-letter").all_text_contents()) == SEQUENCE


def test_the_figure_is_as_wide_as_its_panel(shown):
    plot = shown.locator(".gl-filters .js-plotly-plot .main-svg").first
    plot.wait_for()
    panel = shown.locator(".gl-filters")
    shown.page.wait_for_function(
        "([plot, panel]) => plot.clientWidth <= panel.clientWidth && plot.clientWidth > panel.clientWidth - 60",
        arg=[plot.element_handle(), panel.element_handle()],
    )


def test_the_slider_shows_another_layer(shown):
    first = pixels(shown)
    handle = shown.locator(".gl-hidden-attention .noUi-handle")
    handle.press("ArrowRight")
    shown.locator(".gl-stack svg[aria-label*='layer 1']").wait_for()
    shown.locator(PAINTED).wait_for()
    second = pixels(shown)
    assert second != first
    handle.press("ArrowLeft")
    shown.locator(".gl-stack svg[aria-label*='layer 0']").wait_for()
    shown.locator(PAINTED).wait_for()
    assert pixels(shown) == first


def test_a_selection_on_the_track_is_marked_in_the_map_and_added_up(notebook, shown):
    letters, mouse = shown.locator(".gl-track .gl-letter"), notebook.page.mouse
    mouse.move(*middle(letters.nth(14)))
    mouse.down()
    mouse.move(*middle(letters.nth(21)), steps=4)
    mouse.up()
    total = float(notebook.printed("print(dashboard.contributions.record.values[14:22].sum())"))
    wait_for_text(shown.locator(".gl-track .gl-readout"), f"14–21 add {total:+.3g}".replace("-", "−"))
    frame, chosen = (shown.locator(f".gl-stack .gl-{name}").first.bounding_box() for name in ("edge", "chosen"))
    assert chosen["width"] == pytest.approx(frame["width"] * 8 / 60, abs=0.5)
    assert chosen["x"] - frame["x"] == pytest.approx(frame["width"] * 14 / 60, abs=0.5)


def test_pointing_at_the_map_moves_the_cursor_of_the_track(notebook, shown):
    notebook.page.mouse.move(*on_map(shown, 40, 33))
    shown.locator('.gl-track .gl-cursor:not(.gl-partner)[data-cursor="40"]').wait_for()
    shown.locator('.gl-track .gl-partner[data-cursor="33"]').wait_for()
    wait_for_text(shown.locator(".gl-track .gl-readout"), "Base 40 (C)")
    wait_for_text(shown.locator(".gl-hidden-attention .gl-readout"), "Base 40 (C) draws most on base")


def test_a_base_is_replaced_by_its_letter_and_everything_follows(notebook, shown):
    assert SEQUENCE[31] == "T"
    table, verdict = shown.locator(".gl-prediction table"), shown.locator(".gl-what-if .gl-foot")
    before = table.inner_text()
    notebook.page.mouse.click(*middle(shown.locator(".gl-track .gl-letter").nth(32)))
    notebook.page.keyboard.press("ArrowLeft")
    notebook.page.keyboard.press("a")
    wait_for_text(verdict, "Changed: 31 T→A.")
    changed = shown.locator(".gl-track .gl-letter.gl-changed")
    changed.wait_for()
    assert changed.all_text_contents() == ["A"]
    assert "by the changes" in table.inner_text()
    shown.get_by_role("button", name="undo all").click()
    wait_for_text(verdict, "Nothing was changed.")
    assert table.inner_text() == before
    changed.wait_for(state="detached")
    assert shown.locator(".gl-track .gl-letter").nth(31).text_content() == "T"


def test_the_exported_page_works_without_kernel_and_network(notebook, shown, context):
    shown.get_by_role("button", name="export").click()
    wait_for_text(shown, "Wrote lens.html")
    alone = context.browser.new_context(offline=True)
    page, heard = alone.new_page(), Complaints("file:")
    heard.listen(page)
    page.goto((notebook.lab.root / "lens.html").as_uri())
    page.locator(".gl-attention canvas").first.wait_for()
    assert "".join(page.locator(".gl-track .gl-letter").all_text_contents()) == SEQUENCE
    alone.close()
    assert heard == Complaints("file:")


def test_ten_bases_are_enough(notebook, shown):
    cell = notebook.run('LensDashboard(build(sequence_length=16), tokenizer, "ACGTTGCAAC")')
    cell.locator(PAINTED).wait_for()
    assert "".join(cell.locator(".gl-track .gl-letter").all_text_contents()) == "ACGTTGCAAC"


def test_a_hundred_thousand_bases_are_painted_and_zoomed(notebook, shown):
    cell = notebook.run(
        'long = LensDashboard(build(sequence_length=131072, d_model=8, n_layers=1), tokenizer, "ACGTTGCAAC" * 10_000)\n'
        "long"
    )
    assert notebook.failures() == []
    cell.locator(PAINTED).wait_for()
    cell.locator("canvas.gl-canvas").evaluate(
        """canvas => {
            canvas.missed = 0;
            const note = () => { canvas.missed = Math.max(canvas.missed, Number(canvas.dataset.missing)); };
            new MutationObserver(note).observe(canvas, { attributeFilter: ["data-missing"] });
        }"""
    )
    notebook.page.mouse.click(*on_map(cell, 50_500, 50_000, 100_000))
    notebook.page.mouse.wheel(0, -1200)
    notebook.page.wait_for_function("canvas => canvas.missed > 0", arg=cell.locator("canvas").element_handle())
    cell.locator(PAINTED).wait_for()


def test_a_model_that_mixes_no_positions_says_so_in_the_place_of_its_map(notebook, shown):
    cell = notebook.run(POOLED)
    assert notebook.failures() == []
    wait_for_text(cell.locator(".gl-hidden-attention"), "there is no map to show")
    assert cell.locator("canvas").count() == 0
    cell.locator(".gl-track .gl-letter").first.wait_for()
    assert cell.locator(".gl-prediction tr").count() == 2


def ticks(cell, lane):
    """Places on the screen at which a lane of the track has ticks, in any order."""
    paths = cell.locator(f"[data-lane='{lane}'] .gl-tick")
    drawn = paths.evaluate_all("all => all.map(path => path.getAttribute('d'))")
    return [float(place) for path in drawn for place in re.findall(r"M([\d.]+)", path)]


def test_boundaries_of_chunks_stand_on_the_track_and_follow_a_changed_base(notebook, shown):
    cell = notebook.run(f'routed = LensDashboard({ROUTED}, tokenizer, "{SEQUENCE}")\nrouted')
    assert notebook.failures() == []
    cell.locator("[data-lane='stage 1']").wait_for()
    places = "print([row.nonzero()[0].tolist() for row in routed.session.chunks().start])"
    before = json.loads(notebook.printed(places))
    letters = cell.locator(".gl-track .gl-letter")
    base = [float(letters.nth(index).get_attribute("x")) for index in (0, 1)]
    width = base[1] - base[0]
    for stage, starts in enumerate(before):
        found = sorted((place - base[0]) / width + 0.5 for place in ticks(cell, f"stage {stage}"))
        assert found == pytest.approx(starts, abs=0.02)
    notebook.run('routed.mutate(20, "A" if routed.session.sequence[20] != "A" else "C")')
    cell.locator(".gl-letter.gl-changed").wait_for()
    after = json.loads(notebook.printed(places))
    assert len(ticks(cell, "stage 0")) == len(after[0])


def test_a_layer_without_filters_says_so_and_the_next_one_shows_its_own(notebook, shown):
    cell = notebook.run(
        "from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaForSequenceClassification\n"
        "config = StripedHyenaConfig(vocab_size=12, d_model=16, num_heads=4, sequence_length=64, num_classes=3)\n"
        "model = StripedHyenaForSequenceClassification(config).eval()\n"
        f'striped = LensDashboard(model, tokenizer, "{SEQUENCE}")\nstriped'
    )
    plot = cell.locator(".gl-filters .js-plotly-plot .main-svg").first
    plot.wait_for()
    notebook.run("striped.attention.layer.value = 3")
    plot.wait_for(state="hidden")
    wait_for_text(cell.locator(".gl-filters"), "those with long filters are 0, 1, 2")
    notebook.run("striped.attention.layer.value = 1")
    plot.wait_for()
    wait_for_text(cell.locator(".gl-filters .gl-foot"), "of layer 1 drawn")
    cell.page.wait_for_function(
        "plot => plot._fullData[0].x.length === 60", arg=cell.locator(".gl-filters .js-plotly-plot").element_handle()
    )


def test_the_chunk_explorer_is_drawn_as_wide_as_its_panel_and_moves(notebook, shown):
    cell = notebook.run(
        'lanes = {"even": [(0, 200), (400, 600)]}\n'
        f'explorer = ChunkExplorer({ROUTED}, tokenizer, "{SEQUENCE}" * 10, lanes)\nexplorer'
    )
    assert notebook.failures() == []
    plot, panel = cell.locator(".gl-chunks .js-plotly-plot"), cell.locator(".gl-chunks")
    plot.locator(".main-svg").first.wait_for()
    cell.page.wait_for_function(
        "([plot, panel]) => plot.clientWidth <= panel.clientWidth && plot.clientWidth > panel.clientWidth - 60",
        arg=[plot.element_handle(), panel.element_handle()],
    )
    wait_for_text(panel.locator(".gl-foot"), "Bases 0–239:")
    panel.locator(".noUi-handle").press("ArrowRight")
    wait_for_text(panel.locator(".gl-foot"), "Bases 1–240:")
    cell.page.wait_for_function("plot => plot._fullLayout.xaxis.range[0] === 0.5", arg=plot.element_handle())
    assert cell.locator(".gl-annotation tr").count() == 2
    assert panel.evaluate("node => getComputedStyle(node).borderTopWidth") == "1px"


def test_the_attribution_explorer_announces_slow_work_runs_it_and_calls_it_off(notebook, shown):
    cell = notebook.run(
        "from genomic_lens.dashboards import jobs\njobs.QUICK = 0\n"
        f'explorer = AttributionExplorer(build(), tokenizer, "{SEQUENCE}")\nexplorer'
    )
    panel = cell.locator(".gl-contributions")
    panel.get_by_role("button", name="compute").click()
    wait_for_text(panel.locator(".gl-foot"), "adds up to")
    panel.get_by_label("method").select_option(value="occlusion")
    panel.get_by_label("window (bases)").wait_for()
    panel.get_by_label("baseline").select_option(value="dinucleotide shuffles")
    panel.get_by_label("references").fill("500")
    panel.get_by_label("references").press("Enter")
    wait_for_text(panel, "Nothing was computed yet.")
    panel.get_by_role("button", name="compute").click()
    panel.get_by_role("button", name="cancel").click()
    wait_for_text(panel, "cancelled.")
    panel.get_by_label("references").fill("20")
    panel.get_by_label("references").press("Enter")
    panel.get_by_label("method").select_option(value="exact product and rescale rules")
    wait_for_text(panel.locator(".gl-foot"), "adds up to")
    cell.locator(".gl-mutagenesis").get_by_role("button", name="compute").click()
    cell.locator(".gl-mutagenesis .js-plotly-plot .hm").first.wait_for()
    notebook.run("jobs.QUICK = 2.0")
    assert notebook.failures() == []


def test_a_click_on_the_map_of_the_attention_explorer_reads_its_row_and_its_column(notebook, shown):
    cell = notebook.run(f'AttentionExplorer(build(), tokenizer, "{SEQUENCE}")')
    cell.locator(PAINTED).wait_for()
    lines = cell.locator(".gl-row-and-column")
    cell.page.mouse.click(*on_map(cell, 40, 33))
    wait_for_text(lines.locator(".gl-foot"), "Cell 40, 33:")
    cell.locator(".gl-map").get_by_label("kind").select_option(value="signed: passed on or subtracted")
    wait_for_text(cell.locator(".gl-map .gl-foot"), "Cells: signed")
    lines.get_by_label("row").fill("50")
    lines.get_by_label("row").press("Enter")
    wait_for_text(lines.locator(".gl-foot"), "Cell 50, 33:")
    cell.page.wait_for_function(
        "plot => plot._fullData.length === 2 && plot._fullData[0].x.length === 60",
        arg=lines.locator(".js-plotly-plot").element_handle(),
    )


def test_nothing_complains_and_nothing_is_fetched_from_elsewhere(shown, complaints):
    assert complaints.errors == []
    assert complaints.elsewhere == []


def test_a_kernel_that_is_gone_is_announced(notebook, shown):
    banners = shown.locator(".gl-banner")
    assert not any(banners.nth(index).is_visible() for index in range(2))
    for kernel in notebook.kernels():
        notebook.lab.ask(f"kernels/{kernel}", "DELETE")
    # JupyterLab asks every ten seconds which kernels there are; here it asks at once.
    notebook.page.evaluate("() => window.jupyterapp.serviceManager.sessions.refreshRunning()")
    for index in range(2):
        banners.nth(index).wait_for()


@pytest.mark.slow
def test_the_first_tutorial_ends_with_a_dashboard(lab, context, complaints):
    """With a model that lies beside it, as after `make demo`; two epochs are enough to be drawn."""
    train_demo(splice_config(epochs=2), lab.root / "demo")
    shutil.copytree(ROOT / "tutorials", lab.root / "tutorials")
    opened = Notebook(context, lab, "tutorials/00_first_lens.ipynb", complaints.listen)
    opened.run_all()
    assert opened.failures() == []
    opened.page.locator(f".gl-dashboard {PAINTED}").last.wait_for()
    opened.close()
