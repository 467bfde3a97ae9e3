"""HyenaDNA's command lines: what each key sets, and that none is taken and ignored."""

import os
import re
from pathlib import Path

import pytest

from genomic_lens.errors import ConfigurationError
from genomic_lens.training.experiments import key_table, load_experiment
from genomic_lens.training.experiments.hyena_dna_keys import EXPERIMENTS, KEYS, translated
from genomic_lens.training.experiments.overrides import shipped
from genomic_lens.training.experiments.settings import OF_MODEL, TRAINING, Experiment

SHARED = Path(os.environ.get("GENOMIC_LENS_SHARED", "../shared"))
README = SHARED / "seeds" / "hyenadna_readme.md"

COMMANDS = {  # as in its README; paths are those of nobody's machine
    "hg38/genomic_benchmark_scratch": "wandb=null",
    "hg38/hg38_hyena": (
        "wandb=null model.d_model=128 model.n_layer=2 dataset.batch_size=256 train.global_batch_size=256 "
        "dataset.max_length=1024 optimizer.lr=6e-4 trainer.devices=1"
    ),
    "hg38/genomic_benchmark": (
        "wandb=null dataset_name=human_enhancers_cohn train.pretrained_model_path=/path/to/ckpt dataset.max_length=500 "
        "model.layer.l_max=1024"
    ),
    "hg38/nucleotide_transformer": "wandb=null dataset_name=enhancer dataset.max_length=500 model.layer.l_max=1026",
    "hg38/chromatin_profile": (
        "wandb=null dataset.ref_genome_path=/path/to/fasta/hg38.ml.fa dataset.data_path=/path/to/chromatin_profile "
        "dataset.ref_genome_version=hg38"
    ),
    "hg38/species": (
        "wandb=null dataset.species=[human,mouse,hippo,pig,lemur] train.global_batch_size=256 optimizer.lr=6e-5 "
        "trainer.devices=1 dataset.batch_size=1 dataset.max_length=1024 dataset.species_dir=/path/to/data/species/ "
        "model.layer.l_max=1026 model.d_model=128 model.n_layer=2 trainer.max_epochs=150 decoder.mode=last "
        "train.pretrained_model_path=null train.pretrained_model_state_hook=null"
    ),
    "hg38/genomic_benchmark_load_finetuned_model": "dataset.dataset_name=human_nontata_promoters",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_of_the_readme_are_understood(name):
    load_experiment(name, COMMANDS[name].split())


def test_the_command_of_species_sets_what_it_says():
    experiment = load_experiment("hg38/species", COMMANDS["hg38/species"].split())
    assert experiment.dataset.options["species"] == ("human", "mouse", "hippo", "pig", "lemur")
    assert experiment.dataset.options["folder"] == "/path/to/data/species/"
    assert (experiment.training.batch_size, experiment.training.global_batch_size) == (1, 256)
    assert (experiment.training.learning_rate, experiment.training.num_epochs) == (6e-5, 150)
    assert (experiment.model.source, experiment.model.load) == (None, "whole")
    assert {"d_model": 128, "n_layers": 2, "sequence_length": 1026, "pooling": "last"}.items() <= set(
        experiment.model.config.items()
    )


@pytest.mark.skipif(not README.exists(), reason="HyenaDNA's README is not here (GENOMIC_LENS_SHARED)")
def test_every_key_of_the_readme_is_in_the_table():
    text = README.read_text(encoding="utf-8")
    found = set(
        re.findall(r"(?<![\w/.])\+?((?:dataset|model|train|trainer|optimizer|task|decoder|wandb)\.[a-z_.]+)=", text)
    )
    found |= {
        "model.checkpoint_mixer",
        "model.checkpoint_mlp",
        "train.pretrained_model_strict_load",
        "model.bidirectional",
    }
    found.discard("wandb.group")
    assert len(found) > 20
    assert found <= set(KEYS), found - set(KEYS)
    assert set(re.findall(r"experiment=(hg38/\w+)", text)) <= set(EXPERIMENTS)


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("model.layer.l_max=66", "model.sequence_length", 66),
        ("model.d_inner=32", "model.d_inner", 32),
        ("decoder.mode=pool", "model.pooling", "mean"),
        ("decoder.mode=sum", "model.pooling", "sum"),
        ("trainer.precision=16", "training.precision", "fp16"),
        ("trainer.precision=bf16", "training.precision", "bf16"),
        ("+model.checkpoint_mixer=True", "training.gradient_checkpointing", True),
        ("model.bidirectional=True", "model.two_sided", True),
        ("train.pretrained_model_strict_load=False", "model.strict", False),
        ("train.pretrained_model_state_hook._name_=load_backbone", "model.load", "backbone"),
        ("train.pretrained_model_state_hook.freeze_backbone=true", "freeze", True),
        ("optimizer.weight_decay=0.2", "training.weight_decay", 0.2),
        ("wandb.mode=online", "training.report_to", ["wandb"]),
        ("trainer.strategy=null", "fsdp", False),
        ("task._name_=masked_multiclass", "objective", "classification"),
    ],
)
def test_single_keys(text, where, expected):
    settings = load_experiment("splice_junctions", [text]).to_dict()
    for part in where.split("."):
        settings = settings[part]
    assert settings == expected


SO_ANYWAY = """
    +task.loss.ignore_index=4 dataset.return_mask=True dataset.padding_side=right dataset.tokenizer_name=char
    trainer.devices=1 trainer.num_nodes=1 wandb=null ~wandb wandb.mode=disabled model.layer.lr_pos_emb=0.0
"""


@pytest.mark.parametrize("text", SO_ANYWAY.split())
def test_what_is_so_here_anyway_changes_nothing(text):
    assert load_experiment("splice_junctions", [text]) == load_experiment("splice_junctions")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task.loss.ignore_index=7", "expected 4 or -100. Padding never counts"),
        ("trainer.devices=2", "there is 1. As many as processes: torchrun"),
        ("trainer.accelerator=gpu", "has no meaning here. An accelerator is used"),
        ("dataset.d_output=2", "Classes are counted"),
        ("dataset.return_mask=False", "expected true. Padding is never pooled"),
        ("decoder.mode=attention", "expected pool or last or first or sum"),
        ("trainer.precision=8", "expected 32 or 16"),
        ("wandb.group=mine", "set WANDB_RUN_GROUP there"),
        ("wandb.project=mine", "set WANDB_PROJECT there"),
        ("trainer.limit_train_batches=2", "Unknown configuration name 'trainer'"),
        ("train.ema=0.9", "Unknown configuration name 'train'"),
    ],
)
def test_what_means_nothing_here_is_refused_with_the_reason(text, message):
    with pytest.raises(ConfigurationError, match=message):
        load_experiment("splice_junctions", [text])


def test_stages_of_the_warm_up():
    text = "callbacks.seqlen_warmup_reload.stage_params=[{epochs: 2, seq_len: 1024, batch_size: 256}]"
    assert load_experiment("seqlen_warmup", [text]).curriculum.stages == (
        {"epochs": 2, "max_length": 1024, "batch_size": 256},
    )


def test_devices_are_counted_over_machines(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert translated("trainer.devices", 4) == translated("trainer.num_nodes", 2) == []
    with pytest.raises(ConfigurationError, match="trainer.devices=8 came, and there is 4"):
        translated("trainer.devices", 8)


def test_reports_are_a_list_of_which_wandb_is_one():
    content = {"training": {"report_to": ["csv", "wandb"]}}
    assert translated("wandb", None, False, content) == [("training.report_to", ["csv"], False)]
    assert translated("wandb.mode", "online", False, content) == []


def test_another_dataset_begins_at_its_defaults():
    assert load_experiment("genome_pretraining", ["dataset=splice_junctions"]).dataset.options == {}


def test_the_table_leads_to_settings_that_exist():
    parts = {name.partition(".")[0] for name in key_table()["here"] if not name.startswith("(")}
    assert parts <= set(Experiment.__dataclass_fields__)
    for entry in KEYS.values():
        part, _, name = entry.ours.partition(".")
        if part == "model":
            assert name in {*OF_MODEL, "source", "load", "strict", "family"}
        if part == "training":
            assert name in {*TRAINING, "global_batch_size"}
    assert set(EXPERIMENTS.values()) <= set(shipped())
