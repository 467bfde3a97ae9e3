"""A block is a mixer and an MLP around a residual stream."""

import pytest
import torch
from torch import nn

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.model.layers.blocks import MLP, HyenaBlock
from genomic_lens.model.layers.mixers import hyena_mixer

SMALL = {"d_model": 8, "sequence_length": 16, "n_layers": 1}


@pytest.fixture
def block():
    torch.manual_seed(0)
    block = HyenaBlock(HyenaGLTConfig(**SMALL)).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return block


def test_block_adds_the_mixed_and_then_the_bent_stream(block):
    """Written out with torch's own functions; a norm after the sum, or one norm used twice, would differ."""
    hidden = torch.randn(2, 9, 8, dtype=torch.float64)

    def norm(layer, inputs):
        return nn.functional.layer_norm(inputs, (8,), layer.weight, layer.bias, 1e-5)

    middle = hidden + block.mixer(norm(block.norm1, hidden))
    inner = nn.functional.linear(norm(block.norm2, middle), block.mlp.fc1.weight, block.mlp.fc1.bias)
    bent = nn.functional.gelu(inner, approximate="tanh")
    expected = middle + nn.functional.linear(bent, block.mlp.fc2.weight, block.mlp.fc2.bias)
    torch.testing.assert_close(block(hidden), expected, rtol=0, atol=1e-13)


def test_silent_block_lets_the_stream_pass(block):
    with torch.no_grad():
        for layer in (block.mixer.out_proj, block.mlp.fc2):
            layer.weight.zero_()
            layer.bias.zero_()
    hidden = torch.randn(1, 9, 8, dtype=torch.float64)
    assert torch.equal(block(hidden), hidden)


def test_mlp_works_at_each_position_alone():
    torch.manual_seed(0)
    mlp, hidden, order = MLP(8, 24).double(), torch.randn(1, 7, 8, dtype=torch.float64), torch.randperm(7)
    torch.testing.assert_close(mlp(hidden[:, order]), mlp(hidden)[:, order], rtol=0, atol=1e-14)


def test_another_mixer_takes_the_place_of_the_default_and_gets_the_mask():
    seen = []

    class Mean(nn.Module):
        def forward(self, hidden, mask):
            seen.append(mask)
            return hidden.mean(1, keepdim=True).expand_as(hidden)

    block = HyenaBlock(HyenaGLTConfig(**SMALL), mixer=Mean()).eval()
    mask = torch.ones(1, 5, dtype=torch.bool)
    assert block(torch.randn(1, 5, 8), mask).isfinite().all()
    assert seen == [mask]


def test_every_field_of_the_configuration_reaches_the_mixer():
    mixer = hyena_mixer(
        HyenaGLTConfig(
            d_model=6, sequence_length=40, hyena_order=4, filter_order=10, conv_kernel_size=5, two_sided=True,
            dropout=0.3, filter_features=9, filter_depth=3, filter_frequency=1.5, filter_shift=0.2,
            filter_tables=True,
        )
    )  # fmt: skip
    filters = mixer.filter_fn
    assert (mixer.d_model, mixer.l_max, mixer.order, mixer.two_sided, mixer.dropout.p) == (6, 40, 4, True, 0.3)
    assert mixer.short_filter.kernel_size == (5,)
    assert (filters.l_max, filters.features, len(filters.linears), filters.shift) == (40, 9, 5, 0.2)
    assert filters.pos_emb.z.shape == (1, 40, 9)
    assert filters.frequency.tolist() == [[1.5] * 10]


@pytest.mark.parametrize("place", ["dropout1", "dropout2"])
def test_dropout_stands_on_both_branches(block, place):
    hidden = torch.randn(1, 9, 8, dtype=torch.float64)
    assert torch.equal(block(hidden), block(hidden))
    getattr(block, place).train()
    assert not torch.equal(block(hidden), block(hidden))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_mlp_is_the_same_with_and_without_gradients(dtype):
    torch.manual_seed(0)
    mlp, hidden = MLP(16, 64).to(dtype), torch.randn(2, 30, 16, dtype=dtype)
    learnt = mlp(hidden)
    assert learnt.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(mlp(hidden), learnt, rtol=0, atol={torch.float64: 1e-14}.get(dtype, 1e-6))


def test_who_listens_to_the_activation_or_puts_another_in_its_place_is_heard():
    torch.manual_seed(0)
    mlp, hidden, calls = MLP(4, 8), torch.randn(1, 3, 4), []
    assert type(mlp.activation) is nn.GELU, "attribution rules of other libraries go by this type"
    handle = mlp.activation.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        before = mlp(hidden)
        assert calls == [1]
        handle.remove()
        torch.testing.assert_close(mlp(hidden), before, rtol=0, atol=1e-6)
        assert calls == [1]
        mlp.activation = nn.ReLU()
        assert torch.equal(mlp(hidden), mlp.fc2(mlp.fc1(hidden).relu()))
