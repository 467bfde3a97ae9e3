"""The commands for in-context learning, from tables to a table."""

import argparse
import random

import pandas as pd
import pytest
import torch

from genomic_lens.cli.in_context import add_in_context
from genomic_lens.config import HyenaGLTConfig
from genomic_lens.errors import DataError
from genomic_lens.model import HyenaGLTForCausalLM


@pytest.fixture
def run(tmp_path, capsys):
    draw = random.Random(0)
    for name, count in (("train", 40), ("test", 20)):
        sequences = ["".join(draw.choices("ACGT", k=12)) for _ in range(count)]
        table = pd.DataFrame({"sequence": sequences, "label": ["no", "yes"] * (count // 2)})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    torch.manual_seed(0)
    config = HyenaGLTConfig(vocab_size=12, d_model=8, n_layers=1, sequence_length=64)
    HyenaGLTForCausalLM(config).save_pretrained(tmp_path / "model")

    def call(command, *more):
        parser = argparse.ArgumentParser()
        add_in_context(parser.add_subparsers())
        given = ["--data", tmp_path / "train.csv", "--test", tmp_path / "test.csv", "--out", tmp_path / command]
        options = parser.parse_args([command, str(tmp_path / "model"), *map(str, given), "--epochs", "1", *more])
        options.run(options)
        return pd.read_csv(tmp_path / command / "results.csv"), capsys.readouterr().out

    return call


def test_soft_prompts_over_shots_and_tokens_and_again(run):
    table, said = run("soft-prompt", "--prompt-tokens", "0", "2", "--shots", "0", "1", "--words", "G", "T")
    assert table[["prompt_tokens", "shots"]].to_numpy().tolist() == [[0, 0], [0, 1], [2, 0], [2, 1]]
    assert (table["words"] == "G T").all()
    assert "32 examples, 20 scored; classes are called no G, yes T." in said
    again, said = run("soft-prompt", "--prompt-tokens", "0", "2", "--shots", "0", "1", "--words", "G", "T")
    assert again.equals(table)
    assert "soft tokens:" not in said


def test_instructions(run):
    table, said = run("instruct")
    assert table["method"].tolist() == ["instructions"]
    assert table["trained"][0] > 500
    assert "results.csv" in said


def test_nothing_held_out_is_refused(run):
    with pytest.raises(DataError, match="held-out 0.0 of 40"):
        run("instruct", "--held-out", "0")
