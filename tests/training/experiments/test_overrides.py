"""Files, names and `key=value`."""

import pytest

from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.training.experiments import load_experiment
from genomic_lens.training.experiments.overrides import experiment_content


def training(*overrides):
    return load_experiment("splice_junctions", overrides).training


def test_later_values_win_and_types_are_those_of_the_settings():
    assert training("training.num_epochs=2", "training.num_epochs=3").num_epochs == 3
    assert training("training.learning_rate=6e-4").learning_rate == 6e-4
    assert training("training.gradient_checkpointing=true").gradient_checkpointing is True
    assert training("training.global_batch_size=64", "training.global_batch_size=null").global_batch_size is None
    assert training("training.report_to=[csv]").report_to == ("csv",)
    assert load_experiment("splice_junctions", ["freeze=1"]).freeze == 1


def test_overrides_may_come_as_a_mapping():
    assert load_experiment("splice_junctions", {"training.num_epochs": 4, "seed": 2}).training.num_epochs == 4


def test_plus_adds_and_tilde_goes_back_to_the_default():
    assert training("+training.max_grad_norm=2").max_grad_norm == 2.0
    assert training("++training.max_grad_norm=2").max_grad_norm == 2.0
    assert load_experiment("splice_junctions", ["~training.learning_rate"]).training.learning_rate == 1e-4
    assert "pooling" not in load_experiment("splice_junctions", ["~model.pooling"]).model.config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.num_epochs", "expected key=value"),
        ("=3", "expected key=value"),
        ("training.num_epochs=many", "training.num_epochs is 'many'; expected int"),
        ("training.num_epoch=3", "'training.num_epochs'"),
        ("trainings.num_epochs=3", "'training'"),
        ("seed.more=3", "seed is"),
        ("training=3", "expected names and values below it"),
        ("dataset.species=[a", "no YAML"),
    ],
)
def test_what_means_nothing_is_refused_in_a_sentence(text, message):
    with pytest.raises(ConfigurationError, match=message.replace("[", r"\[")):
        load_experiment("splice_junctions", ["seed=1", text])


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("dataset: {name: splice_junctions}\ntraining: {learning_rate: 6e-4}\ncurriculum:\n")
    experiment = load_experiment(path)
    assert (experiment.name, experiment.output) == ("mine", "runs/mine")
    assert experiment.training.learning_rate == 6e-4  # a word, for YAML 1.1
    assert experiment.curriculum.stages == ()


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(DataError, match="closest: splice_junctions"):
        experiment_content("splice_junction")
    with pytest.raises(ConfigurationError, match="does not exist"):
        experiment_content(tmp_path / "none.yaml")
    for text, message in (
        ("a: [", "is no YAML"),
        ("- 1", "holds list"),
        ("a: !!python/object:os.system {}", "no YAML"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ConfigurationError, match=message):
            experiment_content(tmp_path / "bad.yaml")
