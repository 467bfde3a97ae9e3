"""The analyzers: maps and numbers of every kind of layer, remembered as long as they hold, and a planted model."""

import json
import math
from importlib import import_module

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError
from genomic_lens.interpretability import AttentionAnalyzer, attribute
from genomic_lens.interpretability.attention.attention_maps import numbers_in, over_parts
from genomic_lens.interpretability.attention.hidden_attention import hidden_attention
from genomic_lens.interpretability.attention.map_rows import MapRows, part_edges, row_statistics
from genomic_lens.interpretability.attention_analysis import Answers, HyenaAttentionAnalyzer
from genomic_lens.model import HyenaGLTForSequenceClassification, HyenaGLTModel
from genomic_lens.model.mixing.tracing import mixers
from genomic_lens.model.pretrained import fingerprint
from tests.model.chunks.test_stages import WAYS, small_model

TOKENIZER = DNATokenizer()
SEQUENCE = "ACGTTGCATTGACNAGTACGTAGGCATTACAGTTACGATCG"
STRIPED = {"layout": "se-attention-li", "n_layers": 3}
KINDS = WAYS | {"striped": STRIPED, "order 3": {"hyena_order": 3, "n_layers": 1}}


def drawn(length, seed=0):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@pytest.fixture
def striped():
    return small_model(HyenaGLTModel, STRIPED)


# --- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_maps_shares_and_numbers_are_those_of_hidden_attention(kind, two_sided):
    model = small_model(HyenaGLTModel, KINDS[kind], two_sided=two_sided)
    (found,) = AttentionAnalyzer(model).analyze(SEQUENCE, aggregation="per_head")
    expected = hidden_attention(model, TOKENIZER, SEQUENCE, kind="weights")
    places, table = np.arange(len(SEQUENCE)), found.summary.to_dataframe()
    assert [(one.layer, one.head, one.kind) for one in found.maps] == [
        (one.layer, one.head, one.kind) for one in expected
    ]
    for one, other, (_, row) in zip(found.maps, expected, table.iterrows(), strict=True):
        np.testing.assert_allclose(one.weights, other.weights, rtol=0, atol=1e-8 * np.nanmax(other.weights))
        assert one.share == pytest.approx(known_share(model, other), rel=1e-4)
        assert (one.sequence, one.rows, one.columns) == (SEQUENCE, (0, len(SEQUENCE)), (0, len(SEQUENCE)))
        numbers = row_statistics(other.weights, places, places)
        assert row["entropy"] == pytest.approx(numbers.entropy.mean(), rel=1e-5)
        assert row["distance"] == pytest.approx(numbers.distance.mean(), rel=1e-5)
        assert row["entropy"] <= row["entropy_limit"] + 1e-9
        assert row["rows"] == len(SEQUENCE) - 1
    assert found.summary.model == found.maps[0].model == fingerprint(model)


def known_share(model, record):
    """The share of a map over the bases that are not masked."""
    heads = None if record.head is None else [record.head]
    value, full = (
        hidden_attention(model, TOKENIZER, SEQUENCE, [record.layer], [path], heads=only)[0].weights
        for path, only in (("value", heads), ("full", None))
    )
    return math.sqrt(np.nansum(value**2) / np.nansum(full**2))


@pytest.mark.parametrize(("aggregation", "reduce"), [("mean", np.mean), ("max", np.max)])
def test_heads_are_taken_together(striped, aggregation, reduce):
    (found,) = AttentionAnalyzer(striped).analyze(SEQUENCE, aggregation=aggregation)
    heads = [record.weights for record in hidden_attention(striped, TOKENIZER, SEQUENCE, [1], kind="weights")]
    record = found.map(1)
    assert (record.head, record.kind) == (None, "weights")
    np.testing.assert_allclose(record.weights, reduce(heads, axis=0), atol=1e-12)
    whole = hidden_attention(striped, TOKENIZER, SEQUENCE.replace("N", "A"), [1])[0]
    (other,) = AttentionAnalyzer(striped).analyze(SEQUENCE.replace("N", "A"), aggregation=aggregation)
    assert other.map(1).share == pytest.approx(whole.share, rel=1e-6)


def test_some_layers_and_heads(striped):
    (found,) = AttentionAnalyzer(striped).analyze(SEQUENCE, (1, -1), (2, -1), "per_head")
    assert [(one.layer, one.head) for one in found.maps] == [(1, 2), (1, 3), (2, None)]
    (one,) = AttentionAnalyzer(striped).analyze(SEQUENCE, (1, 1), (2, 2))
    head = hidden_attention(striped, TOKENIZER, SEQUENCE, [1], kind="weights", heads=[2])[0]
    np.testing.assert_allclose(one.maps[0].weights, head.weights, atol=1e-12)
    assert np.isnan(one.maps[0].share), "of some heads together no path has the norm"
    (norms,) = AttentionAnalyzer(striped).analyze(SEQUENCE, aggregation="per_head", path="full")
    assert [(one.layer, one.head, one.kind, one.share) for one in norms.maps] == [
        (layer, None, "norm", 1) for layer in range(3)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_range": (0, 3)}, "layer_range is .0, 3.; the model has 3 layers, so expected .first, last. within 0"),
        ({"layer_range": (-4, -1)}, "layer_range is"),
        ({"layer_range": (2, 1)}, "layer_range is"),
        ({"layer_range": 1}, "expected a pair"),
        ({"layer_range": (0, 1, 2)}, "expected a pair"),
        ({"head_range": (0, 4)}, "head_range is .0, 4.; the model has 4 heads"),
        ({"aggregation": "sum"}, "aggregation='sum', parts=None came; expected one of mean, max, per_head"),
        ({"parts": 0}, "at least one part"),
        ({"head_range": 1}, "head_range is 1; expected a pair"),
    ],
)
def test_ranges_and_names_that_do_not_exist_are_refused(striped, options, message):
    with pytest.raises(ConfigurationError, match=message):
        AttentionAnalyzer(striped).analyze(SEQUENCE, **options)


def test_ranges_count_their_last_in_and_from_the_end():
    assert [numbers_in(span, 4, "layer") for span in ((0, -1), (0, 0), (-2, -1), (1, 2))] == [
        [0, 1, 2, 3], [0], [2, 3], [1, 2]
    ]  # fmt: skip


def test_a_long_sequence_is_read_in_parts(make_model):
    model, sequence = make_model(HyenaGLTModel, sequence_length=400, dtype=torch.float64), drawn(390) + "N" * 10
    (found,) = AttentionAnalyzer(model).analyze(sequence, parts=40, seed=4)
    whole = hidden_attention(model, TOKENIZER, sequence)
    maps, edges = MapRows(model, TOKENIZER, sequence), part_edges(400, 40)
    rows = maps.sample(40, 4)
    for record, all_cells in zip(found.maps, whole, strict=True):
        assert record.weights.shape == (40, 40)
        assert record.rows == (0, 400)
        expected = over_parts(all_cells.weights[rows], edges)
        np.testing.assert_allclose(record.weights[:-1], expected[:-1], atol=1e-9 * np.nanmax(expected))
        assert np.isnan(record.weights[-1]).all()
    exact = row_statistics(whole[0].weights, np.arange(400), np.arange(400), causal=True)
    assert found.summary.entropy[0] == pytest.approx(exact.entropy.mean(), rel=0.05)
    assert found.summary.rows.tolist() == [39, 39]
    assert found.maps[0].share == pytest.approx(whole[0].share, rel=0.1)


def test_parts_are_means_of_what_is_known():
    rows = np.array([[1.0, 3.0, np.nan, 5.0, np.nan, 2.0]])
    np.testing.assert_array_equal(over_parts(rows, np.array([0, 2, 4, 5, 6])), [[2, 5, np.nan, 2]])


# --- results ----------------------------------------------------------------------------------------------------------


def test_entropy_is_given_for_each_layer_and_over_all(striped):
    first, second = AttentionAnalyzer(striped).analyze([SEQUENCE, SEQUENCE[:20]], aggregation="per_head")
    table = first.summary.to_dataframe()
    by_layer = [table.loc[table["layer"] == layer, "entropy"].mean() for layer in range(3)]
    assert first.avg_entropy == pytest.approx(np.mean(by_layer))
    patterns = first.layer_patterns
    assert patterns["avg_entropy"] == first.avg_entropy
    assert [patterns["layers"][layer]["entropy"] for layer in range(3)] == pytest.approx(by_layer)
    assert json.loads(json.dumps(patterns))["avg_entropy"] == first.avg_entropy
    assert second.sequence == SEQUENCE[:20]
    with pytest.raises(ConfigurationError, match="layer 0 head 1 was asked for; this analysis holds layer 0, "):
        first.map(0, 1)


def test_a_masked_sequence_has_no_entropy(striped):
    (found,) = AttentionAnalyzer(striped).analyze("N" * 12)
    assert math.isnan(found.avg_entropy)
    assert np.isnan(found.maps[0].weights).all()
    assert AttentionAnalyzer(striped).plot_attention_summary(found).layout.meta["alt"].endswith("all bases are masked.")


def test_figures_come_from_results(striped):
    analyzer = AttentionAnalyzer(striped)
    results = analyzer.analyze([SEQUENCE, SEQUENCE[::-1]], aggregation="per_head")
    heat = analyzer.plot_attention_heatmap(results[0], layer=1, head=3)
    weights = results[0].map(1, 3).weights
    behind = np.tri(len(weights), dtype=bool)
    assert not np.nan_to_num(weights[~behind]).any(), "a base looks at none ahead of it, which the picture leaves empty"
    np.testing.assert_array_equal(heat.data[0].z, np.where(behind, weights, np.nan))
    assert "Attention weights of layer 1, head 3" in heat.layout.title.text
    assert "layer 2" in analyzer.plot_attention_heatmap(results[0]).layout.title.text
    for some in (results, results[0]):
        assert isinstance(analyzer.plot_attention_summary(some), go.Figure)


def test_no_sequence_is_refused(striped):
    with pytest.raises(DataError, match="No sequence came"):
        AttentionAnalyzer(striped).analyze([])


# --- memory -----------------------------------------------------------------------------------------------------------


def test_answers_are_kept_until_weights_or_options_change(striped):
    analyzer = AttentionAnalyzer(striped)
    (one,) = analyzer.analyze(SEQUENCE)
    assert analyzer.analyze([SEQUENCE[::-1], SEQUENCE])[1] is one
    assert analyzer.analyze(SEQUENCE, (0, 2))[0] is one, "the same layers by another name"
    for options in ({"aggregation": "max"}, {"head_range": (0, 1)}, {"layer_range": (0, 1)}, {"path": "full"}):
        assert analyzer.analyze(SEQUENCE, **options)[0] is not one
    analyzer.tokenizer = DNATokenizer(special="sep")
    assert analyzer.analyze(SEQUENCE)[0] is not one
    analyzer.tokenizer = TOKENIZER
    with torch.no_grad():
        mixers(striped)[0].in_proj.weight[0, 0] += 0.5
    other = analyzer.analyze(SEQUENCE)[0]
    assert np.nanmax(np.abs(other.maps[0].weights - one.maps[0].weights)) > 1e-6
    assert other.maps[0].model != one.maps[0].model


def test_patterns_are_kept_too(striped):
    analyzer = HyenaAttentionAnalyzer(striped)
    first = analyzer.extract_convolution_patterns([SEQUENCE])
    assert analyzer.extract_convolution_patterns([SEQUENCE])[0] is first[0]
    assert analyzer.extract_convolution_patterns()[0] is not first[0]
    one = analyzer.analyze_positional_patterns(SEQUENCE)
    assert analyzer.analyze_positional_patterns([SEQUENCE])[0] is one[0]


def test_the_least_lately_used_answer_goes_first():
    answers, asked = Answers(limit=3 * 80), []

    def ask(name):
        return answers.get(name, lambda: asked.append(name) or np.zeros(10))

    for name in "abcadab":
        ask(name)
    assert asked == list("abcdb"), "b was forgotten for d, a was not"
    assert len(answers) == 3
    answers.get("huge", lambda: np.zeros(1000))
    assert len(answers) == 3, "what is larger than the memory is not kept, and pushes nothing out"


# --- Hyena ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def gt_model():
    """One layer of order 3 that draws on the G and the T of GT, and hardly on anything else.

    Embeddings are orthogonal and pass the norm as they are. One gate opens at T, one where G stands before; between
    them a filter that passes everything, after them one that fades by half in 5 bases.
    """
    shape = {"vocab_size": 12, "d_model": 8, "n_layers": 1, "sequence_length": 512, "filter_modes": 1}
    torch.manual_seed(0)
    model = HyenaGLTModel(HyenaGLTConfig(**shape, layout="li", hyena_order=3)).double()
    letters = torch.tensor([[1, -1] * 4, [1, 1, -1, -1] * 2, [1, -1, -1, 1] * 2, [1] * 4 + [-1] * 4]).double()
    mixer, table = mixers(model)[0], model.get_input_embeddings().weight
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.zero_()
        table.zero_()[7:11] = letters
        weights, taps = mixer.in_proj.weight.view(4, 8, 8), mixer.short_filter.weight.view(4, 8, 3)
        mixer.in_proj.bias[[0, 8, 16]] = torch.tensor([1, 0.3, 0.3]).double()
        weights[1, 0], taps[1, 0, 2] = letters[3] / 8, 1
        weights[2, 0], taps[2, 0, 1] = letters[2] / 8, 1
        weights[3, 0], taps[3, 0, 1:] = letters.sum(0) / 8, 1
        taps[0, 0, 2] = mixer.out_proj.weight[0, 0] = 1
        mixer.filter_fn.bias[0] = mixer.filter_fn.residues[8] = 1
        mixer.filter_fn.log_rates.fill_(math.log(math.log(2) / 5))
    return model


@pytest.fixture
def annotated():
    """Random sequences, all their GTs, and as many dinucleotides anywhere."""
    generator, sequences, spans = np.random.default_rng(0), [drawn(100, seed) for seed in range(10)], []
    for sequence in sequences:
        places = [place for place in range(99) if sequence[place : place + 2] == "GT"]
        chance = generator.integers(0, 99, len(places)).tolist()
        spans.append(
            [(place, place + 2, "GT") for place in places] + [(place, place + 2, "anywhere") for place in chance]
        )
    return sequences, spans


@pytest.mark.parametrize("background", ["positions", "shifts"])
def test_a_model_that_looks_at_gt_is_found_out(gt_model, annotated, background):
    sequences, spans = annotated
    analyzer = HyenaAttentionAnalyzer(gt_model)
    patterns = analyzer.extract_convolution_patterns(sequences)
    found = analyzer.annotate_genomic_features(sequences, patterns, spans, background)
    table = found.to_dataframe().set_index("feature")
    assert table.loc["GT", "q"] < 0.05 < table.loc["anywhere", "q"]
    assert table.loc["GT", "fold"] > 3
    assert abs(table.loc["anywhere", "effect"]) < 0.5
    assert found.signal == "norm of columns, value path"
    assert (patterns[1].half_lives[0], patterns[1].index) == (pytest.approx(5, rel=1e-9), 1)


def test_only_the_layers_of_the_patterns_are_tested(striped):
    analyzer, spans = HyenaAttentionAnalyzer(striped), {"x": [(2, 6)]}
    positional = analyzer.analyze_positional_patterns(SEQUENCE, layers=[1])
    for patterns, layers in ((positional, [1]), (analyzer.extract_convolution_patterns(), [0, 2]), (None, [0, 1, 2])):
        found = analyzer.annotate_genomic_features(SEQUENCE, patterns, spans, permutations=9)
        assert found.layers.tolist() == layers


def test_attributions_and_arrays_are_tested_by_their_magnitude():
    model = small_model(HyenaGLTForSequenceClassification, STRIPED)
    analyzer, spans = HyenaAttentionAnalyzer(model), {"x": [(2, 6)]}
    records = attribute(model, TOKENIZER, SEQUENCE, target=0, references=2)
    found = analyzer.annotate_genomic_features(SEQUENCE, records, spans, permutations=9)
    assert (found.layers.tolist(), found.signal) == ([-1], f"magnitude of the contribution to {records[0].target}")
    other = analyzer.annotate_genomic_features(SEQUENCE, [-records[0].values], spans, permutations=9)
    assert other.inside[0] == found.inside[0] == pytest.approx(np.abs(records[0].values[2:6]).mean())
    for wrong in ([np.ones(3)], [np.ones(41), np.ones(41)]):
        with pytest.raises(DataError, match="expected one number a base"):
            analyzer.annotate_genomic_features(SEQUENCE, wrong, spans)
    with pytest.raises(DataError, match="of other sequences"):
        analyzer.annotate_genomic_features(SEQUENCE[::-1], records, spans)


def test_long_columns_are_estimated_and_the_record_says_how_well(gt_model, annotated, monkeypatch):
    monkeypatch.setattr(import_module("genomic_lens.interpretability.attention.column_strength"), "EXACT", 50)
    sequences, spans = annotated
    found = HyenaAttentionAnalyzer(gt_model).annotate_genomic_features(sequences, None, spans)
    assert 0 < found.error < 0.2
    assert found.q[0] < 0.05
    assert found.fold[0] > 3


def test_figures_of_patterns(gt_model, annotated):
    sequences, spans = (part[:2] for part in annotated)
    analyzer = HyenaAttentionAnalyzer(gt_model)
    patterns = analyzer.extract_convolution_patterns(sequences)
    figures = [
        analyzer.plot_convolution_patterns(patterns[1]),
        analyzer.plot_positional_patterns(analyzer.analyze_positional_patterns(sequences)),
        analyzer.plot_feature_enrichment(analyzer.annotate_genomic_features(sequences, None, spans)),
    ]
    assert all(figure.layout.meta["alt"] for figure in figures)
