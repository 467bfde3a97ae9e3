"""The demo, run as a user runs it: does it find what biology says is there, and does it go on after an interruption?"""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from genomic_lens.cli.demo import prepare, single_thread, train_demo
from genomic_lens.cli.splice_lens import choose_sequences, known_lanes
from genomic_lens.cli.splice_model import JUNCTION, LABELS, splice_config, splice_trainer
from genomic_lens.data import DNATokenizer
from genomic_lens.data.samples import splice_junctions
from genomic_lens.interpretability import attribute, predict
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.records import Prediction

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What `genomic-lens demo` writes, in a process of its own; half of the usual epochs find the same."""
    out = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "genomic_lens.cli", "demo", "--out", str(out), "--epochs", "8"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def summary(demo):
    return json.loads((demo / "summary.json").read_text())


def test_summary_has_every_number_with_its_interval(summary):
    for name in ("accuracy", "macro_f1", "mcc", "auroc"):
        score = summary["test"][name]
        assert score["low"] < score["value"] < score["high"]
    assert summary["baselines"]["majority class"]["accuracy"] < summary["test"]["accuracy"]["low"]
    assert summary["versions"]["torch"] == torch.__version__
    assert summary["seed"] == 0


def test_the_model_beats_what_knows_no_positions(summary):
    kmers = summary["baselines"]["logistic regression on 5-mer counts"]["accuracy"]
    assert summary["test"]["accuracy"]["low"] > kmers + 0.1


def test_donor_motif_is_the_one_that_pairs_with_u1(summary):
    """The motif starts six bases before the junction; the first two bases of the intron are GT."""
    donor = summary["motifs"]["donor"]
    assert donor[6:8] == "GT"
    assert re.fullmatch(r"GGT[AR]AGT", donor[5:12].upper()), donor


def test_acceptor_motif_is_a_pyrimidine_tract_and_ag(summary):
    """The motif starts 22 bases before the junction; the last two bases of the intron are AG."""
    acceptor = summary["motifs"]["acceptor"]
    assert acceptor[20:22] == "AG"
    tract = acceptor[8:18].upper()  # its core, 14 to 5 bases before the junction
    assert sum(letter in "CTY" for letter in tract) >= 9, tract
    assert not set(acceptor[:18].upper()) & set("AGR"), acceptor


def test_every_attribution_of_the_demo_adds_up(summary):
    assert summary["completeness_gap_max"] < 1e-4


def test_the_page_is_one_file_that_needs_no_network(demo):
    page = (demo / "lens.html").read_text()
    assert len(page) < 6_000_000
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    interval = json.loads((demo / "summary.json").read_text())["test"]["accuracy"]
    assert f"{interval['low']:.1%} to {interval['high']:.1%}" in page


def test_the_saved_model_is_the_one_that_was_scored(demo, summary):
    model = HyenaGLTForSequenceClassification.from_pretrained(demo / "model")
    test = splice_junctions("test")
    found = [item.label for item in predict(model, DNATokenizer(), list(test.sequence))]
    assert np.mean(np.array(found) == test.label) == pytest.approx(summary["test"]["accuracy"]["value"])


def test_the_strongest_base_of_a_donor_is_in_its_gt(demo):
    """Planted by evolution: over many donors, G or T of the site gets the largest contribution in nearly all."""
    model = HyenaGLTForSequenceClassification.from_pretrained(demo / "model")
    donors = splice_junctions("test").query("label == 'donor'").sequence.head(20)
    records = attribute(model, DNATokenizer(), list(donors), "donor", references=5)
    strongest = [int(record.values.argmax()) for record in records]
    assert np.mean([JUNCTION <= place < JUNCTION + 2 for place in strongest]) >= 0.8


@pytest.fixture
def few(monkeypatch):
    """A tenth of the rows: ten steps an epoch."""
    monkeypatch.setattr("genomic_lens.cli.demo.splice_junctions", lambda part: splice_junctions(part).head(320))


class InterruptAt(TrainerCallback):
    """A key press after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_an_interrupted_demo_goes_on_to_the_same_weights(few, tmp_path):
    """One epoch of two, interrupted, then resumed, against an uninterrupted run."""
    config = splice_config(epochs=2)
    straight, _ = train_demo(config, tmp_path / "straight")
    train, validation = (splice_junctions(part).head(320) for part in ("train", "validation"))
    partial = splice_trainer(config, train, validation, tmp_path / "cut" / "training")
    partial.hf.add_callback(InterruptAt(13))
    with single_thread(), pytest.raises(KeyboardInterrupt):
        partial.train()
    assert prepare(tmp_path / "cut", config)
    resumed, _ = train_demo(config, tmp_path / "cut")
    pairs = zip(straight.model.state_dict().values(), resumed.model.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


def test_a_finished_or_different_run_is_not_resumed(few, tmp_path):
    config = splice_config(epochs=1)
    train_demo(config, tmp_path)
    assert not prepare(tmp_path, splice_config(epochs=2)), "another configuration"
    train_demo(config, tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    assert not prepare(tmp_path, config), "finished"
    assert not (tmp_path / "summary.json").exists()


def test_the_page_shows_failures_too():
    def item(truth, chances):
        return Prediction("ACGT", LABELS, np.array(chances), np.log(chances), truth)

    predictions = [
        item("donor", [0.9, 0.05, 0.05]),
        item("donor", [0.2, 0.1, 0.7]),
        item("neither", [0.95, 0.03, 0.02]),
    ]
    names = [name for name, _ in choose_sequences(predictions, each=1, wrong=2)]
    assert names == ["donor 1", "missed neither 1", "missed donor 2"]


def test_known_lanes_agree_with_the_sequences():
    """GT and AG stand where the lanes say, in nearly all real sequences."""
    table = splice_junctions()
    for label, letters in (("donor", "GT"), ("acceptor", "AG")):
        site = next(lane for lane in known_lanes(label) if lane.kind == "site")
        found = table[table.label == label].sequence.str[site.start : site.stop]
        assert (found == letters).mean() > 0.98
