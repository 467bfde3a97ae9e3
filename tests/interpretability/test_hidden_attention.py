"""Hidden attention: the norms of the layer's Jacobian, in bases, with what is masked and what is missing."""

import numpy as np
import pytest
import torch
from torch import nn

from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError, ModelError
from genomic_lens.interpretability.hidden_attention import check_span, hidden_attention, token_slice
from genomic_lens.model.gates import Product
from genomic_lens.model.pretrained import fingerprint
from genomic_lens.model.tracing import mixers, trace

SEQUENCE = "CAGGTAAGTCATTGC"
PATHS = ("value", "gates", "full")


def jacobian(mixer, hidden):
    """Derivative of a mixer's outputs by its inputs, (rows, columns, width, width), by automatic differentiation."""
    found = torch.autograd.functional.jacobian(lambda inputs: mixer(inputs[None])[0], hidden)
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
