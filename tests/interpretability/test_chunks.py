"""Chunks in bases, and planted boundaries: found where they are denser, and not found where they are not."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError, ModelError
from genomic_lens.interpretability import boundary_profile, chunk_map, chunk_statistics
from genomic_lens.interpretability.chunks import after_shifts, in_bases
from genomic_lens.records import ChunkMap

SEQUENCE = "".join(np.random.default_rng(0).choice(list("ACGT"), 40))
ROUTED = {"n_layers": 5, "chunking": "routing", "target_ratios": (0.3, 0.5)}
KINDS = {
    "routing": ROUTED,
    "merging": {"n_layers": 3, "chunking": "merging", "merge_ratio": 0.5, "merge_threshold": 0.9},
    "patches": {"n_layers": 3, "chunking": "patches", "num_heads": 2, "patch_threshold": 2.0, "longest_patch": 4},
}


def planted(start, probability=None):
    """A record of one stage with these starts."""
    start = np.asarray(start, dtype=bool)[None]
    probability = np.where(start, 0.9, 0.1) if probability is None else np.asarray(probability)[None]
    return ChunkMap("A" * start.shape[1], probability, start, np.full(start.shape, 0.9), start.cumsum(1) - 1)


def random_starts(random, share):
    """Boundaries with these chances, and one before the first base."""
    start = random.random(len(share)) < share
    start[0] = True
    return start


def blocks(random, length, longest=400):
    """Spans of random lengths that cover about half of a sequence."""
    edges = np.cumsum(random.integers(20, longest, 2 * length // longest * 10))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True) if last <= length]


# chunk_map


def fitted(model):
    """The same, with a table that has counted something where it cuts patches."""
    for module in model.modules():
        if hasattr(module, "counts"):
            module.counts.copy_(torch.randint(1, 60, module.counts.shape))
    return model


def routing_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor(ids)[None]).routing


@pytest.mark.parametrize("how", KINDS)
def test_a_long_sequence_is_cut_into_windows_of_what_the_model_reads(make_model, tokenizer, how):
    model = fitted(make_model(**KINDS[how] | {"sequence_length": 40}))
    whole = chunk_map(model, tokenizer, 2 * SEQUENCE + SEQUENCE[:7])
    first, last = (chunk_map(model, tokenizer, part) for part in (SEQUENCE, SEQUENCE[:7]))
    for part, place in ((first, slice(40)), (first, slice(40, 80)), (last, slice(80, 87))):
        np.testing.assert_allclose(whole.probability[:, place], part.probability, atol=1e-6)
        assert np.array_equal(whole.start[:, place], part.start)
    assert np.array_equal(whole.index, whole.start.cumsum(1) - 1)


@pytest.mark.parametrize("how", KINDS)
def test_the_record_holds_what_the_model_returns(make_model, tokenizer, how):
    model = fitted(make_model(**KINDS[how])).train()
    record = chunk_map(model, tokenizer, SEQUENCE)
    assert model.training
    routing = routing_of(model.eval(), tokenizer.encode(SEQUENCE))
    assert record.start.shape == (len(routing), 40)
    for stage, found in enumerate(routing):
        for name in ("probability", "start", "confidence", "index"):
            np.testing.assert_allclose(getattr(record, name)[stage], getattr(found, name)[0].numpy(), atol=1e-6)
    assert (record.how, record.targets) == (how, (0.3, 0.5) if how == "routing" else ())
    assert 1 < record.compression[0] <= 40


def test_stages_are_nested_and_every_chunk_is_a_row(make_model, tokenizer):
    record = chunk_map(make_model(**ROUTED), tokenizer, SEQUENCE)
    assert record.start[:, 0].all()
    assert not (record.start[1] & ~record.start[0]).any()
    table = record.to_dataframe()
    for stage, rows in table.groupby("stage"):
        assert rows["start"].tolist() == np.flatnonzero(record.start[stage]).tolist()
        assert rows["stop"].tolist() == [*rows["start"][1:], 40]
        assert (rows["length"] == rows["stop"] - rows["start"]).all()
        assert record.compression[stage] == pytest.approx(40 / len(rows))
    assert record.shares[1] == pytest.approx((table["stage"] == 1).sum() / (table["stage"] == 0).sum())


def test_special_tokens_fall_out(make_model):
    model, tokenizer = make_model(**ROUTED, sequence_length=64), DNATokenizer(special="cls_sep")
    record = chunk_map(model, tokenizer, SEQUENCE)
    routing = routing_of(model.eval(), tokenizer.encode(SEQUENCE))
    assert record.start.shape == (2, 40)
    for stage, found in enumerate(routing):
        np.testing.assert_array_equal(record.start[stage], found.start[0, 1:-1].numpy())
        np.testing.assert_array_equal(record.index[stage], found.index[0, 1:-1].numpy())


def test_masked_bases_belong_to_no_chunk(make_model, tokenizer):
    sequence = SEQUENCE[:10] + "NNN" + SEQUENCE[13:]
    record = chunk_map(make_model(**ROUTED), tokenizer, sequence)
    inside = np.zeros(40, dtype=bool)
    inside[10:13] = True
    np.testing.assert_array_equal(record.index < 0, np.stack([inside, inside]))
    np.testing.assert_array_equal(np.isnan(record.probability), record.index < 0)
    assert not record.start[:, inside].any()
    assert record.to_dataframe().query("stage == 0")["length"].sum() == 37


def test_a_boundary_lies_before_the_first_base_of_its_token():
    """Tokens of three bases, between two special ones."""
    offsets = np.array([[0, 0], [0, 3], [3, 6], [6, 9], [9, 9]])
    start = np.array([[True], [False], [True], [True], [False]])
    index = np.array([[0], [0], [1], [2], [2]])
    masked = np.array([True, False, False, True, True])
    found = in_bases(np.array([[1.0], [0.4], [0.8], [0.7], [0.1]]), start, start * 0.9, index, masked, offsets, 9)
    assert found["start"].astype(int).tolist() == [[0, 0, 0, 1, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(found["probability"][0], [0.4, 0, 0, 0.8, 0, 0, *[np.nan] * 3], rtol=1e-6)
    assert found["index"].tolist() == [[0, 0, 0, 1, 1, 1, -1, -1, -1]]


def test_models_without_chunks_and_empty_sequences_are_refused(make_model, tokenizer):
    with pytest.raises(ModelError, match="cuts no chunks"):
        chunk_map(make_model(), tokenizer, SEQUENCE)
    with pytest.raises(DataError, match="empty"):
        chunk_map(make_model(**ROUTED), tokenizer, "")


# chunk_statistics


def test_all_shifts_at_once_are_those_one_by_one():
    random = np.random.default_rng(0)
    values, lane = random.random(37), random.random(37) < 0.4
    expected = [(np.roll(values, shift) * lane).sum() for shift in range(37)]
    np.testing.assert_allclose(after_shifts(values, lane), expected, atol=1e-12)


def test_a_toy_by_hand():
    """Starts at 0 2 4 6 9 in twelve bases, of which the lane covers six: three of six inside, two of six outside."""
    record = planted(np.isin(np.arange(12), [0, 2, 4, 6, 9]))
    row = chunk_statistics(record, {"first half": [(0, 6)]}).iloc[0]
    assert (row["lane"], row["stage"], row["shuffles"]) == ("first half", 0, 11)
    assert (row["share"], row["inside"], row["ratio"]) == pytest.approx((0.5, 0.5, 1.5))
    assert row["outside"] == pytest.approx(2 / 6)
    assert (row["length_inside"], row["length_outside"]) == (2, 3)
    within = np.array([np.roll(record.start[0], shift)[:6].sum() for shift in range(1, 12)])
    tail = min((within <= 3).sum(), (within >= 3).sum())
    assert row["p"] == row["q"] == pytest.approx(min(1, 2 * (1 + tail) / 12))
    low, high = np.quantile(within, [0.025, 0.975])
    assert (row["null_low"], row["null_high"]) == pytest.approx((low / (5 - low), high / (5 - high)))


@pytest.mark.parametrize("spans", [None, [(0, 15_000)]], ids=["blocks", "one half"])
def test_planted_boundaries_are_found_with_their_ratio(spans):
    random = np.random.default_rng(3)
    spans = spans or blocks(random, 30_000)
    lane = planted(np.ones(30_000)).covered(spans)
    record = planted(random_starts(random, np.where(lane, 0.3, 0.15)))
    row = chunk_statistics(record, {"planted": spans, "mask": lane}).iloc[0]
    assert row["q"] < 0.01
    assert row["ratio"] == pytest.approx(2, rel=0.06)
    assert not row["null_low"] < row["ratio"] < row["null_high"]
    assert row["length_outside"] / row["length_inside"] == pytest.approx(2, rel=0.1)


def test_fewer_boundaries_are_found_as_well():
    random = np.random.default_rng(4)
    lane = planted(np.ones(30_000)).covered(blocks(random, 30_000))
    row = chunk_statistics(planted(random_starts(random, np.where(lane, 0.1, 0.3))), {"planted": lane}).iloc[0]
    assert row["q"] < 0.01
    assert row["ratio"] == pytest.approx(1 / 3, rel=0.1)


def test_p_values_of_unrelated_annotation_are_uniform():
    """Boundaries come in bursts, as real ones do: a null that drew each by itself would call many of these related."""
    values, by_itself = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        bursts = np.repeat(random.random(100) < 0.3, 50)
        start = random_starts(random, np.where(bursts, 0.5, 0.02))
        lane = np.roll(np.repeat(random.random(50) < 0.5, 100), random.integers(5000))
        values.append(chunk_statistics(planted(start), {"unrelated": lane}, shuffles=400, seed=seed)["p"][0])
        counts = random.hypergeometric(lane.sum(), (~lane).sum(), start.sum(), 400)
        found = (start & lane).sum()
        by_itself.append(2 * min((counts <= found).mean(), (counts >= found).mean()))
    values = np.array(values)
    assert (values < 0.05).mean() <= 0.12  # 3 of 60 are expected; more than 7 come once in a hundred
    assert 0.35 < values.mean() < 0.65
    assert (np.array(by_itself) < 0.05).mean() > 0.3


def test_q_values_are_those_of_benjamini_and_hochberg():
    random = np.random.default_rng(5)
    lanes = {str(number): np.repeat(random.random(50) < 0.5, 20) for number in range(4)}
    lanes["3"] = np.repeat(random.random(20) < 0.5, 50)
    table = chunk_statistics(planted(random_starts(random, np.where(lanes["0"], 0.6, 0.1))), lanes)
    order = np.argsort(table["p"].to_numpy())
    raised = table["p"].to_numpy()[order] * 4 / np.arange(1, 5)
    expected = np.minimum.accumulate(raised[::-1])[::-1].clip(max=1)
    np.testing.assert_allclose(table["q"].to_numpy()[order], expected)
    assert table["p"][0] < 0.01 < table["q"][1:].min()


def test_a_lane_without_bases_or_with_all_is_not_tested():
    record = planted(np.arange(60) % 3 == 0)
    table = chunk_statistics(record, {"none": [], "all": [(0, 60)], "some": [(0, 20)]}).set_index("lane")
    assert table["p"].isna().tolist() == table["q"].isna().tolist() == [True, True, False]
    assert table.loc["some", "q"] == table.loc["some", "p"]  # what was not tested does not count as a test
    assert (table.loc["none", "outside"], table.loc["all", "inside"]) == pytest.approx((1 / 3, 1 / 3))


def test_masked_bases_are_as_if_they_were_not_there():
    start = np.random.default_rng(6).random(90) < 0.3
    start[0] = True
    lane = np.arange(90) < 40
    whole = planted(start)
    cut = ChunkMap(
        "A" * 110, *(np.insert(part, [30], np.zeros((1, 20)), axis=1) for part in (whole.probability, whole.start)),
        np.insert(whole.confidence, [30], np.zeros((1, 20)), axis=1), np.insert(whole.index, [30], [[-1] * 20], axis=1),
    )  # fmt: skip
    with_gap = np.insert(lane, 30, np.ones(20, dtype=bool))
    expected = chunk_statistics(whole, {"lane": lane})
    np.testing.assert_allclose(
        chunk_statistics(cut, {"lane": with_gap}).drop(columns="lane").astype(float),
        expected.drop(columns="lane").astype(float),
    )


def test_the_seed_decides_and_stages_are_told_apart():
    random = np.random.default_rng(7)
    first = random_starts(random, np.full(5000, 0.4))
    start = np.stack([first, first & (np.arange(5000) % 2 == 0)])
    record = ChunkMap("A" * 5000, start * 0.9, start, start * 0.9, start.cumsum(1) - 1)
    lanes = {"even": np.arange(5000) % 2 == 0, "half": [(0, 2500)]}
    one, again, other = (chunk_statistics(record, lanes, shuffles=50, seed=seed) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)
    assert one["ratio"][0] < 1.2
    assert chunk_statistics(record, lanes, stage=1)["ratio"][0] > 100


@pytest.mark.parametrize("lane", [np.ones(59, dtype=bool), [(0, 61)], [(-1, 4)], [(5, 4)], [(0.5, 3.0)], [1, 2, 3]])
def test_lanes_that_do_not_fit_are_refused(lane):
    with pytest.raises(DataError, match="expected one bool a base"):
        chunk_statistics(planted(np.arange(60) % 3 == 0), {"wrong": lane})


def test_stages_and_shuffles_that_do_not_exist_are_refused():
    record = planted(np.arange(60) % 3 == 0)
    for call in (chunk_statistics, boundary_profile):
        with pytest.raises(DataError, match="Stage 1 was asked for"):
            call(record, {} if call is chunk_statistics else [30], stage=1)
    with pytest.raises(DataError, match="0 shifts"):
        chunk_statistics(record, {}, shuffles=0)


# boundary_profile


def test_the_profile_is_the_mean_around_the_places():
    random = np.random.default_rng(8)
    probability, places = random.random(500), [3, 60, 200, 200, 480, 498]
    record = planted(probability > 0.5, probability)
    table = boundary_profile(record, places, reach=10, shuffles=100)
    kept = np.array([60, 200, 200, 480])
    assert table["offset"].tolist() == list(range(-10, 11))
    assert (table["places"] == 4).all()
    for offset, row in table.set_index("offset").iterrows():
        assert row["probability"] == pytest.approx(probability[kept + offset].mean())
        assert row["start"] == pytest.approx((probability[kept + offset] > 0.5).mean())


def test_the_band_is_that_of_shifted_boundaries():
    random = np.random.default_rng(9)
    probability = random.random(80)
    table = boundary_profile(planted(probability > 0.5, probability), [30, 45], reach=5, shuffles=1000)
    for offset, row in table.set_index("offset").iterrows():
        null = [np.roll(probability, shift)[[30 + int(offset), 45 + int(offset)]].mean() for shift in range(1, 80)]
        ends = np.quantile(null, [0.025, 0.975])
        assert (row["probability_low"], row["probability_high"]) == pytest.approx(tuple(ends))


def test_a_planted_boundary_leaves_the_band_at_its_offset_alone():
    random = np.random.default_rng(10)
    places = np.sort(random.choice(np.arange(100, 19_900), 150, replace=False))
    start = random_starts(random, np.full(20_000, 0.2))
    start[places + 3] = True
    table = boundary_profile(planted(start), places, reach=20).set_index("offset")
    outside = (table["start"] > table["start_high"]) | (table["start"] < table["start_low"])
    assert outside[3]
    assert table.loc[3, "start"] == 1
    assert outside.sum() <= 6
    assert table["start_high"].max() < 0.4


def test_masked_bases_do_not_count_in_the_profile():
    probability = np.tile([0.2, 0.8], 50)
    record = planted(probability > 0.5, probability)
    index, gap = record.index.copy(), np.array([21, 41])
    index[0, gap] = -1
    holed = ChunkMap(record.sequence, np.where(index < 0, np.nan, record.probability), record.start & (index >= 0),
                     record.confidence, index)  # fmt: skip
    table = boundary_profile(holed, [20, 40, 60], reach=2).set_index("offset")
    assert table.loc[1, "probability"] == pytest.approx(0.8)
    assert table.loc[1, "start"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("places", "message"), [([5, 55], "None of 2 places"), ([], "None of 0"), ([60], "expected 0 to 59")]
)
def test_places_too_near_an_end_or_outside_are_refused(places, message):
    with pytest.raises(DataError, match=message):
        boundary_profile(planted(np.arange(60) % 3 == 0), places, reach=10)
