"""The training monitor, live in JupyterLab: curves grow while the notebook stays free, and the buttons work."""

import pytest

from .lab import BROWSER, Complaints, Notebook, browsing, serving, write_notebook

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="no chromium on PATH; set CHROMIUM to its path"),
]

TRAINER = """
import random, tempfile, time
import torch
from transformers import TrainerCallback
from genomic_lens.config import HyenaGLTConfig
from genomic_lens.dashboards import TrainingMonitor
from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.training import HyenaGLTTrainer

class Slow(TrainerCallback):
    def on_step_end(self, *ignored, **others):
        time.sleep(0.05)

draw = random.Random(0)
sequences = ["".join(draw.choices("ACGT", k=32)) for _ in range(64)]
data = GenomicDataset(sequences, [int(sum(base in "GC" for base in sequence) > 16) for sequence in sequences])
config = HyenaGLTConfig(
    vocab_size=12, d_model=16, n_layers=1, sequence_length=32, num_classes=2, learning_rate=3e-3, batch_size=16,
    num_epochs=60, logging_steps=1, eval_steps=20,
)
torch.manual_seed(0)
folder = tempfile.mkdtemp()
model = HyenaGLTForSequenceClassification(config)
trainer = HyenaGLTTrainer(model, config, data, data, output_dir=folder, callbacks=[Slow()])
"""


def test_a_training_is_watched_paused_and_stopped(tmp_path):
    complaints = Complaints("")
    with serving(tmp_path) as lab, browsing() as context:
        complaints.base = lab.base
        write_notebook(lab.root / "train.ipynb", TRAINER, "monitor = TrainingMonitor(trainer)\nmonitor.start()")
        notebook = Notebook(context, lab, "train.ipynb", complaints.listen)
        notebook.run_all()
        cell = notebook.page.locator(".jp-Notebook .jp-CodeCell").nth(1)
        plot = cell.locator(".gl-curves .js-plotly-plot")
        plot.locator(".main-svg").first.wait_for()
        grow = "([plot, count]) => plot._fullData?.[0]?.x?.length > count"
        notebook.page.wait_for_function(grow, arg=[plot.element_handle(), 5])
        assert notebook.printed("print(6 * 7)") == "42"
        cell.get_by_role("button", name="pause").click()
        cell.locator(".gl-words").filter(has_text="Paused: step").first.wait_for()
        cell.get_by_role("button", name="resume").click()
        notebook.page.wait_for_function(grow, arg=[plot.element_handle(), 20])
        cell.get_by_role("button", name="stop").click()
        cell.locator(".gl-words").filter(has_text="Stopped: step").first.wait_for()
        cell.get_by_role("button", name="go on").wait_for()
        notebook.run("from genomic_lens.training import last_checkpoint")
        saved = notebook.printed("print(last_checkpoint(folder).name)")
        assert saved == notebook.printed("print(f'checkpoint-{monitor.record.step}')")
        again = notebook.run("TrainingMonitor.from_folder(folder)")
        again.locator(".gl-curves .js-plotly-plot .trace").first.wait_for()
        again.get_by_role("button", name="refresh").wait_for()
        assert notebook.failures() == []
        assert (complaints.errors, complaints.elsewhere) == ([], [])
