"""A truth is planted for each objective, and a model of a few hundred weights finds it."""

import numpy as np
import pandas as pd
import pytest

from genomic_lens.data.datasets import BaseLabelDataset, GenomicDataset
from genomic_lens.data.suites.chromatin import ChromatinProfileDataset
from genomic_lens.errors import TrainingError
from genomic_lens.model import (
    HyenaGLTForCausalLM,
    HyenaGLTForMaskedLM,
    HyenaGLTForMultiLabelClassification,
    HyenaGLTForRegression,
    HyenaGLTForTokenClassification,
)
from genomic_lens.training import FineTuner

from ..conftest import build_trainer

LEARNING = {"dropout": 0.0, "learning_rate": 0.03, "batch_size": 16, "num_epochs": 12, "warmup_fraction": 0.1}


def trained(kind, train, validation, **options):
    trainer = build_trainer(kind=kind, data=train, validation=validation, **LEARNING | options)
    trainer.train()
    return trainer


def rounds(count, seed):
    """ACGTACGT… from any letter on, with an N here and there: each base tells the next one."""
    generator = np.random.default_rng(seed)
    texts = []
    for start, length in zip(generator.integers(0, 4, count), generator.integers(10, 17, count), strict=True):
        text = list(("ACGT" * 6)[start : start + length])
        text[generator.integers(length)] = "N"
        texts.append("".join(text))
    return GenomicDataset(texts)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (HyenaGLTForCausalLM, {}),
        (HyenaGLTForMaskedLM, {"two_sided": True, "mlm_probability": 0.3, "d_model": 16, "num_epochs": 16}),
    ],
)
def test_a_language_of_one_sentence_is_learnt(kind, options):
    """Two bits a base for a model that knows nothing."""
    validation = rounds(40, seed=1)
    trainer = trained(kind, rounds(128, seed=0), validation, **options)
    found = trainer.evaluate(resamples=50)
    assert found["bits_per_base"].value < 0.5
    assert found["bits_per_base"].low <= found["bits_per_base"].value <= found["bits_per_base"].high
    assert found["accuracy"].value > 0.85
    assert trainer.get_metrics()["eval_bits_per_base"] == pytest.approx(found["bits_per_base"].value, rel=1e-5)
    assert trainer.history["eval_bits_per_base"].dropna().iloc[0] > 1
    assert trainer.predict(validation).shape[::2] == (40, 12)


def test_several_labels_are_learnt_also_where_some_are_unknown():
    def data(count, seed):
        generator = np.random.default_rng(seed)
        texts = ["".join(generator.choice(list("ACGT"), 12, p=generator.dirichlet(np.ones(4)))) for _ in range(count)]
        labels = np.array([[text.count("G") > 3, text.count("A") > 3] for text in texts], dtype=np.float32)
        labels[generator.random(count) < 0.3, 1] = np.nan
        return GenomicDataset(texts, labels, label_names=["G", "A"])

    trainer = trained(HyenaGLTForMultiLabelClassification, data(128, 0), data(80, 1), id2label={0: "G", 1: "A"})
    found = trainer.evaluate(resamples=50)
    assert found["auroc_G"].value > 0.9
    assert found["auroc_A"].value > 0.9
    assert found["auprc"].value > 0.85
    assert trainer.get_metrics()["eval_auroc"] == pytest.approx(found["auroc"].value, abs=1e-6)
    assert "eval_auroc_G" not in trainer.get_metrics()


def test_several_values_are_learnt_also_where_some_are_unknown():
    def data(count, seed):
        generator = np.random.default_rng(seed)
        texts = ["".join(generator.choice(list("ACGT"), 12, p=generator.dirichlet(np.ones(4)))) for _ in range(count)]
        values = np.array([[text.count("G") / 12, text.count("A") / 6] for text in texts])
        values[generator.random(count) < 0.3, 0] = np.nan
        return GenomicDataset(texts, values)

    found = trained(HyenaGLTForRegression, data(128, 0), data(80, 1)).evaluate(resamples=50)
    assert min(found["pearson_0"].value, found["pearson_1"].value) > 0.85


def test_a_class_of_each_base_is_learnt_and_unknown_bases_are_not_scored():
    def data(count, seed):
        generator = np.random.default_rng(seed)
        texts = ["".join(generator.choice(list("ACGTN"), generator.integers(6, 17))) for _ in range(count)]
        labels = [np.array([base in "GC" for base in text], dtype=int) for text in texts]
        return BaseLabelDataset(texts, labels, label_names=["AT", "GC"])

    validation = data(40, 1)
    trainer = trained(HyenaGLTForTokenClassification, data(96, 0), validation)
    found = trainer.evaluate(resamples=50)
    assert found["accuracy"].value > 0.97
    assert found["accuracy"].items == sum(len(text) - text.count("N") for text in validation.sequences)
    assert trainer.get_metrics()["eval_accuracy"] == found["accuracy"].value
    assert trainer.predict(validation).shape[0] == 40


def test_a_chromatin_profile_is_learnt_and_fine_tuned(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "genome.fa").write_text(">chr1\n" + "".join(generator.choice(list("ACGT"), 600)) + "\n")
    starts = np.arange(0, 580, 12)
    table = pd.DataFrame({"chrom": "chr1", "start": starts, "end": starts + 12})
    table["open"], table["mark"] = generator.integers(0, 2, (2, len(table)))
    table.to_csv(tmp_path / "train.csv", index=False)
    data = ChromatinProfileDataset(tmp_path / "train.csv", tmp_path / "genome.fa", length=12)
    trainer = trained(HyenaGLTForMultiLabelClassification, data, data, num_epochs=2)
    assert set(trainer.evaluate(resamples=0)) >= {"auroc", "auprc", "auroc_0"}
    tuner = FineTuner(trainer.model, "multi_label")
    tuner.finetune(data, data, num_epochs=1)
    assert set(tuner.trainer.evaluate(resamples=0)) == {
        "auroc", "auprc", "auroc_open", "auroc_mark", "auprc_open", "auprc_mark",
    }  # fmt: skip


def test_without_labels_there_is_nothing_to_evaluate_on_but_language():
    sequences = GenomicDataset(["ACGTACGT", "CGTACGTA"])
    language = build_trainer(kind=HyenaGLTForCausalLM, data=sequences)
    assert language.evaluate(sequences, resamples=0)["bits_per_base"].value > 1
    with pytest.raises(TrainingError, match="nothing to evaluate on"):
        build_trainer(data=sequences).evaluate(sequences)
