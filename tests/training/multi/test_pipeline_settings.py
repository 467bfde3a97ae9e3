"""Both of the guide's configurations are understood, and a key that nobody reads is refused."""

import logging

import pytest

from genomic_lens.errors import ConfigurationError
from genomic_lens.training.multi.pipeline_settings import KEYS, PipelineSettings, keys_table, pipeline_settings

FIRST = {
    "multi_modal": {
        "dna": {"weight": 0.4, "max_length": 1024},
        "rna": {"weight": 0.3, "max_length": 512},
        "protein": {"weight": 0.3, "max_length": 256},
    },
    "curriculum_learning": {
        "strategy": "length_based", "start_length": 128, "max_length": 1024, "progression_steps": [128, 256, 512, 1024],
    },
    "monitoring": {"log_interval": 100, "save_checkpoints": True, "visualize_attention": True},
}  # fmt: skip
SECOND = {
    "model": {
        "name": "hyena-glt-base", "config_overrides": {"max_position_embeddings": 2048, "num_attention_heads": 16},
    },
    "training": {"batch_size": 32, "learning_rate": 2e-4, "num_epochs": 100, "warmup_steps": 1000},
    "multi_modal": {"enabled": True, "data_sources": ["dna", "rna", "protein"], "balancing_strategy": "weighted"},
    "curriculum_learning": {"enabled": True, "strategy": "difficulty_based", "progression_metric": "loss"},
    "monitoring": {"wandb_project": "hyena-glt-training", "log_frequency": 100, "save_frequency": 1000},
}  # fmt: skip


def test_the_first_of_the_guides_configurations():
    found = pipeline_settings(FIRST)
    assert found == PipelineSettings(
        training={"logging_steps": 100}, weights={"dna": 0.4, "rna": 0.3, "protein": 0.3},
        max_lengths={"dna": 1024, "rna": 512, "protein": 256}, curriculum="length_based", lengths=(128, 256, 512, 1024),
        saves=True, watches=True,
    )  # fmt: skip


def test_the_second_of_the_guides_configurations(caplog):
    with caplog.at_level(logging.WARNING):
        found = pipeline_settings(SECOND)
    assert "nothing is sent" in caplog.text
    training = SECOND["training"] | {"logging_steps": 100, "save_steps": 1000}
    assert found == PipelineSettings(
        "hyena-glt-base", {"max_position_embeddings": 2048, "num_attention_heads": 16}, training, weights={},
        max_lengths={}, sources=("dna", "rna", "protein"), curriculum="difficulty_based", metric="loss", saves=True,
        wandb_project="hyena-glt-training",
    )  # fmt: skip


def test_a_project_is_told_only_if_the_service_is_named():
    asked = {"monitoring": {"wandb_project": "one", "report_to": "wandb"}}
    assert pipeline_settings(asked).training["report_to"] == ("wandb",)
    assert "report_to" not in pipeline_settings({"monitoring": {"wandb_project": "one"}}).training


def test_every_key_of_the_table_is_read_and_nothing_else():
    """Each key alone, with a value of no use, is refused for its value or taken, and never as unknown."""
    for key in KEYS:
        for name in key.name.replace("*", "batch_size").split(" | "):
            said = ""
            try:
                pipeline_settings({key.section: {name: "?"}})
            except (ConfigurationError, TypeError) as error:
                said = str(error)
            assert f"Unknown key {name!r}" not in said
    assert len(keys_table()) == len(KEYS)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"monitorng": {}}, "did you mean 'monitoring'"),
        ({"monitoring": {"log_intervall": 1}}, "did you mean 'log_interval'"),
        ({"multi_modal": {"dna": {"wieght": 1}}}, "did you mean 'weight'"),
        ({"multi_modal": {"data_sources": ["dnas"]}}, "did you mean 'dna'"),
        ({"training": {"lerning_rate": 1}}, "did you mean 'learning_rate'"),
        ({"model": {"config_overrides": {"d_modell": 1}}}, "did you mean 'd_model'"),
        ({"training": 3}, "expected a dictionary"),
        ({"monitoring": {"log_interval": 1, "log_frequency": 2}}, "came twice, as 1 and 2"),
        ({"monitoring": {"log_interval": 0}}, "whole number above 0"),
        ({"monitoring": {"save_checkpoints": False, "save_frequency": 2}}, "pass one of them"),
        ({"multi_modal": {"dna": {"weight": 0}}}, "number above 0"),
        ({"multi_modal": {"balancing_strategy": "fair"}}, "'weighted', 'equal'"),
        ({"curriculum_learning": {"strategy": "best"}}, "'length_based' or"),
        ({"curriculum_learning": {"strategy": "length_based"}}, "without max_length"),
        ({"curriculum_learning": {"progression_steps": [4, 2]}}, "numbers that grow"),
        ({"curriculum_learning": {"progression_steps": [2, 4], "max_length": 8}}, "go from 2 to 4"),
        ({"curriculum_learning": {"strategy": "difficulty_based", "max_length": 8}}, "key of length_based"),
        ({"curriculum_learning": {"progression_metric": "loss", "max_length": 8}}, "key of difficulty_based"),
        ({"curriculum_learning": {"strategy": "difficulty_based", "progression_metric": "gcc"}}, "one of loss"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(config, words):
    with pytest.raises(ConfigurationError, match=words):
        pipeline_settings(config)


def test_a_curriculum_that_is_switched_off_is_none():
    assert pipeline_settings({"curriculum_learning": {"enabled": False, "strategy": "length_based"}}).curriculum is None
    assert pipeline_settings().curriculum is None
