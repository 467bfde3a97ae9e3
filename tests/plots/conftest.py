"""Small records with a planted finding, and a clean slate after each test."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from genomic_lens.plots import style
from genomic_lens.records import Attribution, FilterBank, HiddenAttention, Motif

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _clean_slate():
    before = dict(style.SETTINGS)
    yield
    style.SETTINGS.update(before)
    plt.close("all")


def words(ax) -> str:
    """Headline and notes of matplotlib Axes."""
    return " ".join([ax.get_title(loc="left"), *(text.get_text() for text in ax.texts)])


@pytest.fixture
def donor() -> Attribution:
    """GT stand out, the third base speaks against the site, the last two are masked."""
    return Attribution(
        sequence="CAAGTAAGNN", values=np.array([0.1, 0.3, -0.7, 2.5, 1.9, 0.0, 0.4, 0.2, np.nan, np.nan]),
        target="donor", method="exact", baseline="shuffled", references=20, output=4.7, reference_output=0.0,
        gap=0.0003,
    )  # fmt: skip


@pytest.fixture
def looks() -> HiddenAttention:
    """Row 107 looks at column 202; row 109 is masked."""
    weights = np.full((10, 20), 0.1)
    weights[7, 2] = 0.8
    weights[9] = np.nan
    return HiddenAttention("ACGT" * 60, weights, (100, 110), (200, 220), layer=2, path="value", share=0.47)


@pytest.fixture
def bank() -> FilterBank:
    """Channel c has the period 4 + c and decays the slower the larger c."""
    lags, channels = np.arange(64), np.arange(12)
    impulse = np.exp(-lags / (1.0 + channels[:, None])) * np.cos(2 * np.pi * lags / (4 + channels[:, None]))
    spectrum = np.abs(np.fft.rfft(impulse, 128))
    return FilterBank(2, 1, lags, impulse, np.fft.rfftfreq(128), spectrum, reach=3.0 * (1 + channels))


@pytest.fixture
def motif() -> Motif:
    """A certain G at 0, a coin between A and C at 1 that the model dislikes as C, nothing at 2."""
    frequencies = np.array([[0, 0, 1, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    contributions = np.array([[0, 0, 2.0, 0], [0.5, -0.3, 0, 0], [0, 0, 0, 0]])
    return Motif("donor", tuple("ACGT"), contributions, frequencies, "GaN", start=-1, sequences=120, method="exact",
                 baseline="shuffled")  # fmt: skip
