"""Snapshots see what the library sees, disturb nothing, and are those of an undisturbed run after an interruption."""

import numpy as np
import pytest
import torch

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.interpretability import filter_bank, hidden_attention
from genomic_lens.model import HyenaGLTForSequenceClassification
from genomic_lens.records import AttentionHistory, FilterHistory
from genomic_lens.training.monitoring.run_log import RunLog
from genomic_lens.training.monitoring.snapshots import AttentionSnapshots, FilterSnapshots, read_snapshots

from ..conftest import StopAt, build_config, build_trainer

PROBE = "ACGTTGCANCAGGT"


def watchers(folder, every=4):
    maps = AttentionSnapshots(folder, DNATokenizer(), PROBE, every, bins=8)
    return [FilterSnapshots(folder, every, channels=3), maps]


def build(**options):
    torch.manual_seed(0)
    return HyenaGLTForSequenceClassification(build_config(**options))


def test_watching_changes_nothing(tmp_path):
    plain, watched = tmp_path / "plain", tmp_path / "watched"
    alone = build_trainer(plain)
    alone.train()
    drawn = torch.rand(3)
    seen = build_trainer(watched, callbacks=[*watchers(watched, every=1), RunLog(watched)])
    seen.train()
    assert torch.equal(torch.rand(3), drawn)
    for name, value in alone.model.state_dict().items():
        assert torch.equal(value, seen.model.state_dict()[name]), name
    assert alone.history.equals(seen.history)
    assert all(module.training for module in seen.model.modules())


@pytest.mark.parametrize(("every", "steps"), [(0, [0, 6, 12, 18]), (5, [0, 5, 10, 15, 18])])
def test_there_is_one_before_the_first_step_and_one_at_the_end(tmp_path, every, steps):
    build_trainer(tmp_path, callbacks=watchers(tmp_path, every)).train()
    for name in ("filters", "attention"):
        assert read_snapshots(tmp_path, name).steps.tolist() == steps


def test_an_interrupted_run_has_the_snapshots_of_an_undisturbed_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    build_trainer(whole, callbacks=watchers(whole), save_steps=6).train()
    stopped = build_trainer(broken, callbacks=[*watchers(broken), StopAt(9)], save_steps=6)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    assert read_snapshots(broken, "filters").steps.tolist() == [0, 4, 8]
    build_trainer(broken, start=5, callbacks=watchers(broken), save_steps=6).train(resume=True)
    for name, values in (("filters", ("impulse", "reach")), ("attention", ("weights", "distance"))):
        one, other = read_snapshots(whole, name), read_snapshots(broken, name)
        assert one.models == other.models
        assert all(np.array_equal(getattr(one, value), getattr(other, value), equal_nan=True) for value in values)


def test_a_new_run_begins_with_none(tmp_path):
    build_trainer(tmp_path, callbacks=watchers(tmp_path, 4)).train()
    build_trainer(tmp_path, callbacks=watchers(tmp_path, 9)).train()
    assert read_snapshots(tmp_path, "filters").steps.tolist() == [0, 9, 18]


@pytest.mark.parametrize("two_sided", [False, True])
def test_filters_are_those_of_the_filter_bank(tmp_path, two_sided):
    model = build(n_layers=2, two_sided=two_sided)
    record = FilterSnapshots(tmp_path, channels=3).take(model, 7)
    assert record.impulse.dtype == np.float16
    for place, layer in enumerate(record.layers):
        bank = filter_bank(model, layer)
        assert np.array_equal(record.lags, bank.lags)
        assert np.allclose(record.impulse[0, place], bank.impulse[record.channels], atol=2e-3)
        assert record.reach[0, place].tolist() == np.quantile(bank.reach, (0.25, 0.5, 0.75)).tolist()


def test_only_near_lags_of_long_filters_are_kept(tmp_path):
    record = FilterSnapshots(tmp_path, channels=1, taps=5).take(build(two_sided=True), 0)
    assert record.lags.tolist() == list(range(-4, 5))


def test_maps_are_those_of_hidden_attention(tmp_path):
    model = build(n_layers=2)
    record = AttentionSnapshots(tmp_path, DNATokenizer(), PROBE).take(model, 3)
    for place, whole in enumerate(hidden_attention(model, DNATokenizer(), PROBE)):
        assert np.allclose(record.weights[0, place], whole.weights, rtol=1e-5, equal_nan=True)
        rows = whole.weights / np.nansum(whole.weights, 1, keepdims=True)
        far = np.abs(np.subtract.outer(np.arange(len(PROBE)), np.arange(len(PROBE))))
        known = [row for row, base in enumerate(PROBE) if base != "N"]
        assert record.distance[0, place] == pytest.approx(np.nansum(rows * far, 1)[known].mean())
    assert np.isnan(record.weights[0, :, PROBE.index("N")]).all()
    shares = [whole.share for whole in hidden_attention(model, DNATokenizer(), PROBE[:7])]
    assert AttentionSnapshots(tmp_path, DNATokenizer(), PROBE[:7]).take(model, 3).share[0] == pytest.approx(shares)


def test_long_probes_are_binned(tmp_path):
    record = AttentionSnapshots(tmp_path, DNATokenizer(), "ACGTTGCA" * 2, bins=4).take(build(), 0)
    assert record.weights.shape == (1, 1, 4, 4)
    assert record.rows == 4


@pytest.mark.parametrize(
    "options",
    [{"layout": "se-mr-li-attention", "n_layers": 4, "num_heads": 2, "medium_taps": 6},
     {"chunking": "routing", "n_layers": 3}, {"chunking": "merging", "n_layers": 3}, {"kmer_sizes": (3,)}],
)  # fmt: skip
def test_other_architectures_are_seen_too(tmp_path, options):
    model = build(**options)
    filters = FilterSnapshots(tmp_path, channels=2).take(model, 0)
    maps = AttentionSnapshots(tmp_path, DNATokenizer(), PROBE).take(model, 0)
    assert np.isfinite(filters.reach).all()
    assert np.isfinite(maps.distance).all()
    assert len(maps.layers) == model.config.n_layers


def test_histories_come_back_from_files_and_as_tables(tmp_path):
    build_trainer(tmp_path, callbacks=watchers(tmp_path)).train()
    for kind, name in ((FilterHistory, "filters"), (AttentionHistory, "attention")):
        record = read_snapshots(tmp_path, name)
        again = kind.load(record.save(tmp_path / "all.npz"))
        assert again.to_dataframe().equals(record.to_dataframe())
        assert len(record.to_dataframe()) == len(record.steps)
        assert len(set(record.models)) == len(record.steps)


def test_snapshots_of_two_runs_do_not_mix(tmp_path):
    parts = [FilterSnapshots(tmp_path, channels=2, seed=seed).take(build(d_model=16), seed) for seed in (0, 1)]
    with pytest.raises(DataError, match="differ in channels"):
        FilterHistory.joined(parts)


def test_what_cannot_be_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(ConfigurationError, match="every=-1"):
        FilterSnapshots(tmp_path, every=-1)
    with pytest.raises(ConfigurationError, match="2 to 64 bins"):
        AttentionSnapshots(tmp_path, DNATokenizer(), "ACGT", bins=65)
    with pytest.raises(DataError, match="no snapshots"):
        read_snapshots(tmp_path, "filters")
    with pytest.raises(ConfigurationError, match="filters, attention"):
        read_snapshots(tmp_path, "weights")
    no_filters = build(layout="attention", num_heads=2)
    with pytest.raises(ModelError, match="no long filters"):
        FilterSnapshots(tmp_path).take(no_filters, 0)
