"""The guide's pipeline: its snippets as they stand, and what each of its keys does."""

import logging

import numpy as np
import pytest
import torch

from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import ConfigurationError
from genomic_lens.interpretability import ModelInterpreter
from genomic_lens.training import EnhancedTrainingPipeline, enhanced_training_pipeline
from genomic_lens.training.enhanced_training_pipeline import small_config
from genomic_lens.training.multi.task_sampling import TaskSampler

TINY = {"d_model": 8, "n_layers": 1, "sequence_length": 32, "filter_order": 8, "filter_features": 3}
ENHANCED = {
    "model": {"name": "hyena-glt-base", "config_overrides": {"max_position_embeddings": 64, "num_attention_heads": 2}
              | {name: value for name, value in TINY.items() if name != "sequence_length"} | {"n_layers": 3}},
    "training": {"batch_size": 8, "learning_rate": 2e-3, "num_epochs": 2, "warmup_steps": 1000},
    "multi_modal": {"enabled": True, "data_sources": ["dna", "rna", "protein"], "balancing_strategy": "weighted"},
    "curriculum_learning": {"enabled": True, "strategy": "difficulty_based", "progression_metric": "loss"},
    "monitoring": {"wandb_project": "hyena-glt-training", "log_frequency": 2, "save_frequency": 5},
}  # fmt: skip


def drawn(letters, count=24, length=24, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(letters), length)) for _ in range(count)]


def planted(letters, motif, count=24, seed=0):
    sequences = drawn(letters, count, seed=seed)
    held = [one[:8] + motif + one[8 + len(motif) :] if rank % 2 else one for rank, one in enumerate(sequences)]
    return held, [rank % 2 for rank in range(count)]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(enhanced_training_pipeline, "RESAMPLES", 10)


@pytest.fixture
def data():
    return {
        "dna_data": planted("ACGT", "TGACTCA"), "rna_data": drawn("ACGU", seed=1),
        "protein_data": (drawn("ACDEFGHIKLMNPQRSTVWY", seed=2), [number / 24 for number in range(24)]),
    }  # fmt: skip


def quick(**sections):
    return {"model": {"config_overrides": TINY}, "training": {"num_epochs": 1, "batch_size": 8}} | sections


def test_the_guides_quick_start(data):
    pipeline = EnhancedTrainingPipeline(quick(training={"num_epochs": 3, "batch_size": 8}))
    model = pipeline.run_multi_modal_training(**data)
    assert list(model.modalities) == ["dna", "rna", "protein"]
    assert len({id(one.backbone) for one in model.modalities.values()}) == 1
    assert {one.objective for one in model.modalities.values()} == {"classification", "causal_lm", "regression"}
    results = model.results
    assert set(results.scores) == {"dna", "rna", "protein"}
    assert results.baseline["rna"]["bits_per_base"].value > 1.5
    assert results.bases_per_second > 0
    table = results.to_dataframe()
    assert table.groupby("task").examples.first().between(3, 8).all()
    for name, rows in results.split.items():
        assert sorted([*rows["train"], *rows["held_out"]]) == list(range(24)), name
    assert {"loss/dna", "loss/rna", "loss/protein"} <= set(results.history.columns)
    assert "by composition" in str(results)


def test_the_guides_complete_workflow_as_it_stands(data, tmp_path, monkeypatch, caplog):
    """Its configuration with fewer epochs and a narrow model; the classifier of DNA goes to the interpreter."""
    monkeypatch.chdir(tmp_path)
    dna_sequences, rna_sequences, protein_sequences = data.values()
    enhanced_config, test_sequences = ENHANCED, drawn("ACGT", 2, seed=9)

    pipeline = EnhancedTrainingPipeline()
    with caplog.at_level(logging.WARNING):
        trained_model = pipeline.run_multi_modal_training(
            dna_data=dna_sequences, rna_data=rna_sequences, protein_data=protein_sequences, config=enhanced_config
        )
    interpreter = ModelInterpreter(trained_model, pipeline.tokenizer)
    analysis = interpreter.analyze_comprehensive(test_sequences)
    interpreter.generate_report(analysis, "analysis_report.html")
    motifs = analysis["motifs"]["discovered_patterns"]
    attention_patterns = analysis["attention"]["layer_patterns"]
    important_positions = analysis["gradients"]["top_positions"]

    assert len(motifs) >= 0
    assert attention_patterns["avg_entropy"] > 0
    assert len(important_positions[:10]) > 0
    assert (tmp_path / "analysis_report.html").stat().st_size > 10_000
    assert "nothing is sent" in caplog.text
    assert "warm-up of 1000 steps" in caplog.text
    assert "does without merging" in caplog.text
    assert sorted(path.name for path in (tmp_path / "multi_modal_run").glob("checkpoint-*"))
    assert trained_model.config.sequence_length == 64


def test_it_is_said_of_which_kind_a_short_run_had_no_step(data):
    config = quick(multi_modal={"dna": {"weight": 1.0}, "rna": {"weight": 1e-9}, "protein": {"weight": 1e-9}})
    notes = EnhancedTrainingPipeline(config).run_multi_modal_training(**data).results.notes
    assert [note.split(":")[0] for note in notes if "no step" in note] == ["rna", "protein"]


def test_sequences_alone_train_a_language_model():
    model = EnhancedTrainingPipeline(quick()).run_multi_modal_training(dna_data=["ACGT" * 6] * 3 + drawn("ACGT", 13))
    assert model.objective == "causal_lm"
    assert list(model.results.scores["dna"]) == ["bits_per_base", "perplexity", "accuracy"]


def test_separate_models_where_multi_modal_is_off(data):
    off = quick(multi_modal={"enabled": False})
    model = EnhancedTrainingPipeline(off).run_multi_modal_training(**data)
    assert len({id(one.backbone) for one in model.modalities.values()}) == 3


def test_sources_weights_and_lengths_do_what_they_say(data):
    sections = {"dna": {"weight": 3.0, "max_length": 10}, "rna": {"weight": 1.0}, "data_sources": ["dna", "rna"]}
    pipeline = EnhancedTrainingPipeline(quick(multi_modal=sections))
    model = pipeline.run_multi_modal_training(**data)
    assert list(model.modalities) == ["dna", "rna"]
    sampler = pipeline.learner.hf.sampler(batch_size=8)
    np.testing.assert_allclose(sampler.shares, [0.75, 0.25])
    assert max(len(part[0]["input_ids"]) for part in pipeline.learner.hf.train_dataset.parts[:1]) == 10
    for sections, words in (
        ({"data_sources": ["dna", "rna"]}, "No rna_data came"),
        ({"dna": {"weight": 1.0}, "balancing_strategy": "size"}, "pass one of them"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            EnhancedTrainingPipeline(quick(multi_modal=sections)).run_multi_modal_training(dna_data=data["dna_data"])
    with pytest.raises(ConfigurationError, match="expected one each"):
        EnhancedTrainingPipeline(quick(multi_modal={"dna": {"weight": 1.0}})).run_multi_modal_training(**data)
    with pytest.raises(ConfigurationError, match="No data came"):
        EnhancedTrainingPipeline().run_multi_modal_training()


def test_a_curriculum_of_lengths_reads_short_sequences_first(data):
    pipeline = EnhancedTrainingPipeline(quick(curriculum_learning={"progression_steps": [8, 16, 24]}))
    pipeline.run_multi_modal_training(**data)
    sampler = pipeline.learner.hf.sampler(batch_size=8)
    assert [sampler.length(step) for step in (0, sampler.steps // 2, sampler.steps - 1)] == [8, 16, 24]


@pytest.mark.parametrize("metric", ["loss", "gc"])
def test_a_curriculum_of_difficulty_begins_with_the_easy(data, metric):
    sections = {"strategy": "difficulty_based", "progression_metric": metric}
    pipeline = EnhancedTrainingPipeline(quick(curriculum_learning=sections))
    if metric == "gc":
        with pytest.raises(ConfigurationError, match="for proteins pass loss or length"):
            pipeline.run_multi_modal_training(**data)
        data.pop("protein_data")
    pipeline.run_multi_modal_training(**data)
    assert pipeline.learner.hf.sampler(batch_size=8).easiest is not None


def test_attention_is_watched(data, tmp_path):
    pipeline = EnhancedTrainingPipeline(quick(monitoring={"visualize_attention": True}), tmp_path)
    results = pipeline.run_multi_modal_training(**data).results
    assert results.attention.steps.tolist()[0] == 0
    assert len(results.attention.steps) == 2
    assert results.attention.models[-1] == results.fingerprint


def test_a_run_that_was_broken_off_goes_on(data, tmp_path, monkeypatch):
    config = quick(monitoring={"save_frequency": 3, "log_interval": 1})
    straight = EnhancedTrainingPipeline(config, tmp_path / "straight").run_multi_modal_training(**data)
    whole = TaskSampler.batch

    def broken(self, number):
        if number == 5:
            raise KeyboardInterrupt
        return whole(self, number)

    stopped = EnhancedTrainingPipeline(config, tmp_path / "stopped")
    monkeypatch.setattr(TaskSampler, "batch", broken)
    with pytest.raises(KeyboardInterrupt):
        stopped.run_multi_modal_training(**data)
    monkeypatch.setattr(TaskSampler, "batch", whole)
    resumed = stopped.run_multi_modal_training(**data, resume=True)
    assert resumed.results.fingerprint == straight.results.fingerprint


def test_a_trained_model_is_a_beginning(data, tmp_path):
    first = EnhancedTrainingPipeline(quick()).run_multi_modal_training(**data)
    first.save_pretrained(tmp_path / "model")
    start = {"model": {"name": str(tmp_path / "model")}, "training": {"num_epochs": 1, "learning_rate": 1e-12}}
    second = EnhancedTrainingPipeline(start).run_multi_modal_training(rna_data=data["rna_data"])
    table = "backbone.embeddings.word_embeddings.weight"
    torch.testing.assert_close(second.state_dict()[table], first.state_dict()[table], atol=1e-6, rtol=0)


def test_results_depend_on_the_seed_alone(data):
    found = []
    for seed in (0, 0, 1):
        config = quick(training={"num_epochs": 1, "batch_size": 8, "seed": seed})
        torch.rand(7)
        found.append(EnhancedTrainingPipeline(config).run_multi_modal_training(**data).results.fingerprint)
    assert found[0] == found[1] != found[2]


def test_a_dataset_may_come_and_is_left_as_it_is(data):
    sequences, labels = data["dna_data"]
    given = GenomicDataset(sequences, labels)
    EnhancedTrainingPipeline(quick()).run_multi_modal_training(dna_data=given)
    assert len(given.tokenizer) == 12


def test_small_models_take_the_other_names_of_fields():
    assert small_config(60, hidden_size=16, max_position_embeddings=99).sequence_length == 99
