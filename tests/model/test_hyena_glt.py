"""The models: masks travel, weights come back to the bit, gradients reach everything, numbers are as published."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.datasets import GenomicDataset, PaddingCollator
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import DataError, ModelError
from genomic_lens.model.hyena_glt import (
    HyenaGLTForMultiLabelClassification,
    HyenaGLTForRegression,
    HyenaGLTForSequenceClassification,
    HyenaGLTModel,
)
from genomic_lens.model.pretrained import fingerprint

KINDS = [(2, False), (3, False), (2, True), (3, True)]
every_kind = pytest.mark.parametrize(("order", "two_sided"), KINDS)
POOLINGS = ["mean", "last", "first", "position"]
SEQUENCES = ["ACGTTGCAN", "GATTACAGATTACACCGGTTAANNACGTACGT", "TTNGCA", "C"]


def ids_of(*sequences: str, special: str = "none") -> torch.Tensor:
    tokenizer = DNATokenizer(special=special)
    return torch.from_numpy(tokenizer.encode_batch(sequences)["input_ids"])


def answer(model, *sequences: str, **options) -> torch.Tensor:
    with torch.no_grad():
        return model(ids_of(*sequences, **options)).logits


# --- masks travel -----------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("pooling", POOLINGS)
def test_sequence_gives_one_answer_alone_in_a_batch_and_padded_on_either_side(build_model, order, two_sided, pooling):
    model = build_model(hyena_order=order, two_sided=two_sided, pooling=pooling)
    alone = torch.cat([answer(model, sequence) for sequence in SEQUENCES])
    assert alone.std(0).min() > 0.05, "sequences that all look the same to the model would prove nothing"
    dataset = GenomicDataset(SEQUENCES)
    for side in ("left", "right"):
        batch = PaddingCollator(padding_side=side)([dataset[index] for index in range(4)])
        with torch.no_grad():
            masked, unmasked = model(**batch).logits, model(batch["input_ids"]).logits
        torch.testing.assert_close(masked, alone, rtol=0, atol=1e-5)
        torch.testing.assert_close(unmasked, alone, rtol=0, atol=1e-5)


@every_kind
def test_mask_counts_and_not_what_stands_below_it(build_model, order, two_sided):
    model = build_model(hyena_order=order, two_sided=two_sided)
    alone = answer(model, "GATTACA")
    for ids, mask in (("GATTACACCC", [1] * 7 + [0] * 3), ("CCCGATTACA", [0] * 3 + [1] * 7)):
        with torch.no_grad():
            found = model(ids_of(ids), attention_mask=torch.tensor([mask])).logits
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)
        assert (answer(model, ids) - alone).abs().max() > 1e-2


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("order", [2, 3])
def test_n_and_special_tokens_are_not_pooled(build_model, order, pooling):
    """In a causal model nothing before them sees trailing tokens, so all that they could change is what is pooled."""
    model = build_model(hyena_order=order, pooling=pooling)
    alone = answer(model, "GATTACA")
    for found in (answer(model, "GATTACANNN"), answer(model, "GATTACA", special="sep")):
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)
    assert (answer(model, "GATTACAAAA") - alone).abs().max() > 1e-2


@every_kind
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooled_state_is_made_of_the_states_at_bases_alone(build_model, order, two_sided, pooling):
    """From the backbone's states, by hand, with special tokens at both ends and N inside."""
    model = build_model(hyena_order=order, two_sided=two_sided, pooling=pooling)
    ids = ids_of("NGATNTACANN", special="cls_sep")
    bases = (ids[0] >= 7) & (ids[0] <= 10)
    with torch.no_grad():
        states = model.backbone(ids).last_hidden_state[0]
        if pooling == "position":
            states = states * (1 + model.config.sequence_length * model.head.positions.weight[: len(states)])
        states = states[bases]
        pooled = {"last": states[-1], "first": states[0]}.get(pooling, states.mean(0))
        torch.testing.assert_close(model(ids).logits[0], model.head(pooled), rtol=0, atol=1e-5)


def test_where_a_base_stands_counts_if_positions_have_weights(build_model):
    """Without layers in between a mean does not tell an order; with weights it does, from the first token on."""
    orders = ["GATTACA", "ACATTAG"]
    for pooling, differs in (("mean", False), ("position", True)):
        model = build_model(pooling=pooling)
        model.backbone.layers = torch.nn.ModuleList()
        one, other = answer(model, *orders)
        assert ((one - other).abs().max() > 1e-3) == differs


def test_untrained_weights_of_positions_are_a_mean(build_model):
    plain, weighed = build_model(), build_model(pooling="position")
    weighed.head.positions.weight.data.zero_()
    assert torch.equal(answer(plain, "GATTACA"), answer(weighed, "GATTACA"))


def test_given_pooling_mask_is_the_one_that_counts(build_model):
    model, ids = build_model(), ids_of("GATTACA")
    only = torch.zeros(1, 7, dtype=torch.bool)
    only[0, 3] = True
    with torch.no_grad():
        expected = model.head(model.backbone(ids).last_hidden_state[:, 3])
        torch.testing.assert_close(model(ids, pooling_mask=only).logits, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_sequence_of_n_alone_has_a_finite_answer_and_so_have_its_neighbours(build_model, pooling):
    model = build_model(pooling=pooling)
    logits = answer(model, "NNNN", "GATTACA")
    torch.testing.assert_close(logits[0], model.head.score.bias.detach(), rtol=0, atol=1e-6)
    torch.testing.assert_close(logits[1:], answer(model, "GATTACA"), rtol=0, atol=1e-5)
    loss = model(ids_of("NNNN", "GATTACA"), labels=torch.tensor([0, 1])).loss
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@every_kind
def test_causal_model_does_not_see_the_future_and_the_two_sided_one_does(build_model, order, two_sided):
    """Tolerance, because the Fourier transform mixes all positions in its last digits."""
    model = build_model(HyenaGLTModel, hyena_order=order, two_sided=two_sided)
    with torch.no_grad():
        before = model(ids_of("GATTACAGATTACA")).last_hidden_state
        after = model(ids_of("GATTACAGACCACA")).last_hidden_state
    moved = (after - before).abs().amax(dim=(0, 2))
    assert moved[9:].min() > 1e-2
    assert moved[:9].max() > 1e-2 if two_sided else moved[:9].max() < 1e-5


# --- inputs and outputs -----------------------------------------------------------------------------------------------


def test_embeddings_stand_for_their_ids(build_model):
    model, ids = build_model(), ids_of("GATTACA")
    with torch.no_grad():
        found = model(inputs_embeds=model.get_input_embeddings()(ids)).logits
    torch.testing.assert_close(found, answer(model, "GATTACA"), rtol=0, atol=0)


@pytest.mark.parametrize("inputs", [{}, {"input_ids": torch.full((1, 3), 7), "inputs_embeds": torch.zeros(1, 3, 16)}])
def test_either_ids_or_embeddings_are_wanted(build_model, inputs):
    with pytest.raises(ModelError, match="either input_ids or inputs_embeds"):
        build_model()(**inputs)


def test_hidden_states_are_the_stream_before_each_layer_and_the_end(build_model):
    model, ids = build_model(HyenaGLTModel), ids_of("GATTACA")
    with torch.no_grad():
        found = model(ids, output_hidden_states=True)
        stream = model.get_input_embeddings()(ids)
        for layer, state in zip(model.backbone.layers, found.hidden_states[:-1], strict=True):
            torch.testing.assert_close(state, stream)
            stream = layer(stream)
        torch.testing.assert_close(found.hidden_states[-1], model.backbone.ln_f(stream))
    assert torch.equal(found.hidden_states[-1], found.last_hidden_state)
    assert model(ids).hidden_states is None


def test_embedding_table_can_be_replaced(build_model):
    for model in (build_model(), build_model(HyenaGLTModel)):
        table = torch.nn.Embedding(12, 16)
        model.set_input_embeddings(table)
        assert model.get_input_embeddings() is table
        assert any(parameter is table.weight for parameter in model.parameters())


# --- losses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_classification_loss_is_the_mean_over_labelled_sequences(build_model, smoothing):
    model = build_model(label_smoothing=smoothing)
    ids, labels = ids_of(*SEQUENCES), torch.tensor([2, -100, 0, -100])
    found = model(ids, labels=labels)
    log = found.logits.detach().log_softmax(1)[[0, 2]]
    right, uniform = log[[0, 1], [2, 0]], log.mean(1)
    expected = -((1 - smoothing) * right + smoothing * uniform).mean()
    torch.testing.assert_close(found.loss.detach(), expected)
    torch.testing.assert_close(found.loss, model(ids[[0, 2]], labels=labels[[0, 2]]).loss, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (HyenaGLTForSequenceClassification, torch.full((4,), -100)),
        (HyenaGLTForRegression, torch.full((4, 3), torch.nan)),
    ],
)
def test_batch_without_any_label_has_no_loss_and_leaves_the_weights_alone(build_model, kind, labels):
    """A mean over nothing is NaN; one such batch would ruin all weights."""
    model = build_model(kind)
    loss = model(ids_of(*SEQUENCES), labels=labels).loss
    loss.backward()
    assert loss.item() == 0
    assert all(not parameter.grad.any() for parameter in model.parameters())


def test_regression_loss_leaves_missing_values_out(build_model):
    model = build_model(HyenaGLTForRegression, num_classes=2)
    ids, target = ids_of(*SEQUENCES), torch.tensor([[1.0, 2.0], [torch.nan, 0.5], [torch.nan] * 2, [0.0, torch.nan]])
    found = model(ids, labels=target)
    errors = (found.logits.detach() - target)[~target.isnan()]
    torch.testing.assert_close(found.loss.detach(), errors.square().mean())
    found.loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_single_value_a_sequence_is_compared_one_to_one(build_model):
    """(batch, 1) against (batch,) would broadcast to a square, with a loss that looks plausible."""
    model = build_model(HyenaGLTForRegression, num_classes=1)
    target = torch.tensor([1.0, -1.0, 0.5, 2.0])
    found = model(ids_of(*SEQUENCES), labels=target)
    torch.testing.assert_close(found.loss, (found.logits[:, 0] - target).square().mean())


# --- gradients --------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("kind", [HyenaGLTForSequenceClassification, HyenaGLTForRegression])
def test_every_parameter_gets_a_gradient_from_the_task(build_model, kind, order, two_sided):
    model = build_model(kind, hyena_order=order, two_sided=two_sided).train()
    labels = torch.tensor([0, 1, 2, 1]) if kind is HyenaGLTForSequenceClassification else torch.randn(4, 3)
    model(ids_of(*SEQUENCES), labels=labels).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-8, name


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")
@every_kind
def test_gradient_checkpointing_gives_equal_gradients(build_model, order, two_sided):
    """With dropout and one seed, so the second forward must draw the zeros of the first; the calls prove a second."""
    gradients, calls = [], []
    for checkpointing in (False, True):
        model = build_model(hyena_order=order, two_sided=two_sided, dropout=0.3).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.backbone.layers[1].mixer.register_forward_hook(lambda *_, run=checkpointing: calls.append(run))
        torch.manual_seed(1)
        model(ids_of(*SEQUENCES), labels=torch.tensor([0, 1, 2, 1])).loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert calls == [False, True, True]
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, rtol=0, atol=0, msg=name)


@every_kind
def test_half_precision_stays_finite_and_near(build_model, order, two_sided):
    model = build_model(hyena_order=order, two_sided=two_sided)
    ids, labels = ids_of(*SEQUENCES), torch.tensor([0, 1, 2, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(ids, labels=labels)
    found.loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    expected = model(ids).logits
    assert (found.logits.float() - expected).abs().max() < 0.05 * expected.abs().max()


# --- folders ----------------------------------------------------------------------------------------------------------


@every_kind
def test_saved_model_gives_the_same_bits(build_model, tmp_path, order, two_sided):
    model = build_model(hyena_order=order, two_sided=two_sided)
    model.save_pretrained(tmp_path)
    again = HyenaGLTForSequenceClassification.from_pretrained(tmp_path)
    assert not again.training
    assert torch.equal(answer(again, *SEQUENCES), answer(model, *SEQUENCES))
    assert {name: value.tolist() for name, value in again.state_dict().items()} == {
        name: value.tolist() for name, value in model.state_dict().items()
    }


FRESH = """
import sys
import torch
from transformers import AutoModelForSequenceClassification
from genomic_lens.model import HyenaGLTForSequenceClassification, fingerprint

torch.set_num_threads(int(sys.argv[2]))
for folder in sys.argv[3:]:
    ids = torch.load(sys.argv[1])
    for kind in (HyenaGLTForSequenceClassification, AutoModelForSequenceClassification):
        model = kind.from_pretrained(folder)
        with torch.no_grad():
            print(type(model).__name__, fingerprint(model), model(ids).logits.numpy().tobytes().hex())
"""


def test_saved_model_gives_the_same_bits_in_a_fresh_process(build_model, tmp_path, fresh_python):
    ids, folders, expected = ids_of(*SEQUENCES), [], []
    torch.save(ids, tmp_path / "ids.pt")
    for order, two_sided in KINDS:
        model = build_model(hyena_order=order, two_sided=two_sided)
        folders.append(tmp_path / f"{order}{two_sided}")
        model.save_pretrained(folders[-1])
        bits = answer(model, *SEQUENCES).numpy().tobytes().hex()
        expected += [f"HyenaGLTForSequenceClassification {fingerprint(model)} {bits}"] * 2
    found = fresh_python(FRESH, tmp_path / "ids.pt", torch.get_num_threads(), *folders)
    assert found.splitlines() == expected


def test_auto_classes_find_the_model_its_backbone_and_its_configuration(build_model, tmp_path):
    model = build_model()
    model.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), HyenaGLTConfig)
    whole, backbone = AutoModelForSequenceClassification.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)
    assert type(whole) is HyenaGLTForSequenceClassification
    assert type(backbone) is HyenaGLTModel
    assert fingerprint(whole) == fingerprint(model)
    assert fingerprint(backbone.backbone) == fingerprint(model.backbone)


def test_backbone_from_a_folder_gets_a_new_head(build_model, tmp_path):
    backbone = build_model(HyenaGLTModel)
    backbone.save_pretrained(tmp_path)
    model = HyenaGLTForSequenceClassification.from_pretrained(tmp_path)
    assert fingerprint(model.backbone) == fingerprint(backbone.backbone)
    assert model.head.score.weight.isfinite().all()
    assert model.head.score.weight.any()


def test_folder_holds_one_copy_of_the_weights_and_no_pickle(build_model, tmp_path):
    build_model().save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


# --- several labels ---------------------------------------------------------------------------------------------------


def test_unknown_labels_count_in_neither_loss_nor_gradient(build_model):
    """By hand: the mean over the known ones; what is unknown leaves no trace in the head."""
    model = build_model(HyenaGLTForMultiLabelClassification, num_classes=3)
    ids = torch.tensor([[7, 8, 9, 10], [10, 10, 7, 7]])
    labels = torch.tensor([[1.0, float("nan"), 0.0], [0.0, float("nan"), 1.0]])
    answer = model(ids, labels=labels)
    chances = answer.logits.detach().double().sigmoid()
    by_hand = -(chances[0, 0].log() + (1 - chances[0, 2]).log() + (1 - chances[1, 0]).log() + chances[1, 2].log()) / 4
    assert answer.loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    answer.loss.backward()
    gradient = model.head.score.weight.grad
    assert not gradient[1].any()
    assert gradient[[0, 2]].any(1).all()
    assert model(ids, labels=torch.full_like(labels, float("nan"))).loss == 0


@pytest.mark.parametrize("labels", [torch.zeros(2), torch.full((2, 3), 2.0), torch.zeros(2, 1)])
def test_labels_that_are_not_yes_or_no_are_refused(build_model, labels):
    model = build_model(HyenaGLTForMultiLabelClassification, num_classes=3)
    with pytest.raises(DataError, match=r"expected \(2, 3\), 0, 1 or NaN each"):
        model(torch.tensor([[7, 8], [9, 10]]), labels=labels)


# --- parity -----------------------------------------------------------------------------------------------------------

def test_published_model_is_reproduced_at_three_lengths(oracle):
    state = oracle("hyenadna_tiny.npz")
    config = HyenaGLTConfig(vocab_size=16, d_model=32, n_layers=2, sequence_length=258, filter_tables=True)
    model = HyenaGLTModel(config).eval()
    model.load_state_dict({name: torch.from_numpy(state[f"state.{name}"]) for name in model.state_dict()})
    for number in range(3):
        with torch.no_grad():
            found = model(torch.from_numpy(state[f"input_ids.{number}"])).last_hidden_state.numpy()
        expected = state[f"hidden.{number}"]
        assert expected.std() > 0.5
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
