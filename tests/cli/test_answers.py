"""`genomic-lens embed` and `logits` write what the model says, and refuse bad input before they begin."""

import numpy as np
import pytest
import torch

from genomic_lens.cli import commands
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.model.hyena_dna import (
    HyenaDNAForCausalLM,
    HyenaDNAForSequenceClassification,
    HyenaDNAForTokenClassification,
    HyenaDNAModel,
)
from tests.conftest import DNA


@torch.no_grad()
def scores(model, name):
    ids = torch.from_numpy(DNATokenizer().encode(DNA[name]))[None]
    return model(ids).logits[0]


@pytest.mark.parametrize(
    ("kind", "rows", "width"),
    [(HyenaDNAForTokenClassification, 77, 3), (HyenaDNAForSequenceClassification, 2, 3), (HyenaDNAForCausalLM, 77, 4)],
)
def test_the_command_writes_what_the_model_says(dna_file, build_hyena_dna, tmp_path, capsys, kind, rows, width):
    model = build_hyena_dna(kind, num_classes=3)
    model.save_pretrained(tmp_path / "model")
    out = tmp_path / "out.npz"
    assert commands.main(["logits", str(tmp_path / "model"), str(dna_file), "--out", str(out)]) == 0
    assert f"{rows} rows" in capsys.readouterr().out
    with np.load(out) as table, torch.no_grad():
        assert table["logits"].shape == (rows, width)
        answer = scores(model, "two")
        answer = answer[:, 7:11] if width == 4 else answer
        np.testing.assert_allclose(table["logits"][table["sequence"] == "two"], answer.view(-1, width), atol=1e-6)


def test_the_command_embeds_a_region(dna_file, build_hyena_dna, tmp_path):
    model = build_hyena_dna(HyenaDNAModel)
    model.save_pretrained(tmp_path / "model")
    out = tmp_path / "out.npz"
    arguments = ["embed", str(tmp_path / "model"), f"{dna_file}:one:3-30", "--out", str(out), "--window", "10"]
    assert commands.main([*arguments, "--pool", "mean"]) == 0
    with np.load(out) as table:
        assert table["start"].tolist() == [2, 12, 22]
        assert table["stop"].tolist() == [12, 22, 30]
        assert table["embedding"].shape == (3, 8)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["logits", "{model}", "{dna_file}", "--out", "out.npz"], "has no head"),
        (["embed", "{model}", "{dna_file}", "--out", "out.txt"], r"expected .npz or .parquet"),
        (["embed", "{model}", "{dna_file}:three", "--out", "out.npz"], "no sequence named 'three'"),
        (["embed", "nowhere", "{dna_file}", "--out", "out.npz"], "neither a folder nor a name in the zoo"),
        (["embed", "{model}", "{dna_file}", "--out", "out.npz", "--window", "9", "--context", "9"], "expected 0 to 8"),
    ],
)
def test_the_command_refuses_in_a_sentence(dna_file, build_hyena_dna, tmp_path, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    build_hyena_dna(HyenaDNAModel).save_pretrained("model")
    assert commands.main([one.format(model="model", dna_file=dna_file) for one in arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()


def test_an_interrupt_leaves_nothing(dna_file, build_hyena_dna, tmp_path, capsys, monkeypatch):
    build_hyena_dna(HyenaDNAModel).save_pretrained(tmp_path / "model")
    monkeypatch.setattr(HyenaDNAModel, "eval", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    assert commands.main(["embed", str(tmp_path / "model"), str(dna_file), "--out", str(tmp_path / "out.npz")]) == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out*"))
