"""Several tasks in one run: each is learnt, none touches what is not its own, and an interruption changes nothing."""

import numpy as np
import pandas as pd
import pytest
import torch

from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import ConfigurationError, DataError, TrainingError
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForMultiLabelClassification, HyenaGLTForTokenClassification
from genomic_lens.training import MultiTaskLearner
from genomic_lens.training.multi.multi_task import one_task

from ..conftest import StopAt


def same_weights(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(name == other and torch.equal(value, twin) for (name, value), (other, twin) in pairs)


# --- learning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_two_tasks_that_share_a_motif_are_both_learnt(make_models, make_planted, shared):
    """One asks for the class, the other for a value; the answer to both is whether the motif is there."""
    options = {"layout": "mr", "medium_taps": 16, "d_model": 16, "num_epochs": 16, "batch_size": 32}
    first, second = make_models(initializer_range=0.1, filter_learning_rate=3e-2, **options)
    sequences, holds, values = make_planted(400, seed=1)
    unseen, unseen_holds, unseen_values = make_planted(200, seed=2)
    learner = MultiTaskLearner(["holds", "value"], [first, second], [0.5, 0.5], shared=first if shared else None)
    learner.train([GenomicDataset(sequences, holds), GenomicDataset(sequences, values)])
    held = [GenomicDataset(unseen, unseen_holds), GenomicDataset(unseen, unseen_values)]
    found = learner.evaluate(held, resamples=50)
    assert found["holds"]["auroc"].low > 0.85
    assert found["value"]["pearson"].low > 0.6


def test_five_kinds_of_task_in_one_run(make_models, make_config):
    first, second = make_models()
    several = HyenaGLTForMultiLabelClassification(make_config(num_classes=2))
    tokens = HyenaGLTForTokenClassification(make_config(num_classes=2))
    text = HyenaGLTForCausalLM(make_config())
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), 12)) for _ in range(16)]

    class PerBase(GenomicDataset):
        def __getitem__(self, index):
            ids = self.tokenizer.encode(self.sequences[index])
            return {"input_ids": ids, "labels": (ids > 8).astype(np.int64)}

    data = {
        "class": GenomicDataset(sequences, [0, 1] * 8),
        "value": GenomicDataset(sequences, rng.random(16)),
        "labels": GenomicDataset(sequences, rng.integers(0, 2, (16, 2)).astype(float)),
        "bases": PerBase(sequences),
        "text": GenomicDataset(sequences),
    }
    models = dict(zip(data, [first, second, several, tokens, text], strict=True))
    learner = MultiTaskLearner(list(data), models, weights="size", shared=text, temperature=2.0)
    learner.train(data, validation=data)
    scores = learner.evaluate(resamples=20)
    assert {name: next(iter(one)) for name, one in scores.items()} == {
        "class": "accuracy", "value": "mse", "labels": "auroc", "bases": "accuracy", "text": "bits_per_base",
    }  # fmt: skip
    assert len({id(model.backbone) for model in learner.models.values()}) == 1


def test_the_loss_of_each_task_stands_in_the_log(make_learner, make_data):
    learner = make_learner(num_epochs=1)
    table = learner.train(make_data(), validation={"holds": make_data(seed=3)[0]})
    drawn = table[["loss/holds", "loss/value"]].notna().to_numpy()
    assert (drawn[:-1].sum(1) == 1).all()
    logged = table["loss/holds"].fillna(table["loss/value"])
    np.testing.assert_allclose(logged, table["loss"], rtol=1e-5)
    assert {"eval_holds_auroc", "eval_holds_loss", "eval_loss"} <= set(table.columns)
    assert learner.get_metrics()["eval_loss"] == pytest.approx(learner.get_metrics()["eval_holds_loss"])


# --- separate models ------------------------------------------------------------------------------------------------


def test_separate_models_are_trained_as_if_alone(make_models, make_data):
    """Whatever the second model is and reads, the first ends with the same bits."""
    ends = []
    for start, seed in ((1, 0), (2, 5)):
        first, _ = make_models(start=0)
        _, second = make_models(start=start)
        data = [make_data(seed=0)[0], make_data(seed=seed)[1]]
        MultiTaskLearner(["holds", "value"], [first, second], [0.6, 0.4]).train(data)
        ends.append((first, second))
    assert same_weights(ends[0][0], ends[1][0])
    assert not same_weights(ends[0][1], ends[1][1])


def test_a_task_that_is_not_drawn_is_not_touched(make_models, make_data):
    """Not by weight decay either."""
    first, second = make_models(weight_decay=0.5)
    before = {name: value.clone() for name, value in second.state_dict().items()}
    learner = MultiTaskLearner(["holds", "value"], [first, second], [1.0, 1e-12])
    learner.train(make_data())
    assert all(torch.equal(value, before[name]) for name, value in second.state_dict().items())


def test_with_a_common_trunk_the_partner_matters(make_learner, make_data):
    ends = []
    for seed in (0, 5):
        learner = make_learner()
        learner.train([make_data(seed=0)[0], make_data(seed=seed)[1]])
        ends.append(learner.models["holds"])
    assert not same_weights(*ends)


# --- checkpoints ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_a_resumed_run_ends_with_the_very_weights_and_log_of_a_straight_one(make_learner, make_data, tmp_path, shared):
    options = {"shared": shared, "dropout": 0.3, "save_steps": 3}
    given = {"datasets": make_data(), "validation": make_data(seed=3)}
    straight = make_learner(tmp_path / "straight", **options)
    expected = straight.train(**given)
    with pytest.raises(KeyboardInterrupt):
        make_learner(tmp_path / "stopped", callbacks=[StopAt(13)], **options).train(**given)
    resumed = make_learner(tmp_path / "stopped", start=99, **options)
    assert not same_weights(resumed.model, straight.model)
    found = resumed.train(**given, resume=True)
    assert same_weights(resumed.model, straight.model)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    written = pd.read_csv(tmp_path / "stopped" / "log.csv")
    pd.testing.assert_frame_equal(written, found, check_dtype=False)


def test_what_is_saved_comes_back(make_learner, make_data, tmp_path):
    learner = make_learner(num_epochs=1)
    learner.train(make_data())
    learner.save_checkpoint(tmp_path / "saved")
    other = make_learner(start=7)
    other.load_checkpoint(tmp_path / "saved")
    assert same_weights(learner.model, other.model)
    with pytest.raises(TrainingError, match="no whole checkpoint"):
        other.load_checkpoint(tmp_path)
    apart = make_learner(shared=False)
    with pytest.raises(TrainingError, match="cannot be read"):
        apart.load_checkpoint(tmp_path / "saved")


def test_a_loaded_checkpoint_goes_on_where_it_stood(make_learner, make_data, tmp_path):
    straight = make_learner(tmp_path, save_steps=7)
    straight.train(make_data())
    resumed = make_learner(start=4)
    resumed.load_checkpoint(tmp_path / "checkpoint-21")
    resumed.train(make_data())
    assert same_weights(resumed.model, straight.model)


def test_accumulated_batches_equal_one_large_batch(make_learner, make_data):
    """Two batches of four make the step that one of eight makes."""
    ends = []
    for size, parts in ((8, 1), (4, 2)):
        learner = make_learner(batch_size=size, num_epochs=1, accumulation_steps=parts)
        learner.train(make_data(48), steps=6)
        ends.append(learner.model)
    for left, right in zip(ends[0].parameters(), ends[1].parameters(), strict=True):
        torch.testing.assert_close(left, right, atol=2e-5, rtol=0)


# --- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": [1, 0]}, "leave a task out"),
        ({"weights": [1]}, "1 weights came for 2 tasks"),
        ({"tasks": ["a"]}, "2 models came for 1 tasks"),
        ({"tasks": ["a", "a"]}, "different names"),
        ({"tasks": "ab"}, "different names"),
        ({"models": {"a": 1, "c": 2}}, r"expected one for each of \['a', 'b'\]"),
    ],
)
def test_tasks_that_do_not_fit_are_refused_in_a_sentence(make_models, changes, words):
    with pytest.raises(ConfigurationError, match=words):
        MultiTaskLearner(**{"tasks": ["a", "b"], "models": make_models(), "weights": [1, 1]} | changes)


def test_data_that_do_not_fit_are_refused_in_a_sentence(make_learner, make_data):
    first, second = make_data()
    with pytest.raises(ConfigurationError, match="1 datasets came for 2 tasks"):
        make_learner().train([first])
    with pytest.raises(DataError, match="Task 'value': The training examples have no labels"):
        make_learner().train([first, GenomicDataset(["ACGT"])])
    with pytest.raises(DataError, match="Task 'value': The training data has no example"):
        make_learner().train([first, GenomicDataset([], [])])
    with pytest.raises(ConfigurationError, match="'promoters' came"):
        make_learner().train([first, second], validation={"promoters": first})
    with pytest.raises(TrainingError, match="nothing to evaluate"):
        make_learner().evaluate()
    with pytest.raises(ConfigurationError, match="batch_tokens=64 came with several tasks"):
        make_learner(batch_tokens=64).train([first, second])
    rows = [first[0] | {"task": 0}, second[0] | {"task": 1}]
    with pytest.raises(TrainingError, match="in one batch"):
        one_task(rows, pad_id=4)


def test_a_loss_that_is_not_finite_names_task_and_examples(make_learner, make_data):
    learner, data = make_learner(shared=False), make_data()
    with torch.no_grad():
        next(learner.models["value"].head.parameters()).fill_(float("inf"))
    with pytest.raises(TrainingError, match="Task 'value': The loss is .* examples"):
        learner.train(data)


def test_a_run_that_gets_no_better_stops_and_gives_its_best(make_learner, make_data, tmp_path):
    """The validation labels are the opposite of what is learnt, so that the first evaluation is the best."""
    data = make_data()
    wrong = GenomicDataset(data[0].sequences, 1 - data[0].labels)
    for folder in (None, tmp_path):
        learner = make_learner(folder, num_epochs=12, early_stopping_patience=2)
        table = learner.train(data, validation={"holds": wrong})
        losses = table["eval_loss"].dropna()
        assert len(losses) < 12
        assert learner.answers("holds", wrong).loss == pytest.approx(losses.min(), abs=1e-5)
