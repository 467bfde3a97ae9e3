"""Difficulty, pace, stages and the sampler that has no memory."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

from genomic_lens.curriculum import (
    CroppedDataset,
    CurriculumPlan,
    CurriculumSampler,
    Stage,
    difficulty,
    length_warm_up,
    share_at,
)  # fmt: skip
from genomic_lens.curriculum.difficulty import repetitiveness, word_entropy
from genomic_lens.curriculum.pacing import CURVES
from genomic_lens.curriculum.refreshing import RefreshedDifficulty, refresh_points
from genomic_lens.data.datasets import BaseLabelDataset, GenomicDataset, PaddingCollator
from genomic_lens.errors import ConfigurationError, DataError

# --- difficulty -----------------------------------------------------------------------------------------------------


def test_measures_by_hand():
    assert difficulty(["A", "ACG"], "length").tolist() == [1, 3]
    assert difficulty(["AAAA", "ACGT", "GGGC"], "gc").tolist() == [0.5, 0.0, 0.5]
    assert word_entropy("ACGTACGT" * 50, k=1) == 2.0
    assert word_entropy("ACACACA", k=2) == 1.0
    assert word_entropy("NN") == 0.0
    assert repetitiveness("ACGT" * 10, k=4) == pytest.approx(1 - 4 / 37)
    assert repetitiveness("A") == 0.0
    assert difficulty(["A", "C"], [0.3, 0.1]).tolist() == [0.3, 0.1]


def test_repeats_are_easy_by_entropy_and_by_repetition():
    even = "".join(np.random.default_rng(0).choice(list("ACGT"), 300))
    for measure in ("entropy", "repetitiveness"):
        values = difficulty(["CAG" * 100, "CAG" * 50 + even[:150], even], measure)
        assert (np.diff(values) > 0.1).all()


def test_measures_that_are_none_are_refused():
    with pytest.raises(ConfigurationError, match="expected one of length, gc, entropy, repetitiveness"):
        difficulty(["A"], "hardness")
    for numbers in ([1.0], [1.0, np.nan]):
        with pytest.raises(DataError, match="for 2 sequences"):
            difficulty(["A", "C"], numbers)


# --- pace -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", CURVES)
def test_every_pace_grows_from_the_start_to_all(pace):
    shares = [share_at(progress, pace, start=0.1) for progress in np.linspace(0, 1, 101)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[-1] == 1
    assert (np.diff(shares) >= 0).all()
    assert share_at(1.5, pace) == 1
    assert share_at(0.3, pace, start=1.0) == 1


def test_paces_by_hand():
    assert share_at(0.5, "linear", 0.2) == pytest.approx(0.6)
    assert share_at(0.5, "exponential", 0.04) == pytest.approx(0.2)
    assert share_at(0.25, "cosine", 0.2) == pytest.approx(0.2 + 0.8 * (1 - 2**-0.5) / 2)
    assert [share_at(p, "step", 0.4, 2) for p in (0.0, 0.49, 0.5, 1.0)] == [0.4, 0.4, 1.0, 1.0]


@pytest.mark.parametrize(
    "options", [{"pace": "fast"}, {"start": 0.0}, {"start": 1.1}, {"steps": 1}, {"progress": -0.1}]
)
def test_paces_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigurationError):
        share_at(**{"progress": 0.0, **options})


# --- stages ---------------------------------------------------------------------------------------------------------


def test_a_plan_lays_its_stages_behind_each_other():
    plan = CurriculumPlan([Stage(8, 2, 4), {"max_length": 16}], examples=10, batch_size=5)
    assert plan.steps == 2 * 3 + 2
    assert [tuple(plan.at(step)) for step in range(8)] == [
        (0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 0), (0, 1, 1), (0, 1, 2), (1, 0, 0), (1, 0, 1),
    ]  # fmt: skip
    table = plan.to_dataframe()
    assert table.first_step.tolist() == [0, 6]
    assert table.tokens.tolist() == [160, 160]
    with pytest.raises(ConfigurationError, match="Step 8 came; the plan has 8"):
        plan.at(8)


def test_a_plan_says_what_is_constant():
    assert CurriculumPlan(length_warm_up([4, 8], 32), 10).constant == "tokens"
    assert CurriculumPlan([Stage(4, 1, 8), Stage(8, 1, 8)], 10).constant == "sequences"
    assert CurriculumPlan([Stage(4, 1, 8), Stage(8, 1, 5)], 10).constant == "nothing"
    assert str(CurriculumPlan(length_warm_up([4, 8], 32), 10)).endswith("The same in every step: tokens.")


def test_a_warm_up_has_one_number_of_epochs_or_one_a_stage():
    assert [stage.epochs for stage in length_warm_up([4, 8, 16], 32, epochs=2)] == [2, 2, 2]
    stages = length_warm_up([4, 8, 16], 32, epochs=[4, 2, 1])
    assert len({row.tokens for row in CurriculumPlan(stages, 10).to_dataframe().itertuples()}) == 1
    with pytest.raises(ConfigurationError, match="2 numbers of epochs came for 3 lengths"):
        length_warm_up([4, 8, 16], 32, epochs=[2, 1])
    assert "The same in every step: sequences and tokens." in str(CurriculumPlan([Stage(4)], 10))


@pytest.mark.parametrize(
    "stages", [[], [{"epochs": 1}], [{"max_length": 0}], [{"max_length": 4, "lr": 1}], [Stage(4, 1.5)]]
)
def test_stages_that_cannot_be_are_refused(stages):
    with pytest.raises(ConfigurationError):
        CurriculumPlan(stages, 10)


@pytest.mark.parametrize(("lengths", "tokens"), [([8, 4], 32), ([], 32), ([4, 64], 32), ([4, 4], 32)])
def test_warm_ups_that_cannot_be_are_refused(lengths, tokens):
    with pytest.raises(ConfigurationError):
        length_warm_up(lengths, tokens)


# --- the sampler ----------------------------------------------------------------------------------------------------


def test_every_pass_sees_every_example_once_in_another_order():
    sampler = CurriculumSampler(CurriculumPlan([Stage(8, 2, 4), Stage(16, 1, 3)], 10), seed=3)
    batches = list(sampler)
    passes = [batches[:3], batches[3:6], batches[6:]]
    for part, length in zip(passes, (8, 8, 16), strict=True):
        assert sorted(number for batch in part for number, _ in batch) == list(range(10))
        assert {tokens for batch in part for _, tokens in batch} == {length}
    assert passes[0] != passes[1]
    assert [sampler.batch(step) for step in (8, 2, 5)] == [batches[step] for step in (8, 2, 5)]


def test_processes_share_each_batch():
    plan = CurriculumPlan([Stage(8, 1, 4)], 16)
    for hardness in (None, np.arange(16)):
        whole = CurriculumSampler(plan, hardness)
        parts = [CurriculumSampler(plan, hardness, rank=rank, processes=2) for rank in range(2)]
        for step in range(4):
            assert sorted(parts[0].batch(step) + parts[1].batch(step)) == sorted(whole.batch(step))
    with pytest.raises(ConfigurationError, match="multiples of the number of processes"):
        CurriculumSampler(plan, processes=3)


def test_easy_examples_come_first_and_all_in_the_end():
    plan = CurriculumPlan([Stage(8, 5, 10)], 100)
    hardness = np.random.default_rng(0).permutation(100)
    sampler = CurriculumSampler(plan, hardness, start=0.1)
    hardest = [max(hardness[number] for number, _ in batch) for batch in sampler]
    assert hardest[0] == 9
    for step, most in enumerate(hardest):
        assert most < max(1, round(share_at(step / 49, "linear", 0.1) * 100))
    assert max(hardest[-10:]) >= 95
    few = CurriculumSampler(plan, hardness, start=0.03)
    assert {int(hardness[number]) for number, _ in few.batch(0)} <= {0, 1, 2}
    with pytest.raises(ConfigurationError, match="3 difficulties came for 100"):
        CurriculumSampler(plan, [1, 2, 3])


def test_a_loader_crops_what_the_sampler_asks_for():
    dataset = CroppedDataset(BaseLabelDataset(["ACGTACGT", "GGCC"], [np.arange(8), np.arange(4)]))
    plan = CurriculumPlan([Stage(3, 1, 2), Stage(6, 1, 2)], len(dataset))
    loader = DataLoader(dataset, batch_sampler=CurriculumSampler(plan), collate_fn=PaddingCollator())
    shapes = [tuple(batch["input_ids"].shape) for batch in loader]
    assert shapes == [(2, 3), (2, 6)]
    for batch in loader:
        assert batch["labels"].shape == batch["input_ids"].shape
    whole = CroppedDataset(GenomicDataset(["ACGT"], [1]))
    assert len(whole[0]["input_ids"]) == 4
    assert whole.tokenizer.decode(whole[0, 2]["input_ids"]) == "AC"


# --- what is hard now -----------------------------------------------------------------------------------------------

PLAN = CurriculumPlan([{"max_length": 8, "epochs": 2}, {"max_length": 16}], examples=40, batch_size=4)  # 20 + 10 steps


def measured_by(log):
    """Numbers that turn around at every point, and a note of each."""
    return RefreshedDifficulty(
        refresh_points(PLAN, 0.5, 0.1), lambda step: log.append(step) or np.arange(40) * (-1) ** len(log)
    )


def test_difficulty_is_measured_where_stages_begin_and_at_shares_of_the_plan():
    assert refresh_points(PLAN, 0.5, 0.1) == (3, 18, 20)
    assert refresh_points(PLAN, 1.0, 0.0) == (0, 20)
    assert refresh_points(PLAN, 0.1, 0.0) == (0, 3, 6, 9, 12, 15, 18, 20, 21, 24, 27)
    assert refresh_points(PLAN, 0.5, 0.99) == (29,)
    log = []
    sampler = CurriculumSampler(PLAN, measured_by(log), start=0.5)
    batches = list(sampler)
    assert log == [3, 18, 20]
    assert batches[:3] == list(CurriculumSampler(PLAN))[:3]  # before, steps pass over all examples
    for step, first, last in ((3, 17, 40), (17, 8, 40), (18, 0, 33)):  # numbers fall, then rise
        assert all(first <= index < last for index, _ in batches[step])
    for shares in ((0.0, 0.1), (-0.1, 0.1), (1.5, 0.1), (0.5, 1.0), (0.5, -0.1)):
        with pytest.raises(ConfigurationError, match="expected shares of the plan"):
            refresh_points(PLAN, *shares)


def test_numbers_that_were_stored_give_the_same_order_and_are_not_measured_again(tmp_path):
    straight = list(CurriculumSampler(PLAN, measured_by([]), start=0.3))
    first, log = measured_by([]), []
    walked = iter(CurriculumSampler(PLAN, first, start=0.3))
    assert [next(walked) for _ in range(19)] == straight[:19]
    first.save(tmp_path / "numbers.npz")
    again = RefreshedDifficulty(first.points, lambda step: log.append(step) or np.arange(40) * -1)
    again.load(tmp_path / "numbers.npz")
    assert list(CurriculumSampler(PLAN, again, start=0.3))[19:] == straight[19:]
    assert log == [20]
