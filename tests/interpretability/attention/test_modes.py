"""Modes: half-lives, periods and energies of filters that can be worked out by hand."""

import math

import numpy as np
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.errors import ModelError
from genomic_lens.interpretability import filter_bank, filter_modes
from genomic_lens.interpretability.attention.modes import mode_energy
from genomic_lens.model import HyenaGLTModel
from genomic_lens.model.mixing.tracing import mixers
from genomic_lens.model.pretrained import fingerprint

LAYOUT = "se-li-modal-attention-mr"


@pytest.fixture
def build():
    def build(layout=LAYOUT, **changes):
        shape = {"vocab_size": 12, "d_model": 8, "num_heads": 2, "sequence_length": 64, "filter_modes": 4}
        torch.manual_seed(0)
        return HyenaGLTModel(HyenaGLTConfig(**shape | {"layout": layout, "n_layers": layout.count("-") + 1} | changes))

    return build


def fill(filters, half_lives, residues, periods=None):
    """The same modes in every channel."""
    with torch.no_grad():
        filters.log_rates.copy_((math.log(2) / torch.tensor(half_lives)).log())
        filters.residues.copy_(torch.tensor(residues))
        if periods is not None:
            filters.angles.copy_(2 * math.pi / torch.tensor(periods))


def test_modes_that_fade(build):
    """Half-life 1 is the pole 1/2: a residue of 3 has the energy 9 / (1 - 1/4) = 12; two bases, the pole 1/sqrt(2)."""
    model = build()
    fill(mixers(model)[1].filter_fn, [1.0, 2.0, 5.0, 7.0], [3.0, 2**0.5, 0.0, 0.0])
    bank = filter_modes(model, layer=1)
    np.testing.assert_allclose(bank.half_lives, np.tile([1, 2, 5, 7], (8, 1)), rtol=1e-6)
    np.testing.assert_allclose(bank.energy, np.tile([0.75, 0.25, 0, 0], (8, 1)), rtol=1e-6)
    assert np.isinf(bank.periods).all()


def test_modes_that_turn(build):
    model = build()
    half_life, period = [6.0, 20.0, 0.5, 100.0], [3.0, 10.5, 2.0, 400.0]
    fill(mixers(model)[2].filter_fn, half_life, [[1.0, 2.0], [0.0, 0.3], [1.0, 0.0], [0.1, -0.1]], period)
    bank = filter_modes(model, layer=2)
    np.testing.assert_allclose(bank.half_lives[3], half_life, rtol=1e-6)
    np.testing.assert_allclose(bank.periods[3], period, rtol=1e-6)


@pytest.mark.parametrize("layer", [1, 2])
def test_energy_is_what_the_taps_of_each_mode_alone_add_up_to(build, layer):
    model = build(sequence_length=4000).double()
    filters = mixers(model)[layer].filter_fn
    with torch.no_grad():
        filters.log_rates.clamp_(min=math.log(math.log(2) / 100))
        filters.bias.zero_()
        residues, alone = filters.residues.clone(), []
        for mode in range(filters.modes):
            filters.residues.zero_()[:, mode] = residues[:, mode]
            alone.append(filters(4000).square().sum(-1).numpy())
        filters.residues.copy_(residues)
    shares = np.stack(alone, 1) / np.sum(alone, 0)[:, None]
    np.testing.assert_allclose(filter_modes(model, layer).energy, shares, rtol=1e-6)


def test_a_turning_mode_without_a_real_part_is_silent():
    """It hardly turns and begins at a right angle: its size says 1, the real part that is heard is nearly 0."""
    energy = mode_energy(np.array([[-0.7 + 1e-9j]]), np.array([[1j]]))
    assert 0 <= energy[0, 0] < 1e-15


def test_silent_channels_have_no_energy_and_no_warning(build, recwarn):
    model = build()
    fill(mixers(model)[1].filter_fn, [1.0, 2.0, 5.0, 7.0], [0.0] * 4)
    bank = filter_modes(model, layer=1)
    assert not bank.energy.any()
    assert math.isnan(bank.half_life)
    assert not [warning for warning in recwarn if "divide" in str(warning.message)]


def test_the_median_counts_energy_and_each_channel_the_same(build):
    """All but one channel keep the energy in modes of one base, and that channel is very loud at 7 bases."""
    model = build()
    filters = mixers(model)[1].filter_fn
    fill(filters, [1.0, 2.0, 5.0, 7.0], [3.0, 0.0, 0.0, 0.0])
    with torch.no_grad():
        filters.residues[0] = torch.tensor([0.0, 0.0, 0.0, 1000.0])
    assert filter_modes(model, layer=1).half_life == pytest.approx(1)
    with torch.no_grad():
        filters.residues[:5] = torch.tensor([0.0, 0.0, 0.0, 0.01])
    assert filter_modes(model, layer=1).half_life == pytest.approx(7)


def test_every_filter_of_a_layer_is_read(build):
    """Order 3 has two filters, and two-sided layers as many that look ahead."""
    assert filter_modes(build(hyena_order=3), layer=1).energy.shape == (16, 4)
    model = build(two_sided=True)
    bank = filter_modes(model, layer=2)
    mixer = mixers(model)[2]
    assert bank.energy.shape == (16, 4)
    for rows, filters in ((slice(8), mixer.filter_fn), (slice(8, 16), mixer.filter_fn_ahead)):
        rates = filters.log_rates.detach().double().exp().numpy()
        np.testing.assert_allclose(bank.half_lives[rows], math.log(2) / rates, rtol=1e-6)


def test_the_record_says_what_it_holds_and_comes_back(build, tmp_path):
    model = build()
    bank = filter_modes(model, layer=2)
    assert (bank.layer, bank.model) == (2, fingerprint(model))
    np.testing.assert_allclose(bank.energy.sum(1), 1)
    again = type(bank).load(bank.save(tmp_path / "modes.npz"))
    np.testing.assert_array_equal(again.periods, bank.periods)
    table = bank.to_dataframe()
    assert list(table) == ["channel", "mode", "half_life", "period", "energy"]
    row = table[(table.channel == 5) & (table["mode"] == 3)].iloc[0]
    assert (row.half_life, row.period, row.energy) == (bank.half_lives[5, 3], bank.periods[5, 3], bank.energy[5, 3])


def test_a_slow_mode_alone_is_the_filter_that_is_seen(build):
    """One mode of half-life 10 in each channel: the filter bank falls by half every 10 lags."""
    model = build()
    filters = mixers(model)[1].filter_fn
    fill(filters, [10.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0])
    torch.nn.init.zeros_(filters.bias)
    impulse = filter_bank(model, layer=1).impulse
    np.testing.assert_allclose(impulse[:, 10:] / impulse[:, :-10], 0.5, rtol=1e-4)
    assert filter_modes(model, layer=1).half_life == pytest.approx(10)


@pytest.mark.parametrize("layer", [0, 3, 4, 5, -1])
def test_a_layer_without_modes_is_refused_and_those_with_are_named(build, layer):
    with pytest.raises(ModelError, match=f"Layer {layer} was asked for; layers with modes: 1, 2"):
        filter_modes(build(), layer)


def test_a_model_without_modes_is_refused(build):
    with pytest.raises(ModelError, match="layers with modes: none"):
        filter_modes(build("hyena-attention"), layer=0)
