"""A run: what it writes, what it refuses, and that it goes on exactly."""

import json

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import TrainerCallback

from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.model import HyenaDNAConfig, HyenaDNAForCausalLM, open_model
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.training.experiments import load_experiment, plan_experiment, register_dataset, run_experiment
from genomic_lens.training.experiments import run as run_module
from genomic_lens.training.experiments.registry import DATASETS, build_datasets

from .conftest import TINY, bases


@pytest.fixture(autouse=True)
def toy():
    """Sequences whose class is whether G and C are the majority; forty to learn from, twelve for the test."""

    @register_dataset("toy")
    def toy_datasets(
        count: int = 40, length: int = 12, classes: int = 2, validation: bool = True, test: bool = True, seed: int = 0
    ):
        """Toy sequences."""

        def part(count, seed):
            sequences = bases(count, length, seed)
            shares = [sum(base in "GC" for base in one) / (length + 1) for one in sequences]
            return GenomicDataset(
                sequences, [int(share * classes) for share in shares], label_names=list("abc"[:classes])
            )

        return {
            "train": part(count, seed),
            "validation": part(12, seed + 1) if validation else None,
            "test": part(12, seed + 2) if test else None,
        }

    yield
    DATASETS.pop("toy")


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("dataset: {name: toy}\nmodel: {sequence_length: 16}\ntraining: {save_steps: 3, logging_steps: 1}\n")
    return path


def test_everything_is_in_the_folder(run_tiny, mine):
    run = run_tiny(mine, "evaluation.resamples=20")
    written = {path.name for path in run.folder.iterdir()}
    assert {"settings.yaml", "log.csv", "scores.json", "model", "checkpoint-10"} <= written
    settings = yaml.safe_load((run.folder / "settings.yaml").read_text())
    assert settings["model"]["d_model"] == 8
    assert settings["training"]["weight_decay"] == 0.1  # a default, written out
    scores = json.loads((run.folder / "scores.json").read_text())
    assert scores["split"] == "test"
    assert scores["scores"]["accuracy"]["low"] <= scores["scores"]["accuracy"]["value"]
    assert scores["scores"]["accuracy"]["items"] == 12
    assert scores["model"] == fingerprint(open_model(run.folder / "model"))
    assert load_experiment(run.folder / "settings.yaml") == run.experiment


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_by_itself_and_ends_where_it_would_have(run_tiny, mine, monkeypatch):
    whole = run_tiny(mine, folder="whole")
    made = run_module.build_trainer

    def interrupted(*arguments):
        trainer = made(*arguments)
        trainer.hf.add_callback(StopAt(5))
        return trainer

    monkeypatch.setattr(run_module, "build_trainer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tiny(mine, folder="cut")
    monkeypatch.undo()
    resumed = run_tiny(mine, folder="cut")
    assert resumed.history.step.tolist() == whole.history.step.tolist()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])


def test_a_finished_run_is_not_trained_again(run_tiny, mine):
    first, again = run_tiny(mine), run_tiny(mine)
    assert fingerprint(first.model) == fingerprint(again.model)
    assert len(again.history) == len(first.history)


def test_a_folder_of_another_experiment_is_refused_with_the_difference(run_tiny, mine):
    run = run_tiny(mine)
    with pytest.raises(ConfigurationError, match="training.learning_rate is 0.0001 there and 0.5 here"):
        run_tiny(mine, "training.learning_rate=0.5")
    with pytest.raises(ConfigurationError, match="resume=never came"):
        run_tiny(mine, "resume=never")
    (run.folder / "settings.yaml").unlink()
    with pytest.raises(ConfigurationError, match="it has no settings.yaml"):
        run_tiny(mine)


def test_without_a_test_split_validation_is_scored_and_without_both_nothing(run_tiny, mine):
    run = run_tiny(mine, "dataset.test=false")
    assert (run.split, run.scores["accuracy"].items) == ("validation", 12)
    run = run_tiny(mine, "dataset.test=false", "dataset.validation=false", folder="bare")
    assert run.scores == {}
    assert json.loads((run.folder / "scores.json").read_text())["split"] is None


def test_the_plan_is_what_the_run_does(run_tiny, mine, tmp_path, monkeypatch):
    overrides = [*TINY, "training.num_epochs=3", "training.accumulation_steps=3", f"output={tmp_path / 'planned'}"]
    plan = plan_experiment(load_experiment(mine, overrides))
    assert not (tmp_path / "planned").exists()
    run = run_experiment(load_experiment(mine, overrides))
    assert plan.steps == run.history.step.max()
    assert plan.sequences_a_step == 12
    assert plan.bases_a_step == 144
    assert plan.parameters == sum(parameter.numel() for parameter in run.model.parameters())
    monkeypatch.setenv("WORLD_SIZE", "2")
    plan = plan_experiment(load_experiment(mine, overrides))
    assert (plan.steps, plan.sequences_a_step) == (6, 24)
    stages = "curriculum.stages=[{max_length: 4, batch_size: 8, epochs: 2}, {max_length: 12, batch_size: 4}]"
    plan = plan_experiment(load_experiment(mine, [*TINY, stages]))
    assert plan.steps == 2 * 5 + 10
    assert plan.bases_a_step == (2 * 40 * 4 + 40 * 12) / 20
    stages = "8 × 4 tokens for 10 steps; then 4 × 12 tokens for 10 steps. The same in every step: nothing."
    assert f"Curriculum: {stages}" in str(plan)


def test_a_curriculum_trains_through_its_stages(run_tiny, mine):
    stages = "curriculum.stages=[{max_length: 4, batch_size: 8}, {max_length: 12, batch_size: 4}]"
    assert run_tiny(mine, stages).history.step.max() == 15
    run = run_tiny(mine, stages, "training.accumulation_steps=2", folder="two")
    assert plan_experiment(run.experiment).steps == run.history.step.max() == 8


def test_a_budget_of_tokens_is_an_override_and_its_padding_stands_in_the_plan(run_tiny, mine):
    run = run_tiny(mine, "training.batch_tokens=60", "training.num_epochs=2")
    plan = plan_experiment(run.experiment)
    assert plan.steps == run.history.step.max() == 2 * 8  # five of twelve bases fit
    assert (plan.sequences_a_step, plan.bases_a_step, plan.padding) == (5, 60, 0.0)
    assert "Padding: 0.0% of what the model reads." in str(plan)
    assert "Padding" not in str(plan_experiment(load_experiment(mine, TINY)))
    stages = "curriculum.stages=[{max_length: 4}]"
    for other, message in ((stages, "came with a curriculum"), ("training.global_batch_size=8", "came together")):
        with pytest.raises(ConfigurationError, match=message):
            plan_experiment(load_experiment(mine, [*TINY, "training.batch_tokens=60", other]))


def test_a_curriculum_by_loss_is_a_setting_and_learns_with_adapters_too(run_tiny, mine):
    stages = "curriculum.stages=[{max_length: 12, batch_size: 4, epochs: 2}]"
    for more in ("seed=1", "lora=2"):
        run = run_tiny(mine, stages, "curriculum.measure=loss", "curriculum.refresh=0.5", more, folder=more)
        assert run.history.step.max() == 20
    with np.load(run.folder / "checkpoint-20" / "curriculum.npz") as stored:
        assert stored["measured"] == 12  # after a warm-up of 2 steps, and each 10 steps
        assert stored["values"].shape == (40,)


def test_what_is_frozen_does_not_move_and_adapters_are_merged(run_tiny, mine):
    frozen = run_tiny(mine, "freeze=true")
    assert plan_experiment(frozen.experiment).trainable < plan_experiment(load_experiment(mine, TINY)).trainable
    assert all(not one.requires_grad for one in frozen.model.backbone.parameters())
    adapted = run_tiny(mine, "lora=2", folder="lora")
    names = load_file(adapted.folder / "model" / "model.safetensors")
    assert not any("lora" in name for name in names)


def test_hidden_bases_are_an_objective(run_tiny, mine):
    run = run_tiny(mine, "objective=masked_language_model", "model.two_sided=true", "training.mlm_probability=0.3")
    assert type(run.model).__name__ == "HyenaGLTForMaskedLM"
    assert "bits_per_base" in run.scores


def test_the_same_global_batch_from_smaller_ones(run_tiny, mine):
    """Dropout 0: eight at once, or four and four."""
    options = ["model.dropout=0", "training.learning_rate=0.01"]
    one = run_tiny(mine, *options, "training.batch_size=8", folder="one")
    two = run_tiny(mine, *options, "training.batch_size=4", "training.global_batch_size=8", folder="two")
    for name, value in one.model.state_dict().items():
        assert torch.allclose(value, two.model.state_dict()[name], atol=1e-5)
    with pytest.raises(ConfigurationError, match="expected a multiple of 4"):
        run_tiny(mine, "training.global_batch_size=6", folder="three")


def test_a_model_is_taken_over_in_three_ways(run_tiny, mine):
    source = run_tiny(mine, "training.learning_rate=0.05", folder="source")
    path, cold = f"model.source={source.folder / 'model'}", "training.learning_rate=1e-9"
    settings = ["training.batch_size=4", "training.num_epochs=1", "evaluation.resamples=0", "~model.sequence_length"]
    whole = run_tiny(mine, path, "model.load=whole", "evaluation.only=true", tiny=settings, folder="whole")
    assert whole.scores["accuracy"].value == source.scores["accuracy"].value
    assert fingerprint(whole.model) == fingerprint(source.model)
    anew = run_tiny(mine, path, cold, tiny=settings, folder="backbone").model
    for name, value in anew.backbone.state_dict().items():
        assert torch.allclose(value, source.model.backbone.state_dict()[name], atol=1e-6)
    assert not torch.allclose(anew.head.score.weight, source.model.head.score.weight, atol=1e-3)
    taken = [path, "model.load=whole", "model.pooling=position", "evaluation.only=true"]
    weighed = run_tiny(mine, *taken, tiny=settings, folder="weighed")
    assert weighed.model.head.positions.weight.eq(0).all(), "a mean until it is trained"
    assert weighed.scores["accuracy"].value == source.scores["accuracy"].value


def test_a_head_that_is_missing_is_refused_or_begins_anew(run_tiny, mine):
    """A language model has no classes."""
    source = run_tiny(mine, "objective=language_model", folder="source")
    settings = ["training.batch_size=4", "training.num_epochs=1", "evaluation.resamples=0", "~model.sequence_length"]
    path = f"model.source={source.folder / 'model'}"
    with pytest.raises(ModelError, match="has no head for classification; pass model.load=backbone"):
        run_tiny(mine, path, "model.load=whole", tiny=settings)
    anew = run_tiny(mine, path, "model.load=whole", "model.strict=false", tiny=settings).model
    assert type(anew).__name__ == "HyenaGLTForSequenceClassification"
    with pytest.raises(ModelError, match="does not fit d_model"):
        run_tiny(mine, path, "model.d_model=12", tiny=settings, folder="other")


def test_a_head_of_other_classes_is_refused(run_tiny, mine):
    source = run_tiny(mine, folder="source")
    settings = ["model.load=whole", f"model.source={source.folder / 'model'}", "~model.sequence_length"]
    with pytest.raises(DataError, match="has 2 classes, the data have 3"):
        plan_experiment(load_experiment(mine, [*settings, "dataset.classes=3"]))


def test_a_published_checkpoint_is_a_source(run_tiny, mine, tmp_path):
    """HyenaDNA's own layout: a pickle of Lightning, with and without the decoder that it was fine-tuned with."""
    torch.manual_seed(0)
    published = HyenaDNAForCausalLM(HyenaDNAConfig(d_model=8, n_layers=1, sequence_length=18))
    weights = {f"model.{name}": value for name, value in published.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "weights.ckpt")
    settings = ["training.batch_size=4", "training.num_epochs=1", "evaluation.resamples=0", "~model.sequence_length"]
    path = f"train.pretrained_model_path={tmp_path / 'weights.ckpt'}"
    cold = run_tiny(mine, path, "optimizer.lr=1e-9", "decoder.mode=last", tiny=settings).model
    assert type(cold).__name__ == "HyenaDNAForSequenceClassification"
    assert cold.config.pooling == "last"
    table = "backbone.embeddings.word_embeddings.weight"
    assert torch.allclose(cold.state_dict()[table], published.state_dict()[table], atol=1e-6)
    head = {f"decoder.0.output_transform.{name}": torch.full_like(value, 0.5)
            for name, value in cold.head.score.state_dict().items()}  # fmt: skip
    torch.save({"state_dict": weights | head}, tmp_path / "weights.ckpt")
    options = ["train.pretrained_model_state_hook=null", "evaluation.only=true"]
    whole = run_tiny(mine, path, *options, tiny=settings, folder="whole").model
    assert bool((whole.head.score.weight == 0.5).all())


def test_scores_of_a_language_model_are_bits_a_base(run_tiny):
    small = ["dataset.max_length=4096", "training.batch_size=32", "training.learning_rate=0.01", "model.d_inner=8"]
    run = run_tiny("genome_pretraining", *small, "evaluation.resamples=20", "model.d_model=4")
    score = run.scores["bits_per_base"]
    assert 1.9 < score.low < score.value < score.high < 4
    assert np.isfinite(run.history.loss).all()


@pytest.mark.parametrize(
    ("gave", "message"),
    [({"tests": [1]}, "gave tests; expected datasets by split"), ([1], "gave list"), ({"train": []}, "no example")],
)
def test_data_without_a_split_to_learn_from_are_refused(gave, message):
    register_dataset("bad")(lambda: gave)
    try:
        with pytest.raises(DataError, match=message):
            build_datasets("bad")
    finally:
        DATASETS.pop("bad")


def test_a_name_is_registered_once(toy):
    with pytest.raises(ConfigurationError, match="'toy' is there already"):
        register_dataset("toy")(lambda: {})
