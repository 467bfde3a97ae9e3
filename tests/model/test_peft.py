"""LoRA by PEFT: adapters alone learn, and merged they are the model they were."""

import peft
import pytest
import torch

from genomic_lens.model.hyena_dna import (
    HyenaDNAConfig,
    HyenaDNAForCausalLM,
    HyenaDNAForSequenceClassification,
    HyenaDNAModel,
)
from genomic_lens.model.mixing.tracing import trace
from genomic_lens.model.striped_hyena import StripedHyenaConfig, StripedHyenaModel

IDS = torch.tensor([[7, 8, 9, 10, 7, 9], [10, 10, 9, 8, 7, 7]])
PLACES = ["in_proj", "out_proj", "fc1", "fc2"]


@pytest.mark.parametrize(
    ("kind", "task"), [(HyenaDNAForCausalLM, "CAUSAL_LM"), (HyenaDNAForSequenceClassification, "SEQ_CLS")]
)
def test_adapters_learn_and_merge(tmp_path, kind, task):
    torch.manual_seed(0)
    model = kind(HyenaDNAConfig(d_model=16, sequence_length=32, num_classes=2, initializer_range=0.3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    heads = ["head"] if task == "SEQ_CLS" else None
    options = peft.LoraConfig(r=4, target_modules=PLACES, task_type=task, modules_to_save=heads)
    tuned = peft.get_peft_model(model, options).train()
    labels = IDS if task == "CAUSAL_LM" else torch.tensor([0, 1])
    optimizer = torch.optim.Adam([weight for weight in tuned.parameters() if weight.requires_grad], lr=0.02)
    losses = []
    for _ in range(30):
        loss = tuned(input_ids=IDS, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    if task == "CAUSAL_LM":
        assert tuned.get_base_model().generate(IDS, max_new_tokens=3).shape == (2, 9)
    adapters = [weight for name, weight in tuned.named_parameters() if "lora_B" in name]
    assert len(adapters) == 2 * len(PLACES)
    assert all(weight.any() for weight in adapters)

    with torch.no_grad():
        expected = tuned.eval()(input_ids=IDS).logits
        tuned.save_pretrained(tmp_path)
        merged = tuned.merge_and_unload()
        torch.testing.assert_close(merged(IDS).logits, expected, rtol=1e-4, atol=1e-4)
    assert type(merged) is kind
    changed = {name for name, value in merged.state_dict().items() if not torch.equal(value, before[name])}
    kept = {name for name in before if name.split(".")[-2] not in PLACES and not name.startswith("head.")}
    assert kept.isdisjoint(changed)
    assert {name.split(".")[-2] for name in changed} >= set(PLACES)


def test_adapters_come_back_from_their_folder(tmp_path):
    torch.manual_seed(0)
    HyenaDNAModel(HyenaDNAConfig(d_model=16, sequence_length=32)).save_pretrained(tmp_path / "base")
    options = peft.LoraConfig(r=2, target_modules=PLACES, init_lora_weights=False)
    tuned = peft.get_peft_model(HyenaDNAModel.from_pretrained(tmp_path / "base"), options).eval()
    tuned.save_pretrained(tmp_path / "adapters")
    again = peft.PeftModel.from_pretrained(HyenaDNAModel.from_pretrained(tmp_path / "base"), tmp_path / "adapters")
    with torch.no_grad():
        plain = HyenaDNAModel.from_pretrained(tmp_path / "base")(IDS).last_hidden_state
        found, expected = again.eval()(IDS).last_hidden_state, tuned(IDS).last_hidden_state
    assert torch.equal(found, expected)
    assert not torch.allclose(found, plain, atol=1e-3)


def test_an_operator_knows_of_adapters_that_are_not_merged():
    torch.manual_seed(0)
    config = StripedHyenaConfig(
        vocab_size=12, d_model=16, num_heads=4, sequence_length=32, layout="hyena-attention", n_layers=2
    )
    model = StripedHyenaModel(config)
    tuned = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["in_proj", "qkv_proj", "out_proj"]))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    seen = trace(tuned.get_base_model(), IDS)
    for layer in (0, 1):
        operator = seen.operator(layer)
        torch.testing.assert_close(
            operator.matvec(seen.entered(layer)) + operator.offset, seen.mixed(layer), rtol=0, atol=1e-4
        )
