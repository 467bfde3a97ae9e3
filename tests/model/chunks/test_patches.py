"""Patches by entropy: parity with the public code, thresholds, limits, padding, both strands."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.errors import ConfigurationError, ModelError
from genomic_lens.model.chunks.patches import (
    MarkovTable,
    entropies,
    model_entropies,
    no_longer_than,
    patch_index,
    patch_starts,
    symmetric_entropies,
    threshold_for,
    top_starts,
)
from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification
from genomic_lens.model.token_models import HyenaGLTForCausalLM

PUBLIC = [("glob", "global", 1.2), ("mono", "monotonic", 0.3)]


def lengths(start):
    """Of the patches in each row."""
    return [np.diff([*np.flatnonzero(row), len(row)]).tolist() for row in start.numpy()]


def without_padding(rows):
    """Lengths from the public code, where 0 pads."""
    return [[size for size in row.tolist() if size] for row in rows]


def with_the_next(state):
    """Entropies for its rows that hold the token after the last one, too; the entropy after that decides nothing."""
    return functional.pad(torch.from_numpy(state["H"]), (0, 1))


def turned(ids):
    """Numbers of letters of the other strand."""
    return 3 - ids.flip(1)


# --- parity ---------------------------------------------------------------------------------------------------------


def test_entropies_equal_the_public_code(oracle):
    state = oracle("blt_patch.npz")
    np.testing.assert_allclose(entropies(torch.from_numpy(state["logits"])), state["H"], atol=1e-6)


@pytest.mark.parametrize(("name", "mode", "threshold"), PUBLIC)
def test_starts_and_lengths_equal_the_public_code(oracle, name, mode, threshold):
    state = oracle("blt_patch.npz")
    start = patch_starts(torch.from_numpy(state["H"]), threshold, mode)
    assert lengths(start) == without_padding(state[f"{name}_False_len"])
    for row, ids in zip(start, state[f"{name}_False_ids"], strict=True):
        assert row.nonzero().flatten().tolist() == [place for place in ids.tolist() if place < 40]
    longer = patch_starts(with_the_next(state), threshold, mode)
    assert lengths(longer) == without_padding(state[f"{name}_True_len"])


def test_numbers_of_patches_equal_the_public_code(oracle):
    state = oracle("blt_patch.npz")
    start = patch_starts(torch.from_numpy(state["H"]), 1.2)
    np.testing.assert_array_equal(patch_index(start), state["patch_ids"])


def test_long_patches_are_cut_as_in_the_public_code(oracle):
    state = oracle("blt_patch.npz")
    found = lengths(patch_starts(with_the_next(state), 1.2, longest=6))
    assert found == without_padding(state["maxlen6"])
    assert max(map(max, without_padding(state["glob_True_len"]))) > 6 == max(map(max, found))


def test_a_fixed_number_of_patches_is_that_of_the_public_code(oracle):
    state = oracle("blt_patch.npz")
    assert lengths(top_starts(with_the_next(state), 4)) == without_padding(state["topk_True_len"])


# --- padding and limits ---------------------------------------------------------------------------------------------

WAYS = {
    "global": lambda entropy, **options: patch_starts(entropy, 0.5, "global", **options),
    "monotonic": lambda entropy, **options: patch_starts(entropy, 0.5, "monotonic", **options),
    "symmetric": lambda entropy, **options: patch_starts(entropy, 0.95, symmetric=True, **options),
    "top": lambda entropy, **options: top_starts(entropy, 3.5, **options),
}


@pytest.mark.parametrize("longest", [None, 4])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 2, 3, 12, 19])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_move_a_boundary(side, size, way, longest):
    torch.manual_seed(size)
    entropy, mask = torch.rand(2, 20), torch.ones(2, 20, dtype=torch.bool)
    place = slice(20 - size, None) if side == "left" else slice(size)
    mask[0] = False
    mask[0, place] = True
    start = WAYS[way](entropy, mask=mask, longest=longest)
    assert start.sum() < mask.sum()
    assert torch.equal(start[:1, place], WAYS[way](entropy[:1, place], longest=longest))
    assert torch.equal(start[1:], WAYS[way](entropy[1:], longest=longest))
    assert not (start & ~mask).any()
    index = patch_index(start, mask)
    assert torch.equal(index[:1, place], patch_index(start[:1, place]))
    assert (index[~mask] == -1).all()


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("longest", range(1, 7))
def test_no_patch_is_too_long_and_short_ones_stay(longest, symmetric):
    start = torch.zeros(1, sum(range(1, 30)), dtype=torch.bool)
    start[0, np.cumsum(range(29))] = True
    found = no_longer_than(start, longest, symmetric=symmetric)
    assert max(lengths(found)[0]) == longest
    assert found[start].all()
    short = sum(range(1, longest + 1))
    assert torch.equal(found[:, :short], start[:, :short])
    if symmetric:
        mirrored = no_longer_than(patches_reversed(start), longest, symmetric=True)
        assert torch.equal(found, patches_reversed(mirrored))
    else:
        cut = [[longest] * (size // longest) + [size % longest] * (size % longest > 0) for size in range(1, 30)]
        assert lengths(found)[0] == sum(cut, [])


def patches_reversed(start):
    """The same patches, read from the other end."""
    return torch.cat([start[:, :1], start[:, 1:].flip(1)], 1)


@pytest.mark.parametrize(("way", "always"), [("global", 2), ("monotonic", 3), ("symmetric", 1), ("top", 2)])
def test_the_first_tokens_begin_patches_although_nothing_is_hard_to_guess(way, always):
    start = WAYS[way](torch.linspace(0.2, 0, 6)[None])
    assert start.nonzero()[:, 1].tolist() == list(range(always))


def test_what_belongs_to_no_patch_is_not_cut():
    start = torch.tensor([[False, False, False, True, False, False]])
    assert no_longer_than(start, 2).nonzero()[:, 1].tolist() == [3, 5]
    assert no_longer_than(start, 2, symmetric=True).nonzero()[:, 1].tolist() == [3, 4, 5]


def test_thresholds_solved_by_hand():
    """Four values, of which two are above the second; three steps of 1, 2, 3, of which one is above the second."""
    entropy, mask = torch.tensor([[100.0, 1.0, 2.0, 4.0, 7.0]]), torch.tensor([[False, True, True, True, True]])
    assert threshold_for(entropy, 2, mask=mask) == 2
    assert threshold_for(entropy, 2, "monotonic", mask) == 2
    assert threshold_for(entropy, 1.01, mask=mask) == 1


@pytest.mark.parametrize("wanted", [1.5, 3, 8])
@pytest.mark.parametrize("mode", ["global", "monotonic"])
def test_a_threshold_gives_the_wanted_mean_length(mode, wanted):
    """Half of the positions are padding, with entropies of another kind."""
    torch.manual_seed(0)
    entropy, mask = torch.rand(2, 50_000), torch.ones(2, 50_000, dtype=torch.bool)
    entropy[:, :25_000] += torch.arange(25_000) % 2 * 5
    mask[:, :25_000] = False
    start = patch_starts(entropy, threshold_for(entropy, wanted, mode, mask), mode, mask)
    assert 50_000 / start.sum().item() == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("mean_length", [1, 2.5, 4, 100])
def test_a_fixed_number_of_patches_holds_in_every_row(mean_length):
    torch.manual_seed(0)
    entropy = torch.cat([torch.rand(3, 50), torch.zeros(1, 50)])
    found = top_starts(entropy, mean_length).sum(1).tolist()
    assert found == [max(2, int(50 / mean_length))] * 4


# --- counts ---------------------------------------------------------------------------------------------------------


def test_a_table_counts_words_and_skips_what_it_does_not_know():
    ids = torch.tensor([[0, 1, 2, 0, 1, 3, -1, 0, 1, 2, 4, 4, 1]])
    table = MarkovTable(order=2).fit(ids)
    assert table.counts[0 * 4 + 1].tolist() == [0, 0, 2, 1]
    assert table.counts.sum() == 5
    found = table.entropies(ids)[0]
    chances = torch.tensor([1, 1, 3, 2]) / 7
    assert found[1].item() == pytest.approx(-(chances * chances.log()).sum().item(), abs=1e-6)
    assert found[[0, 7, 12]].tolist() == pytest.approx([math.log(4)] * 3), "cut off: everything may follow"
    assert found[[6, 10, 11]].tolist() == [0, 0, 0], "no letter: nothing new follows"


@pytest.mark.parametrize("order", [0, 1, 3])
def test_counts_equal_those_of_a_loop_in_one_go_or_in_parts(order):
    torch.manual_seed(0)
    ids = torch.randint(-1, 6, (4, 100), dtype=torch.int16)
    expected = torch.zeros(5**order, 5, dtype=torch.long)
    for row in ids.tolist():
        for end in range(max(order, 1), 100):
            word = row[end - order : end + 1]
            if all(0 <= letter < 5 for letter in word):
                expected[int("".join(map(str, word[:-1])) or "0", 5), word[-1]] += 1
    if order == 0:  # what follows no letter is counted, too
        assert MarkovTable(0, letters=5).fit(ids).counts.sum() == ((ids[:, 1:] >= 0) & (ids[:, 1:] < 5)).sum()
    assert torch.equal(MarkovTable(order, letters=5).fit(ids).counts, expected)
    assert torch.equal(MarkovTable(order, letters=5).fit(ids[:1]).fit(ids[1:]).counts, expected)


def test_a_table_is_saved_with_its_model_and_survives_half_precision():
    torch.manual_seed(0)
    ids = torch.randint(4, (1, 300_000))
    model = torch.nn.ModuleDict({"table": MarkovTable(1).fit(ids), "linear": torch.nn.Linear(2, 2)}).half()
    other = torch.nn.ModuleDict({"table": MarkovTable(1), "linear": torch.nn.Linear(2, 2)})
    other.load_state_dict(model.state_dict())
    assert torch.equal(other["table"].counts, MarkovTable(1).fit(ids).counts)
    assert torch.equal(other["table"].entropies(ids), MarkovTable(1).fit(ids).entropies(ids))


def test_repeats_get_long_patches_and_random_bases_short_ones():
    torch.manual_seed(0)
    repeat, noise = torch.arange(4).repeat(500)[None], torch.randint(4, (1, 2000))
    table = MarkovTable(order=3).fit(torch.cat([repeat, repeat, noise], 1))
    start = [patch_starts(table.entropies(ids), 0.7, longest=50).sum().item() for ids in (repeat, noise)]
    assert start[0] < 60
    assert start[1] > 1000


def test_a_run_of_n_is_one_patch(tokenizer):
    ids = torch.from_numpy(tokenizer.encode_letters("ACGTACGT" + "N" * 50 + "ACGTACGT")).long()[None]
    for entropy in (MarkovTable(2).entropies(ids - 7), model_entropies(language_model(), ids)):
        start = patch_starts(entropy, 0.5)[0]
        assert start[:9].all()
        assert not start[9:59].any()
        assert start[59:].all()


# --- language models ------------------------------------------------------------------------------------------------


def language_model():
    torch.manual_seed(0)
    return HyenaGLTForCausalLM(HyenaGLTConfig(vocab_size=12, d_model=16, n_layers=1, sequence_length=80, dropout=0.5))


def test_a_model_guesses_among_letters_alone():
    """Trained on nothing but one dinucleotide; its favourite by far is a token that is no base."""
    model = language_model().train()
    with torch.no_grad():
        model.lm_head.weight[:] = 0
        model.lm_head.weight[3] = 100
    ids = torch.tensor([[7, 8, 9, 10]])
    torch.testing.assert_close(model_entropies(model, ids), torch.full((1, 4), math.log(4)))
    assert model.training, "the model's own mode comes back"


def test_entropies_of_a_model_are_those_of_its_logits_without_gradients():
    model, ids = language_model().eval(), torch.randint(7, 11, (2, 30))
    chances = model(ids).logits[..., 7:11].double().softmax(-1)
    found = model_entropies(model, ids)
    torch.testing.assert_close(found.double(), -(chances * chances.log()).sum(-1), rtol=0, atol=1e-6)
    assert not found.requires_grad


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_change_what_a_model_expects(side):
    model, ids = language_model(), torch.randint(7, 11, (1, 20))
    pad = (5, 0) if side == "left" else (0, 5)
    padded, mask = functional.pad(ids, pad, value=8), functional.pad(torch.ones_like(ids), pad)
    found = model_entropies(model, padded, mask)[mask.bool()]
    torch.testing.assert_close(found, model_entropies(model, ids)[0], rtol=0, atol=1e-5)


def test_a_model_that_does_not_score_tokens_is_refused(build_model):
    with pytest.raises(ModelError, match=r"shape \(1, 3\) .* pass a language model"):
        model_entropies(build_model(HyenaGLTForSequenceClassification), torch.tensor([[7, 8, 9]]))


# --- both strands ---------------------------------------------------------------------------------------------------


def strands(side, way):
    """Ids and masks of both strands of a padded batch, and their entropies."""
    torch.manual_seed(1)
    ids, mask = torch.randint(4, (3, 60)), torch.ones(3, 60, dtype=torch.bool)
    ids[:, 20:45] = torch.arange(25) % 2
    table = MarkovTable(2).fit(ids)
    if side != "none":
        mask[1, slice(13) if side == "left" else slice(-13, None)] = False
    other = torch.stack([fill(row, kept, turned(row[kept][None])[0]) for row, kept in zip(ids, mask, strict=True)])
    if way == "table":
        found = [table.entropies(part.where(mask, -1)) for part in (ids, other)]
    else:
        found = [model_entropies(language_model(), part + 7, mask) for part in (ids, other)]
    return mask, *found


def fill(row, kept, values):
    row = row.clone()
    row[kept] = values
    return row


@pytest.mark.parametrize("way", ["table", "model"])
@pytest.mark.parametrize("longest", [None, 5])
@pytest.mark.parametrize("side", ["none", "left", "right"])
def test_patches_of_the_other_strand_are_mirror_images(side, longest, way):
    mask, forward, reverse = strands(side, way)
    both = symmetric_entropies(forward, reverse, mask), symmetric_entropies(reverse, forward, mask)
    threshold = threshold_for(both[0], 3, mask=mask)
    one, other = (patch_starts(entropy, threshold, mask=mask, longest=longest, symmetric=True) for entropy in both)
    for row, mirrored, kept in zip(one, other, mask, strict=True):
        found = lengths(row[kept][None])[0]
        assert lengths(mirrored[kept][None])[0] == found[::-1]
        assert len(set(found)) > 2
    alone = patch_starts(forward, threshold, mask=mask), patch_starts(reverse, threshold, mask=mask)
    assert lengths(alone[0]) != [row[::-1] for row in lengths(alone[1])], "one strand alone is no mirror image"


def test_the_mean_of_both_strands_solved_by_hand():
    """Edges of four bases: after 0, 1, 2 forward; from the other end the first guess belongs to the last edge."""
    forward, reverse = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[10.0, 20.0, 30.0, 40.0]])
    assert symmetric_entropies(forward, reverse).tolist() == [[15.5, 11, 6.5, 4]]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: patch_starts(torch.zeros(1, 5), 1.0, "other"),
        lambda: patch_starts(torch.zeros(1, 5), 1.0, "monotonic", symmetric=True),
        lambda: no_longer_than(torch.ones(1, 5, dtype=torch.bool), 0),
        lambda: threshold_for(torch.zeros(1, 5), 1.0),
        lambda: threshold_for(torch.zeros(1, 5), 2.0, mask=torch.zeros(1, 5)),
        lambda: top_starts(torch.zeros(1, 5), 0.5),
        lambda: MarkovTable(11),
    ],
)
def test_bad_options_are_refused(call):
    with pytest.raises(ConfigurationError, match="expected"):
        call()
