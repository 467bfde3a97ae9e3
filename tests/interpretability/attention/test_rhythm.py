"""Rhythms: planted ones are found with their height, and p is uniform where there is none."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from genomic_lens.errors import DataError
from genomic_lens.interpretability.attention.rhythm import around_mean, rhythm

DISTANCE = np.arange(1, 301)


@pytest.mark.parametrize("decay", [10.0, 60.0, np.inf])
@pytest.mark.parametrize(("period", "swing"), [(3, 0.5), (3, 0.05), (10.5, 0.3), (4, 0.2)])
def test_planted_swings_are_found_with_their_height(period, swing, decay):
    profile = np.exp(-DISTANCE / decay) * (1 + swing * np.cos(2 * np.pi * DISTANCE / period + 1))
    found = rhythm(profile, period)
    assert found.p < 1e-4
    assert found.swing == pytest.approx(swing, rel=0.25 if decay == 10 else 0.06)
    for other in {3, 10.5, 4} - {period}:
        assert rhythm(profile, other).swing < 0.1 * swing


def test_a_neighbouring_period_is_told_apart():
    profile = np.exp(-DISTANCE / 80) * (1 + 0.4 * np.cos(2 * np.pi * DISTANCE / 3.15))
    assert rhythm(profile, 3).p > 0.05
    assert rhythm(profile, 3.15).p < 1e-6


@pytest.mark.parametrize("decay", [15.0, 100.0, np.inf])
@pytest.mark.parametrize("period", [3, 10.5])
@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_p_is_uniform_on_noise_whatever_its_trend_and_its_memory(period, decay, memory):
    generator, found = np.random.default_rng(0), []
    for _ in range(300):
        noise = lfilter([1], [1, -memory], generator.standard_normal(300))
        found.append(rhythm(np.exp(-DISTANCE / decay) * (1 + 0.1 * noise), period).p)
    assert kstest(found, "uniform").pvalue > 1e-3
    assert np.mean(np.array(found) < 0.05) < 0.09


@pytest.mark.parametrize(
    "profile",
    [np.exp(-DISTANCE / 30), 1.0 / DISTANCE, np.ones(300), np.exp(-((DISTANCE - 80) ** 2) / 500) + 0.01],
    ids=["exponential", "hyperbola", "even", "hump"],
)
def test_smooth_profiles_have_no_rhythm(profile):
    assert rhythm(profile, 3).p > 0.05
    assert rhythm(profile, 3).swing < 0.02


def test_what_is_rounding_is_no_rhythm():
    profile = 1 + 1e-12 * np.cos(2 * np.pi * DISTANCE / 3)
    assert rhythm(profile, 3).p > 0.3


def test_too_few_distances_are_not_tested():
    for short in (np.ones(5), np.ones(15), np.exp(-(DISTANCE**2.0)), np.full(50, np.nan), np.zeros(100)):
        found = rhythm(short, 3)
        assert np.isnan([found.swing, found.power, found.p]).all()
    cut = np.where(DISTANCE <= 100, 1 + 0.2 * np.cos(2 * np.pi * DISTANCE / 3), np.nan)
    assert rhythm(cut, 3).distances == 100 - 6


def test_the_local_mean_covers_whole_periods():
    assert around_mean(np.ones(100), 3)[1] % 3 == 0
    assert around_mean(np.ones(100), 10.5)[1] == 21
    left, width = around_mean(np.tile([2.0, 1.0, 0.0], 30), 3)
    assert width == 6
    np.testing.assert_allclose(np.unique(left.round(9)), [-1, 0, 1])


@pytest.mark.parametrize("period", [2, 0, -3, np.nan])
def test_periods_that_single_bases_cannot_show_are_refused(period):
    with pytest.raises(DataError, match="expected more than 2"):
        rhythm(np.ones(100), period)
