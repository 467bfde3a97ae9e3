"""`genomic-lens train`, as a user runs it: experiments of one's own, several processes, and what is refused."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from genomic_lens.cli import commands
from genomic_lens.cli.train_command import experiment_of, import_here, parse
from genomic_lens.training.experiments.registry import DATASETS

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "model.d_model=8", "model.n_layers=1", "model.filter_order=8", "model.filter_features=3", "model.filter_depth=1",
    "training.num_epochs=1", "evaluation.resamples=0",
]  # fmt: skip

PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(\w+\.\w+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^genomic-lens (train .*)$", PAGE, re.MULTILINE)
# Filters of few weights with large gradients: AdamW makes steps of full size of any rounding in gradients near 0.
FILTERS = ["model.filter_order=8", "model.filter_features=3", "model.filter_depth=1", "model.initializer_range=0.2"]
ASKED = ["--experiment", "mine.yaml", *FILTERS, "training.global_batch_size=8", "--import", "my_data"]


def write_folder(place):
    """The module and the experiment of the documentation."""
    for name, text in FILES.items():
        (place / name).write_text(text)
    return place


@pytest.fixture
def folder(tmp_path):
    yield write_folder(tmp_path)
    DATASETS.pop("majority", None)


LAUNCHERS = {
    "torchrun": "torch.distributed.run --standalone --nproc_per_node=2 -m",
    "accelerate": (
        "accelerate.commands.launch --multi_gpu --num_processes=2 --num_machines=1 --mixed_precision=no "
        "--dynamo_backend=no --main_process_port=0 -m"
    ),
}


def run(folder, *arguments, launcher=""):
    """The command in a process of its own, in a folder that has nothing of the library."""
    command = [sys.executable, "-m", *launcher.split(), "genomic_lens.cli", "train", *arguments]
    given = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=given)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder after a run of one process, and what it printed."""
    place = write_folder(tmp_path_factory.mktemp("alone"))
    code, out, err = run(place, *ASKED, "training.batch_size=8")
    assert code == 0, err[-3000:]
    return place, out


def test_one_function_and_one_file_make_an_experiment(alone):
    folder, out = alone
    assert "test: accuracy" in out
    assert "Everything is in runs/mine." in out
    settings = yaml.safe_load((folder / "runs/mine/settings.yaml").read_text())
    assert settings["dataset"] == {"name": "majority", "length": 10}
    assert (folder / "runs/mine/scores.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_end_where_one_does(alone, launcher):
    """The same global batch: eight at once, or four in each of two; what is written is written once."""
    folder = alone[0]
    two = ["training.batch_size=4", "trainer.devices=2", f"output={launcher}"]
    code, out, err = run(folder, *ASKED, *two, launcher=LAUNCHERS[launcher])
    assert code == 0, err[-3000:]
    assert out.count(f"Everything is in {launcher}.") == 1
    one, other = (load_file(folder / name / "model" / "model.safetensors") for name in ("runs/mine", launcher))
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < 1e-5
    assert not list((folder / launcher).glob("**/.*"))
    logs = [(folder / name / "log.csv").read_text().count("\n") for name in ("runs/mine", launcher)]
    assert logs[0] == logs[1]


def test_a_module_is_imported_only_if_asked_for(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert commands.main(["train", "--experiment", "mine.yaml", "--dry-run"]) == 2
    assert "There is no dataset 'majority'" in capsys.readouterr().err
    assert commands.main(["train", "--experiment", "mine.yaml", "--dry-run", "--import", "./my_data.py"]) == 0
    assert "Examples: 64 for train, 16 for validation, 32 for test." in capsys.readouterr().out


def test_modules_of_the_folder_never_stand_in_for_those_of_the_library(folder):
    """`tokenizers`, `yaml` and `torch` are packages that the library needs; here they are files that fail."""
    for name in ("tokenizers", "yaml", "torch", "datasets", "experiments", "training"):
        (folder / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    (folder / "helper.py").write_text("WORD = 'majority'")
    (folder / "accelerate.py").write_text(FILES["my_data.py"] + "\nfrom helper import WORD")  # even if it is asked for
    code, out, err = run(folder, "--dry-run", "--experiment", "mine.yaml", "--import", "accelerate")
    assert code == 0, err[-3000:]
    assert "Steps: 16" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_documentation_are_understood(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    options = parse(commands.parser(), command.split())
    for name in options.modules:
        import_here(name)
    assert options.list or experiment_of(options).training.num_epochs


def test_the_list_and_the_plan(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert commands.main(["train", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(
        name in listed for name in ("genomic_benchmark_load", "seqlen_warmup", "chromatin_profile", "intervals=None")
    )
    assert commands.main(["train", "seed=3", "--dry-run", "--experiment", "splice_junctions", *SMALL]) == 0
    planned = capsys.readouterr().out
    assert "seed: 3" in planned
    assert "d_model: 8" in planned
    assert "Examples: 2,226 for train, 320 for validation, 638 for test." in planned
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "0 experiments came; pass one"),
        (["--experiment", "hg38", "experiment=hg38/species"], "2 experiments came"),
        (["--experiment", "splice_junction"], "closest: splice_junctions"),
        (["experiment=hg38/hg38_hyena", "model.n_layer=2", "--dry-run"], "hg38.ml.fa is not there; fetch https://"),
        (["--experiment", "splice_junctions", "training.lr=1"], "Unknown configuration name 'training.lr'"),
        (["--experiment", "splice_junctions", "--import", "no_such_module"], "There is no no_such_module.py here"),
        (["--experiment", "splice_junctions", "fsdp=true"], "fsdp=true came without an accelerator"),
    ],
)
def test_refused_input_is_one_sentence(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert commands.main(["train", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("genomic-lens: ")
    assert printed.err.count("\n") == 1


def test_unknown_options_are_refused(capsys):
    with pytest.raises(SystemExit):
        commands.main(["train", "--experiment", "hg38", "--dryrun"])
    assert "unrecognized arguments: --dryrun" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        commands.main(["demo", "seed=1"])
