"""Hidden attention: the norms of the layer's Jacobian, in bases, with what is masked and what is missing."""

import numpy as np
import pytest
import torch
from torch import nn

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.interpretability.attention.hidden_attention import KINDS, check_span, hidden_attention, token_slice
from genomic_lens.model.chunks.routing import frozen_routing
from genomic_lens.model.hyena_dna import HyenaDNAForCausalLM
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.model.layers.gates import Product
from genomic_lens.model.mixing.tracing import mixers, trace
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaForCausalLM
from genomic_lens.records import HiddenAttention
from tests.interpretability.test_architectures import ALL
from tests.model.chunks.test_stages import small_model

SEQUENCE = "CAGGTAAGTCATTGC"
PATHS = ("value", "gates", "full")


def jacobian(mixer, hidden):
    """Derivative of a mixer's outputs by its inputs, (rows, columns, width, width), by automatic differentiation."""
    found = torch.autograd.functional.jacobian(lambda inputs: mixer(inputs[None])[0], hidden, vectorize=True)
    return found.permute(0, 2, 1, 3)


def jacobian_with_held_gates(mixer, hidden):
    """The same while each product holds its gate, the second factor, where it is."""
    gates = [part for part in mixer.modules() if isinstance(part, Product)]
    hold = [part.register_forward_hook(lambda _, inputs, __: inputs[0] * inputs[1].detach()) for part in gates]
    found = jacobian(mixer, hidden)
    for handle in hold:
        handle.remove()
    return found


def block_norms(model, ids, layer):
    """Norms of the blocks of each path of a layer at the hidden states that a model has there."""
    hidden = trace(model.eval(), torch.from_numpy(ids)[None]).entered(layer)
    mixer = mixers(model)[layer]
    value, full = jacobian_with_held_gates(mixer, hidden), jacobian(mixer, hidden)
    blocks = {"value": value, "gates": full - value, "full": full}
    return {path: block.norm(dim=(2, 3)).numpy() for path, block in blocks.items()}


@pytest.mark.parametrize("two_sided", [False, True], ids=["causal", "two-sided"])
@pytest.mark.parametrize("order", [2, 3])
def test_maps_are_the_norms_of_the_jacobian(make_model, tokenizer, order, two_sided):
    model = make_model(hyena_order=order, two_sided=two_sided, dtype=torch.float64)
    for record in hidden_attention(model, tokenizer, SEQUENCE, paths=PATHS):
        expected = block_norms(model, tokenizer.encode(SEQUENCE), record.layer)
        np.testing.assert_allclose(record.weights, expected[record.path], atol=1e-10 * expected["full"].max())
        share = np.linalg.norm(expected[record.path]) / np.linalg.norm(expected["full"])
        assert record.share == pytest.approx(share, rel=1e-8)
        assert share > 0.02


def test_a_causal_model_looks_back_only_and_a_two_sided_one_both_ways(make_model, tokenizer):
    above = np.triu_indices(len(SEQUENCE), k=1)
    for two_sided, looks_ahead in ((False, False), (True, True)):
        model = make_model(two_sided=two_sided, dtype=torch.float64)
        weights = hidden_attention(model, tokenizer, SEQUENCE, layers=[0], paths=["full"])[0].weights
        assert (weights[above].max() > 1e-3 * weights.max()) is np.bool_(looks_ahead)


def test_records_come_layer_by_layer_and_path_by_path(make_model, tokenizer):
    model = make_model(n_layers=3)
    records = hidden_attention(model, tokenizer, SEQUENCE, layers=[2, 0], paths=("full", "value"))
    assert [(record.layer, record.path) for record in records] == [(2, "full"), (2, "value"), (0, "full"), (0, "value")]
    assert {(record.model, record.kind, record.sequence) for record in records} == {
        (fingerprint(model), "norm", SEQUENCE)
    }
    assert [record.layer for record in hidden_attention(model, tokenizer, SEQUENCE)] == [0, 1, 2]
    assert records[0].share == 1


def test_a_window_is_cut_from_the_whole_map(make_model, tokenizer):
    model = make_model(dtype=torch.float64)
    whole = hidden_attention(model, tokenizer, SEQUENCE, layers=[1], paths=PATHS)
    for rows, columns in (((9, 15), (2, 5)), ((11, 12), (0, 15)), ((3, 15), (7, 8))):
        parts = hidden_attention(model, tokenizer, SEQUENCE, [1], PATHS, rows=rows, columns=columns)
        window = np.ix_(range(*rows), range(*columns))
        for part, full in zip(parts, whole, strict=True):
            assert (part.rows, part.columns) == (rows, columns)
            np.testing.assert_allclose(part.weights, full.weights[window], atol=1e-12)
            share = np.linalg.norm(full.weights[window]) / np.linalg.norm(whole[-1].weights[window])
            assert part.share == pytest.approx(share, rel=1e-8)


def test_n_is_nan_as_row_and_as_column_and_nothing_else(make_model, tokenizer):
    """The numbers of the other bases are those of the Jacobian with N in place: N is masked, not left out."""
    sequence = "CAGNTAAGTCNNTGC"
    model = make_model(dtype=torch.float64)
    weights = hidden_attention(model, tokenizer, sequence, layers=[1], paths=["full"])[0].weights
    known = np.array(list(sequence)) != "N"
    assert (np.isnan(weights) == ~np.outer(known, known)).all()
    expected = block_norms(model, tokenizer.encode(sequence), 1)["full"]
    np.testing.assert_allclose(weights[np.ix_(known, known)], expected[np.ix_(known, known)], atol=1e-9)


@pytest.mark.parametrize("special", ["sep", "cls_sep"])
def test_special_tokens_leave_base_coordinates(make_model, special):
    """With [CLS], base 0 is token 1; the rows and columns of the special tokens are in no map."""
    tokenizer, model = DNATokenizer(special=special), make_model(dtype=torch.float64)
    first = 1 if special == "cls_sep" else 0
    bases = slice(first, first + len(SEQUENCE))
    expected = block_norms(model, tokenizer.encode(SEQUENCE), 0)["value"]
    record = hidden_attention(model, tokenizer, SEQUENCE, layers=[0])[0]
    np.testing.assert_allclose(record.weights, expected[bases, bases], atol=1e-9)
    part = hidden_attention(model, tokenizer, SEQUENCE, layers=[0], rows=(4, 6), columns=(1, 4))[0]
    np.testing.assert_allclose(part.weights, record.weights[4:6, 1:4], atol=1e-12)


def test_the_model_is_left_as_it_was(make_model, tokenizer):
    model = make_model(dropout=0.5).train()
    model.backbone.layers[0].eval()
    flags = [part.training for part in model.modules()]
    first, second = (hidden_attention(model, tokenizer, SEQUENCE)[1].weights for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert [part.training for part in model.modules()] == flags
    assert not any(part._forward_hooks for part in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("span", [(3, 3), (5, 2), (-1, 4), (0, 16), (15, 16)])
@pytest.mark.parametrize("side", ["rows", "columns"])
def test_a_span_outside_the_sequence_is_refused(make_model, tokenizer, side, span):
    with pytest.raises(DataError, match="expected a span within 0–15"):
        hidden_attention(make_model(), tokenizer, SEQUENCE, **{side: span})


def test_what_a_model_does_not_have_is_refused(make_model, tokenizer):
    with pytest.raises(ModelError, match="has 2 that can be traced"):
        hidden_attention(make_model(), tokenizer, SEQUENCE, layers=[2])
    with pytest.raises(ModelError, match="'attention' came; expected one of value, gates, full"):
        hidden_attention(make_model(), tokenizer, SEQUENCE, paths=["attention"])
    without = make_model()
    without.backbone.layers = nn.ModuleList()
    with pytest.raises(ModelError, match="has 0 that can be traced"):
        hidden_attention(without, tokenizer, SEQUENCE)


def test_spans_and_tokens():
    """A span is covered by every token that overlaps it; a special token, with its empty span, covers nothing."""
    assert check_span(None, 9) == (0, 9)
    assert check_span((2, 9), 9) == (2, 9)
    words = np.array([[0, 0], [0, 3], [3, 6], [6, 9], [9, 9]])
    assert [token_slice(words, span) for span in ((0, 9), (3, 6), (2, 4), (8, 9))] == [
        slice(1, 4), slice(2, 3), slice(1, 3), slice(3, 4)
    ]  # fmt: skip


# --- kinds of maps, in every architecture -----------------------------------------------------------------------------

MORE = {"order 3": {"hyena_order": 3, "n_layers": 2}, "words": {"kmer_sizes": (3, 4), "n_layers": 2}}
SHAPES = ALL | MORE
every_shape = pytest.mark.parametrize("shape", SHAPES)
both_sides = pytest.mark.parametrize("two_sided", [False, True], ids=["causal", "two-sided"])


def shaped(shape, two_sided=False):
    return small_model(HyenaGLTForSequenceClassification, SHAPES[shape], two_sided=two_sided)


def seen_by(model, tokenizer):
    return trace(model, torch.from_numpy(tokenizer.encode(SEQUENCE))[None])


@every_shape
@both_sides
def test_one_call_gives_records_of_every_kind(tokenizer, shape, two_sided, tmp_path):
    model = shaped(shape, two_sided)
    for kind in KINDS:
        records = hidden_attention(model, tokenizer, SEQUENCE, kind=kind)
        assert {record.layer for record in records} == set(range(model.config.n_layers))
        for record in records:
            assert record.kind == (kind if kind != "weights" or record.head is not None else "norm")
            assert np.isfinite(record.weights).all()
            assert record.weights.shape == (15, 15)
            assert 0.05 < record.share < 2
            assert record.error < 0.2
        again = HiddenAttention.load(records[-1].save(tmp_path / f"{kind}.npz"))
        assert again.to_dict() == records[-1].to_dict()


@every_shape
@both_sides
def test_rows_of_contributions_add_up_to_the_output_in_its_own_direction(tokenizer, shape, two_sided):
    model = shaped(shape, two_sided)
    seen = seen_by(model, tokenizer)
    for record in hidden_attention(model, tokenizer, SEQUENCE, kind="contribution"):
        moved = (seen.mixed(record.layer) - seen.operator(record.layer).offset).norm(dim=-1)
        np.testing.assert_allclose(record.weights.sum(1), moved, rtol=1e-9, atol=1e-12)
        assert (record.direction, record.signed) == ("own output", True)
        assert record.error < 1e-12
        part = hidden_attention(
            model, tokenizer, SEQUENCE, [record.layer], rows=(3, 9), columns=(4, 6), kind="contribution"
        )
        np.testing.assert_allclose(part[0].weights, record.weights[3:9, 4:6], atol=1e-12)


@every_shape
def test_contributions_to_a_class_are_what_each_base_adds_to_it_to_first_order(tokenizer, shape):
    """All cells together: the slope of the answer as the layer's output, less its constant, is taken away."""
    model, ids = shaped(shape), torch.from_numpy(tokenizer.encode(SEQUENCE))[None]
    seen = seen_by(model, tokenizer)
    for record in hidden_attention(model, tokenizer, SEQUENCE, kind="contribution", direction=2):
        mixer = mixers(model)[record.layer]
        constant = seen.on_chunks(record.layer).offset
        answers = []
        for step in (1e-5, -1e-5):
            with frozen_routing(model, input_ids=ids), torch.no_grad():
                scale = mixer.register_forward_hook(
                    lambda _, __, out, by=step, constant=constant: out + by * (out - constant)
                )
                logits = model(input_ids=ids).logits[0]
                scale.remove()
            answers.append(float(logits[2] - logits.mean()))
        slope = (answers[0] - answers[1]) / 2e-5
        assert record.weights.sum() == pytest.approx(slope, rel=1e-4, abs=1e-8)
        assert record.direction == "LABEL_2"


@every_shape
@both_sides
def test_signed_cells_are_traces_of_the_blocks(tokenizer, shape, two_sided):
    model = shaped(shape, two_sided)
    seen, everywhere = seen_by(model, tokenizer), slice(0, len(SEQUENCE))
    for record in hidden_attention(model, tokenizer, SEQUENCE, paths=PATHS, kind="signed"):
        blocks = seen.operator(record.layer).blocks(everywhere, everywhere, record.path).detach()
        expected = blocks.diagonal(dim1=-2, dim2=-1).sum(-1)
        np.testing.assert_allclose(record.weights, expected, atol=1e-10)
        assert record.weights.min() < -1e-3
        assert record.share == pytest.approx(seen.operator(record.layer).share(record.path), rel=1e-9)


def test_the_diagonal_form_says_how_far_it_is_off(tokenizer):
    model = shaped("order 3")
    for paths in (PATHS, ("gate 0", "gate 2")):
        exact = hidden_attention(model, tokenizer, SEQUENCE, paths=paths)
        found = hidden_attention(model, tokenizer, SEQUENCE, paths=paths, kind="diagonal")
        for record, norms in zip(found, exact, strict=True):
            off = np.linalg.norm(record.weights - norms.weights) / np.linalg.norm(norms.weights)
            assert record.error == pytest.approx(off, rel=1e-9)
            assert off > 1e-4
            assert record.share == norms.share


@both_sides
def test_weights_where_there_is_attention_and_norms_elsewhere(tokenizer, two_sided):
    model = shaped("modal-attention-hyena", two_sided)
    records = hidden_attention(model, tokenizer, SEQUENCE, kind="weights")
    assert [(record.layer, record.kind, record.head) for record in records] == [
        (0, "norm", None), (1, "weights", 0), (1, "weights", 1), (1, "weights", 2), (1, "weights", 3),
        (2, "norm", None), (3, "norm", None),
    ]  # fmt: skip
    ids = torch.from_numpy(tokenizer.encode(SEQUENCE))[None]
    expected = model.backbone.layers[1].mixer.weights(trace(model, ids).entered(1)[None])[0].detach()
    for record in records[1:5]:
        np.testing.assert_allclose(record.weights, expected[record.head], atol=1e-12)
        np.testing.assert_allclose(record.weights.sum(1), 1)


def test_heads_asked_for_have_a_map_each_and_other_layers_one(tokenizer):
    model = shaped("modal-attention-hyena")
    seen, everywhere = seen_by(model, tokenizer), slice(0, len(SEQUENCE))
    records = hidden_attention(model, tokenizer, SEQUENCE, [0, 1], kind="contribution", heads=[3, 1])
    assert [(record.layer, record.head) for record in records] == [(0, None), (1, 3), (1, 1)]
    each = hidden_attention(model, tokenizer, SEQUENCE, [1], kind="contribution", heads=range(4), direction=0)
    (whole,) = hidden_attention(model, tokenizer, SEQUENCE, [1], kind="contribution", direction=0)
    np.testing.assert_allclose(sum(record.weights for record in each), whole.weights, atol=1e-12)
    full = seen.operator(1).norms(everywhere, everywhere, "full")
    for record in hidden_attention(model, tokenizer, SEQUENCE, [1], paths=("full",), heads=[2]):
        assert record.share == pytest.approx(np.linalg.norm(record.weights) / float(full.norm()), rel=1e-9)
    with pytest.raises(ModelError, match="Head 4 was asked for; this layer has 4"):
        hidden_attention(model, tokenizer, SEQUENCE, heads=[4])


@pytest.mark.parametrize("kind", KINDS)
def test_masked_bases_are_nan_in_every_kind(tokenizer, kind):
    sequence, model = "CAGNTAAGTCNNTGC", shaped("se-mr-li-attention")
    known = np.array(list(sequence)) != "N"
    for record in hidden_attention(model, tokenizer, sequence, kind=kind):
        assert (np.isnan(record.weights) == ~np.outer(known, known)).all()


def test_published_models_have_maps_too(tokenizer, build_hyena_dna):
    shape = {"vocab_size": 12, "d_model": 8, "n_layers": 3, "num_heads": 2, "sequence_length": 64}
    torch.manual_seed(0)
    for model in (build_hyena_dna(HyenaDNAForCausalLM), StripedHyenaForCausalLM(StripedHyenaConfig(**shape)).eval()):
        for kind in KINDS:
            records = hidden_attention(model, tokenizer, SEQUENCE, kind=kind)
            assert {record.layer for record in records} == set(range(model.config.n_layers))
            assert max(record.error for record in records) < (0.2 if kind == "diagonal" else 1e-4)


def test_a_window_ahead_of_a_causal_layer_is_empty_and_has_no_share(tokenizer):
    (record,) = hidden_attention(shaped("order 3"), tokenizer, SEQUENCE, [0], rows=(0, 4), columns=(10, 15))
    assert record.weights.max() < 1e-12
    assert np.isfinite(record.share)


def test_kinds_that_a_path_does_not_have_are_refused(tokenizer):
    model = shaped("se-mr-li-attention")
    with pytest.raises(ConfigurationError, match="Kind 'sum' came; expected one of norm, diagonal"):
        hidden_attention(model, tokenizer, SEQUENCE, kind="sum")
    for kind in ("weights", "contribution"):
        with pytest.raises(ConfigurationError, match=f"{kind} maps belong to the value path alone"):
            hidden_attention(model, tokenizer, SEQUENCE, paths=("value", "full"), kind=kind)
    with pytest.raises(ModelError, match="full path of attention has no channel-diagonal form"):
        hidden_attention(model, tokenizer, SEQUENCE, paths=("full",), kind="diagonal")
    with pytest.raises(DataError, match=r"direction of shape \(3,\) came; expected \(16,\)"):
        hidden_attention(model, tokenizer, SEQUENCE, kind="contribution", direction=np.zeros(3))


def test_records_of_before_still_load(tmp_path):
    """Files that know nothing of heads, directions and layers."""
    import json

    header = {
        "record": "HiddenAttention", "sequence": "ACGT", "rows": [3, 4], "columns": [1, 3], "layer": 1, "path": "full",
        "share": 0.5, "kind": "norm", "model": "abc",
    }  # fmt: skip
    np.savez_compressed(tmp_path / "old.npz", header=np.array(json.dumps(header)), weights=np.array([[1.0, 2.0]]))
    record = HiddenAttention.load(tmp_path / "old.npz")
    assert (record.head, record.direction, record.layers, record.error, record.rows) == (None, "", None, 0.0, (3, 4))
