"""Settings: typed, checked, frozen, and the same after a file."""

from dataclasses import FrozenInstanceError
from typing import Literal

import pytest
import yaml

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.training.experiments import list_experiments, load_experiment
from genomic_lens.training.experiments.overrides import as_yaml
from genomic_lens.training.experiments.settings import TRAINING, read_settings, typed

BASE = {"name": "mine", "dataset": {"name": "genome_pretraining"}}


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ({"trainning": {}}, "'training'"),
        ({"training": {"learning_rat": 1}}, "'training.learning_rate'"),
        ({"training": {"d_model": 8}}, "training.d_model"),
        ({"model": {"n_layer": 2}}, "'model.n_layers'"),
        ({"model": {"batch_size": 2}}, "model.batch_size"),
        ({"dataset": {"name": "genome_pretraining", "max_lenght": 8}}, "'dataset.max_length'"),
        ({"curriculum": {"stage": []}}, "'curriculum.stages'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_known_one(content, hint):
    with pytest.raises(ConfigurationError, match="Unknown configuration name") as caught:
        read_settings(BASE | content)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("6e-4", float, 6e-4), (1, float, 1.0), (None, int | None, None), ([1, 2], tuple[int, ...], (1, 2)),
        (True, bool | int, True), (2, bool | int, 2), ("last", Literal["last", "mean"], "last"), ("6e-4", str, "6e-4"),
        ({"a": 1}, dict[str, int], {"a": 1}),
    ],
)  # fmt: skip
def test_values_take_the_type_of_their_setting(value, kind, expected):
    found = typed(value, kind, "x")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("fast", float), (True, int), (1.5, int), (1, bool), (None, int), (["a"], tuple[int, ...]), ("x", Literal["y"])],
)
def test_values_of_another_type_are_refused(value, kind):
    with pytest.raises(ConfigurationError, match="^training.x is .*; expected "):
        typed(value, kind, "training.x")


def test_settings_cannot_be_changed():
    experiment = read_settings(BASE)
    with pytest.raises(FrozenInstanceError):
        experiment.training.learning_rate = 1.0


@pytest.mark.parametrize("name", list_experiments().index)
def test_what_is_written_is_read_as_the_same(name):
    experiment = load_experiment(name)
    again = read_settings(yaml.safe_load(as_yaml(experiment)))
    assert again == experiment
    assert again.fingerprint == experiment.fingerprint


def test_the_fingerprint_is_of_what_is_learnt_alone():
    one = load_experiment("splice_junctions")
    assert load_experiment("splice_junctions", ["output=elsewhere"]).fingerprint == one.fingerprint
    assert load_experiment("splice_junctions", ["seed=1"]).fingerprint != one.fingerprint


def test_defaults_of_training_are_those_of_the_configuration():
    training, config = read_settings(BASE).training, HyenaGLTConfig()
    assert all(getattr(training, name) in (getattr(config, name), HyenaGLTConfig.report_to) for name in TRAINING)


def test_what_contradicts_itself_is_refused():
    with pytest.raises(ConfigurationError, match="freeze and lora"):
        read_settings(BASE | {"lora": 4, "freeze": True})
    with pytest.raises(ConfigurationError, match="objective is 'guess'"):
        read_settings(BASE | {"objective": "guess"})
    with pytest.raises(DataError, match="closest: genome_pretraining"):
        read_settings({"name": "mine", "dataset": {"name": "genome_pretrainin"}})
    with pytest.raises(ConfigurationError, match="has no dataset"):
        read_settings({"name": "mine"})
