"""Alternative text tells the planted finding."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genomic_lens.errors import DataError
from genomic_lens.plots import plot_chunks, plot_modes
from genomic_lens.plots.words import describe
from genomic_lens.records import ChunkMap, HiddenAttention, ModeBank, Score


def test_attribution_names_the_strongest_base_the_gap_and_the_masks(donor):
    assert describe(donor) == (
        "Contributions of 10 bases to donor (exact, baseline shuffled): base 3 (G) contributes most, +2.5; "
        "the whole adds up to 99.97 %; 2 masked."
    )


def test_a_strong_negative_contribution_is_the_strongest(donor):
    values = donor.values.copy()
    values[2] = -9.0
    assert "base 2 (A) contributes most, -9" in describe(replace(donor, values=values))


def test_all_masked_is_said_and_not_ranked(donor):
    assert describe(replace(donor, values=np.full(10, np.nan))).endswith("all bases are masked.")


def test_attention_names_row_and_column_in_bases(looks):
    assert describe(looks) == (
        "Hidden attention of layer 2, value path, which shows 47 % of the Jacobian: "
        "row 107 draws most on column 202 (0.8)."
    )


def test_attention_of_binned_maps_names_spans():
    weights = np.zeros((4, 4))
    weights[3, 1] = 1.0
    record = HiddenAttention("A" * 400, weights, (0, 400), (0, 400), layer=0, path="full", share=1.0)
    assert "rows 300–399 draw most on columns 100–199" in describe(record)


def test_filters_name_their_reaches(bank):
    assert describe(bank) == (
        "Of 12 filters of layer 2, half keep 95 % of their energy within 19.5 bases; reaches go from 3 to 36 bases "
        "(channel 11)."
    )


def test_motif_names_its_strongest_position_relative_to_the_site(motif):
    sentence = describe(motif)
    assert "mean of 120 sequences (exact, baseline shuffled)" in sentence
    assert sentence.endswith("reads GaN from position -1 and is strongest at position -1.")


def test_scores_name_values_intervals_and_groups():
    scores = {
        "mcc": Score("mcc", 0.5, 0.4, 0.6, items=640, groups=80),
        "auroc": Score("auroc", 0.9, 0.85, 0.95, items=640, groups=80),
    }
    assert describe(scores) == (
        "Mcc is 0.5 (95 % interval 0.4 to 0.6); auroc is 0.9 (95 % interval 0.85 to 0.95), from 640 items in 80 groups."
    )


def test_history_names_ends_and_lowest_evaluation():
    history = pd.DataFrame({"step": [1000, 2000, 3000], "loss": [1.5, 0.5, 0.2], "eval_loss": [1.0, 0.25, 0.75]})
    assert describe(history) == (
        "Training loss goes from 1.5 to 0.2, lowest 0.2 at step 3,000; "
        "evaluation loss goes from 1 to 0.75, lowest 0.25 at step 2,000."
    )


def test_what_is_no_record_is_refused():
    with pytest.raises(DataError, match="no words for a int"):
        describe(3)


def test_modes_and_chunks_have_the_words_of_their_figures():
    bank = ModeBank(2, np.array([[5.0, 80.0]]), np.full((1, 2), np.inf), np.array([[0.4, 0.6]]))
    assert describe(bank) == plot_modes(bank).layout.meta["alt"]
    start = np.array([[True, False, True, False, False, False]])
    chunks = ChunkMap("A" * 6, start * 0.9, start, start * 0.9, start.cumsum(1) - 1)
    assert describe(chunks) == plot_chunks(chunks).layout.meta["alt"]
