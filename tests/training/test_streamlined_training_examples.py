"""The guide's four recipes: its calls as they stand, what they return, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.training import (
    run_advanced_training_example,
    run_basic_dna_classification,
    run_multi_task_example,
    run_protein_function_prediction,
    streamlined_training_examples,
)
from genomic_lens.training.checkpoints import last_checkpoint

QUICK = {"num_epochs": 2, "d_model": 8, "filter_order": 8, "batch_size": 8}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(streamlined_training_examples, "RESAMPLES", 20)


def planted(count=120, motif="TGACTCA", length=24, seed=0):
    """Sequences with a motif, every second one at its beginning and the others near its end."""
    rng, sequences = np.random.default_rng(seed), []
    for rank in range(count):
        place = rng.integers(0, 3) + (0 if rank % 2 else 14)
        body = "".join(rng.choice(list("ACGT"), length - len(motif)))
        sequences.append(body[:place] + motif + body[place:])
    return sequences, [rank % 2 for rank in range(count)]


def test_the_guides_two_sequences_run_and_it_is_said_that_nothing_is_held_out():
    results = run_basic_dna_classification(sequences=["ATCGATCG", "GCTAGCTA"], labels=[0, 1], num_epochs=10)
    assert results.scores == {}
    assert "nothing is held out of 2 examples" in str(results)
    assert results.history["epoch"].max() == 10
    assert len(results.to_dataframe()) == 0


def test_the_place_of_a_motif_is_learnt_which_composition_does_not_show():
    sequences, labels = planted(400)
    results = run_basic_dna_classification(sequences, labels, num_epochs=8)
    assert results.scores["classification"]["auroc"].low > 0.9
    assert results.baseline["classification"]["auroc"].value < 0.75
    rows = results.split["classification"]
    assert len(rows["held_out"]) == pytest.approx(80, abs=4)
    assert not {sequences[row] for row in rows["train"]} & {sequences[row] for row in rows["held_out"]}


def test_results_are_those_of_the_model_on_what_was_held_out():
    """The scores are computed again from the model, the tokenizer and the rows of the record."""
    from genomic_lens.interpretability import predict

    sequences, labels = planted()
    own = {"share": lambda truth, chances: float((chances.argmax(1) == truth).mean())}
    results = run_basic_dna_classification(sequences, labels, metrics=own, **QUICK)
    rows = results.split["classification"]["held_out"]
    found = predict(results.model, results.tokenizer, [sequences[row] for row in rows])
    right = np.mean([one.probabilities.argmax() == labels[row] for one, row in zip(found, rows, strict=True)])
    scores = results.scores["classification"]
    assert right == pytest.approx(scores["accuracy"].value) == pytest.approx(scores["share"].value)
    assert scores["share"].low <= scores["share"].value <= scores["share"].high


def test_the_seed_says_it_all(tmp_path):
    sequences, labels = planted(40)
    runs = [run_basic_dna_classification(sequences, labels, seed=seed, **QUICK) for seed in (3, 3, 4)]
    assert runs[0].fingerprint == runs[1].fingerprint != runs[2].fingerprint
    assert runs[0].seed == 3


def test_a_folder_holds_the_checkpoints_and_the_log(tmp_path):
    sequences, labels = planted(40)
    results = run_basic_dna_classification(sequences, labels, output_dir=tmp_path / "run", **QUICK)
    assert last_checkpoint(tmp_path / "run") is not None
    assert (tmp_path / "run" / "log.csv").exists()
    assert str(tmp_path / "run") in str(results)


@pytest.mark.parametrize("kind", ["tuple", "dict", "table", "dataset"])
def test_advanced_data_come_in_many_ways_with_one_result(kind):
    sequences, labels = planted(40)
    data = {
        "tuple": (sequences, labels),
        "dict": {"sequences": sequences, "labels": labels},
        "table": pd.DataFrame({"sequence": sequences, "label": labels}),
        "dataset": GenomicDataset(sequences, labels),
    }
    found = run_advanced_training_example(data[kind], use_curriculum=True, monitor_attention=False, **QUICK)
    known = run_advanced_training_example(data["tuple"], use_curriculum=True, monitor_attention=False, **QUICK)
    assert found.fingerprint == known.fingerprint


def test_curriculum_and_monitoring_do_something():
    sequences, labels = planted(40)
    plain = run_advanced_training_example((sequences, labels), False, False, **QUICK)
    ordered = run_advanced_training_example((sequences, labels), True, False, **QUICK)
    watched = run_advanced_training_example((sequences, labels), True, True, **QUICK)
    assert plain.fingerprint != ordered.fingerprint == watched.fingerprint
    assert plain.attention is None
    assert watched.attention.models[-1] == watched.fingerprint
    assert len(watched.attention.steps) == 3


def test_sequences_alone_train_a_language_model():
    results = run_advanced_training_example(planted(40)[0], monitor_attention=False, **QUICK)
    assert "bits_per_base" in results.scores["language_model"]


def test_functions_of_proteins():
    rng = np.random.default_rng(0)
    proteins = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 20)) for _ in range(40)]
    names = ["kinase" if rank % 2 else "membrane" for rank in range(40)]
    results = run_protein_function_prediction(proteins, names, num_classes=10, **QUICK)
    assert results.model.config.num_labels == 10
    assert [results.model.config.id2label[rank] for rank in (0, 1, 2)] == ["kinase", "membrane", "unused 2"]
    several = run_protein_function_prediction(proteins, rng.integers(0, 2, (40, 3)), num_classes=3, **QUICK)
    assert several.model.objective == "multi_label"
    assert {"auroc", "auprc"} == set(several.scores["protein_function"])
    with pytest.raises(DataError, match="pass num_classes=2"):
        run_protein_function_prediction(proteins, names, num_classes=1)
    with pytest.raises(DataError, match="pass num_classes=3"):
        run_protein_function_prediction(proteins, rng.integers(0, 2, (40, 3)))


def test_two_questions_share_a_trunk():
    sequences, labels = planted(60)
    values = [one.count("G") / len(one) for one in sequences]
    own = {"regression": {"worst": lambda truth, values: np.abs(truth - values).max()}}
    results = run_multi_task_example(sequences, labels, values, metrics=own, **QUICK)
    assert set(results.scores) == {"classification", "regression"}
    assert "worst" in results.scores["regression"]
    assert results.model.tasks["regression"].backbone is results.model.backbone
    assert results.baseline["regression"]["pearson"].value > 0.95
    np.testing.assert_array_equal(results.split["classification"]["train"], results.split["regression"]["train"])
    with pytest.raises(ConfigurationError, match="Metrics of 'regresion'"):
        run_multi_task_example(sequences, labels, values, metrics={"regresion": {}}, **QUICK)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: run_basic_dna_classification(["ACGT"] * 4, [0, 1]), "4 sequences came with 2 labels"),
        (lambda: run_basic_dna_classification(["ACGT"] * 2, [0.5, 1.0]), "Labels for regression came"),
        (lambda: run_advanced_training_example({"names": ["ACGT"]}), "expected sequences"),
        (lambda: run_advanced_training_example([]), "expected a list of sequences"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call, words):
    with pytest.raises(DataError, match=words):
        call()
