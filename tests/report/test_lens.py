import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from genomic_lens.errors import DataError
from genomic_lens.records import Attribution, FilterBank, HiddenAttention, Motif, Prediction
from genomic_lens.report import Annotation, Lens, LensView, Section, render_page

SEQUENCE = "ACAGGTAAGT"


def attribution(**changes):
    values = np.array([np.nan, 0.1, -0.2, 0.7, 2.4, 2.3, 0.8, 0.6, 1.1, 0.3])
    record = Attribution(SEQUENCE, values, "donor", "exact", "shuffle", 8.1, 0.0, 1e-7)
    return replace(record, **{"references": 20, "spread": values / 10} | changes)


def attention(**changes):
    weights = np.tril(np.random.default_rng(0).gamma(1, 1, (10, 10)))
    return replace(HiddenAttention(SEQUENCE, weights, (0, 10), (0, 10), 1, "value", 0.47), **changes)


def filters(channels=20, taps=16, **changes):
    random = np.random.default_rng(0)
    record = FilterBank(
        0, 0, np.arange(taps), random.normal(size=(channels, taps)), np.linspace(0, 0.5, 9),
        random.random((channels, 9)), random.permutation(channels),
    )  # fmt: skip
    return replace(record, **changes)


def motif(**changes):
    return replace(Motif("donor", tuple("ACGT"), np.eye(4), np.eye(4), "ACGT", start=-3), **changes)


def view(**changes):
    prediction = Prediction(SEQUENCE, ("donor", "neither"), np.array([0.9, 0.1]), np.zeros(2), "donor", "abc")
    exon = Annotation("exon", 0, 4, "exon")
    record = LensView("one", prediction, (attribution(),), (attention(),), (exon,), 4, "junction")
    return replace(record, **changes)


def embedded(part):
    """The payload as it stands in a page, and a function that reads its arrays."""
    page = render_page("Lens", [Section("", "", (part,))])
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL).group(1))
    data = zlib.decompress(base64.b64decode(payload["arrays"]))

    def read(entry):
        kind = "<f4" if entry["type"] == "float32" else np.uint8
        return np.frombuffer(data, kind, int(np.prod(entry["shape"])), entry["at"]).reshape(entry["shape"])

    return payload, read


def test_contributions_come_back_with_all_that_makes_them_honest():
    payload, read = embedded(Lens((view(),)))
    (packed,) = payload["views"][0]["attributions"]
    np.testing.assert_array_equal(read(packed["values"]), attribution().values.astype(np.float32))
    np.testing.assert_array_equal(read(packed["spread"]), attribution().spread.astype(np.float32))
    kept = {name: packed[name] for name in ("target", "method", "baseline", "references", "gap", "output")}
    assert kept == {
        "target": "donor", "method": "exact", "baseline": "shuffle", "references": 20, "gap": 1e-7, "output": 8.1
    }  # fmt: skip


def test_maps_come_back_within_a_level():
    weights = attention().weights.copy()
    weights[5] = np.nan
    payload, read = embedded(Lens((view(attention=(attention(weights=weights),)),)))
    (packed,) = payload["views"][0]["attention"]
    codes = read(packed["weights"]).astype(float)
    assert (codes[5] == 255).all()
    known = np.delete(np.arange(10), 5)
    back = packed["weights"]["peak"] * (codes[known] / 254) ** 3
    bound = 0.5 / 254 * np.cbrt(np.nanmax(weights)) * (1 + 1e-9)
    assert np.abs(np.cbrt(back) - np.cbrt(weights[known])).max() <= bound
    assert packed["share"] == 0.47
    assert packed["bins"] == [1, 1]


def test_a_map_is_causal_only_if_no_base_draws_on_one_ahead():
    weights = attention().weights
    looks_ahead = weights.copy()
    looks_ahead[3, 4] = 1e-4 * weights.max()
    rounding = weights.copy()
    rounding[3, 4] = 1e-7 * weights.max()
    behind = attention(weights=np.ones((4, 4)), rows=(5, 9), columns=(0, 4))
    ahead = attention(weights=np.ones((4, 4)), rows=(0, 4), columns=(5, 9))
    shown = (attention(), attention(weights=looks_ahead), behind, ahead, attention(weights=rounding))
    payload, _ = embedded(Lens((view(attention=shown),)))
    assert [item["causal"] for item in payload["views"][0]["attention"]] == [True, False, True, False, True]


def test_large_maps_are_binned_and_signed_ones_never():
    sequence = "A" * 300
    prediction = Prediction(sequence, ("a",), np.ones(1), np.ones(1))
    weights = np.tril(np.ones((300, 300)))
    spans = ((0, 300), (0, 300))
    maps = tuple(HiddenAttention(sequence, weights, *spans, 0, "full", 1.0, kind) for kind in ("norm", "signed"))
    payload, read = embedded(Lens((LensView("long", prediction, attention=maps),)))
    norm, signed = payload["views"][0]["attention"]
    assert norm["bins"] == [3, 3]
    assert norm["weights"]["shape"] == [100, 100]
    assert norm["causal"]
    assert signed["weights"]["shape"] == [300, 300]
    below = read(norm["weights"])[np.tril_indices(100, -1)]
    assert (below == 254).all()


def test_maps_that_came_in_bins_keep_their_place():
    binned = attention(weights=np.ones((5, 2)), rows=(0, 10), columns=(2, 6))
    payload, _ = embedded(Lens((view(attention=(binned,)),)))
    (packed,) = payload["views"][0]["attention"]
    assert (packed["rows"], packed["columns"], packed["bins"]) == ([0, 10], [2, 6], [2, 2])


def test_the_strongest_and_the_farthest_channels_are_drawn_and_the_band_holds_all():
    bank = filters()
    payload, read = embedded(Lens((view(),), (bank,)))
    (packed,) = payload["filters"]
    energy = (bank.impulse**2).sum(1)
    assert packed["strongest"]["energy"] == np.argsort(-energy)[:5].tolist()
    assert packed["strongest"]["reach"] == np.argsort(-bank.reach)[:5].tolist()
    assert set(packed["channels"]) == set(packed["strongest"]["energy"]) | set(packed["strongest"]["reach"])
    assert packed["lags"] == list(range(len(SEQUENCE)))  # taps beyond the longest sequence cannot act
    near = bank.impulse[:, : len(SEQUENCE)].astype(np.float32)
    np.testing.assert_array_equal(read(packed["impulse"]), near[packed["channels"]])
    np.testing.assert_array_equal(read(packed["impulse_band"]), [near.min(0), near.max(0)])
    np.testing.assert_array_equal(read(packed["reach"]), bank.reach)


def test_motifs_are_placed_in_the_sequences():
    payload, _ = embedded(Lens((view(),), motifs=(motif(), motif(start=2)), motif_origin=4))
    assert [item["start"] for item in payload["motifs"]] == [1, 6]


def test_positions_are_counted_from_an_origin_only_if_it_has_a_name():
    payload, _ = embedded(Lens((view(), view(origin_name=""))))
    assert [item["origin"] for item in payload["views"]] == [4, None]


def test_two_lenses_share_one_script_and_one_style():
    part = Lens((view(),))
    once, twice = (render_page("Lens", [Section("", "", (part,) * count)]) for count in (1, 2))
    assert twice.count("export async function render") == once.count("export async function render") == 1
    assert twice.count('class="gl-lens"') == 2
    assert twice.count('type="application/json"') == 2


def test_a_notebook_shows_the_lens_in_a_frame_of_its_own():
    shown = Lens((view(name="</iframe>"),))._repr_html_()
    assert shown.count("<iframe") == shown.count("</iframe") == 1
    assert "arrays" not in repr(Lens((view(),)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Lens(()), "without a view"),
        (lambda: view(attributions=(attribution(sequence="ACGT"),)), r"different sequences \(4 and 10 bases\)"),
        (lambda: view(attributions=(attribution(values=np.zeros(9)),)), r"shape \(9,\); expected \(10,\)"),
        (lambda: view(attention=(attention(sequence=SEQUENCE[::-1]),)), "different sequences"),
        (lambda: view(attention=(attention(rows=(0, 11)),)), "within 0 to 10"),
        (lambda: view(attention=(attention(weights=np.zeros((3, 11))),)), r"shape \(3, 11\)"),
        (lambda: view(annotations=(Annotation("far", 3, 11, "exon"),)), "ends at 11, the sequence at 10"),
        (lambda: view(origin=11), "expected 0 to 10"),
        (lambda: Annotation("none", 3, 3, "exon"), "0 <= start < stop"),
        (lambda: Annotation("odd", 0, 3, "exon", "forward"), "strand 'forward'"),
        (lambda: Lens((view(),), (filters(reach=np.zeros(3)),)), "3 reaches"),
        (lambda: Lens((view(),), (filters(lags=np.arange(5)),)), "5 lags"),
        (lambda: Lens((view(),), (filters(frequencies=np.zeros(5)),)), r"shape \(20, 9\); expected \(20, 5\)"),
        (lambda: Lens((view(),), motifs=(motif(frequencies=np.zeros((3, 4))),)), r"\(3, 4\)"),
    ],
)
def test_records_that_do_not_fit_are_refused_with_a_reason(make, words):
    with pytest.raises(DataError, match=words):
        make()
