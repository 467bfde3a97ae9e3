"""Prompts are what they say, answers are what autoregression gives, and tuning finds what is planted."""

import random

import numpy as np
import pandas as pd
import pytest
import torch

from genomic_lens.config import HyenaGLTConfig
from genomic_lens.data.datasets import GenomicDataset
from genomic_lens.data.tokenizers import DNATokenizer
from genomic_lens.errors import ConfigurationError, DataError, ModelError
from genomic_lens.model import HyenaGLTForCausalLM, HyenaGLTForSequenceClassification
from genomic_lens.training.prompting.instructions import prompt_table, tune_on_instructions
from genomic_lens.training.prompting.prompts import Prompts, answers, verbaliser
from genomic_lens.training.prompting.soft_prompts import batch_loss, first_vectors, probabilities, tune_soft_prompt


def planted(count, seed, length=12):
    """Every second sequence has TATA in its middle."""
    draw, sequences = random.Random(seed), []
    for number in range(count):
        sequence = "".join(draw.choices("ACGT", k=length))
        sequences.append(sequence[:4] + "TATA" + sequence[8:] if number % 2 else sequence)
    return GenomicDataset(sequences, [number % 2 for number in range(count)])


def build(**options):
    torch.manual_seed(0)
    shape = {"vocab_size": 12, "d_model": 16, "n_layers": 1, "sequence_length": 64}
    return HyenaGLTForCausalLM(HyenaGLTConfig(**shape | options)).eval()


@pytest.fixture(scope="module")
def data():
    return planted(128, 0), planted(64, 1), planted(200, 2)


@pytest.fixture(scope="module")
def taught(data):
    """A model that answers A or C."""
    return tune_on_instructions(build(), *data[:2], words=["A", "C"], epochs=6, learning_rate=1e-2)


def test_a_prompt_is_demonstrations_and_the_query_and_never_shows_the_query_itself():
    tokenizer, examples = DNATokenizer(), GenomicDataset(["AAA", "ACA", "CCC", "CAC"], [0, 0, 1, 1])
    prompts = Prompts(examples, verbaliser(tokenizer, 2, ["G", "T"]), shots=1)
    for epoch in range(6):
        written = tokenizer.decode(prompts.write("AAA", (epoch, 0), query=0))
        assert "ACANGN" in written
        assert "AAANGN" not in written
        assert written.endswith("AAAN")
        assert ("CCCNTN" in written) != ("CACNTN" in written)
        assert len(written) <= prompts.longest(["AAA"]) == 16
    assert len({tokenizer.decode(prompts.write("AAA", epoch)) for epoch in range(20)}) > 2


@pytest.mark.parametrize("words", [["A", "C"], ["GG", "GT"]])
def test_answers_are_what_one_sequence_at_a_time_gives(words):
    model, tokenizer = build(initializer_range=0.3), DNATokenizer()
    named, prompts = verbaliser(tokenizer, 2, words), [tokenizer.encode("ACGTTN"), tokenizer.encode("GGCAATTCN")]
    found = answers(model, prompts, named)
    for row, prompt in enumerate(prompts):
        for column, word in enumerate(words):
            ids, total = prompt.tolist(), 0.0
            for token in tokenizer.encode(word).tolist():
                total += model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)[token].item()
                ids.append(token)
            assert found[row, column].item() == pytest.approx(total, abs=1e-5)


def test_vectors_that_are_embeddings_of_bases_are_those_bases():
    model, tokenizer = build(initializer_range=0.3), DNATokenizer()
    words, before = verbaliser(tokenizer, 3), tokenizer.encode("GATTACA")
    vectors = model.get_input_embeddings()(torch.from_numpy(before)).detach()
    prompts = [tokenizer.encode("ACGTN"), tokenizer.encode("GGCATCAGCN")]
    soft = answers(model, prompts, words, vectors)
    hard = answers(model, [np.concatenate([before, prompt]) for prompt in prompts], words)
    assert torch.allclose(soft, hard, atol=1e-5)


def test_it_is_the_prompt_tuning_of_peft():
    peft = pytest.importorskip("peft")
    model, tokenizer = build(initializer_range=0.3), DNATokenizer()
    words, prompts = verbaliser(tokenizer, 2), [tokenizer.encode("ACGTTGN"), tokenizer.encode("CCGTTAN")]
    settings = peft.PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=3, token_dim=16, num_layers=1, num_attention_heads=1
    )
    theirs = peft.get_peft_model(model, settings).eval()
    vectors = theirs.get_prompt(batch_size=1)[0].detach()
    logits = theirs(input_ids=torch.tensor(np.stack(prompts)), attention_mask=torch.ones(2, 7)).logits[:, -1]
    ours = answers(build(initializer_range=0.3), prompts, words, vectors)
    assert torch.allclose(ours, logits.log_softmax(-1)[:, words.ids[:, 0]], atol=1e-5)


def test_gradients_are_in_the_vectors_alone_and_the_weights_stay_to_the_bit(taught, data):
    model, before = taught.model, {name: value.clone() for name, value in taught.model.state_dict().items()}
    tuned = tune_soft_prompt(model, *data[:2], prompt_tokens=4, words=["G", "T"], epochs=4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(part.grad is None and part.requires_grad for part in model.parameters())
    assert tuned.vectors.shape == (4, 16)
    assert not torch.equal(tuned.vectors, first_vectors(model, tuned.prompts.verbaliser, 4, 0))
    loss = batch_loss(model, tuned.prompts, [0, 1], 0, vectors := torch.nn.Parameter(tuned.vectors))
    assert torch.autograd.grad(loss, vectors)[0].abs().sum() > 0


def rich(count, seed):
    """Every second sequence is rich in G."""
    draw = random.Random(seed)
    sequences = ["".join(draw.choices("ACGT", [1, 1, 1 + 4 * (number % 2), 1], k=16)) for number in range(count)]
    return GenomicDataset(sequences, [number % 2 for number in range(count)])


def test_a_soft_prompt_beats_chance_where_the_model_as_it_came_does_not():
    model, test = build(initializer_range=0.3), rich(200, 2)
    tuned = tune_soft_prompt(model, rich(96, 0), rich(48, 1), prompt_tokens=8, epochs=8).score(test)
    assert tuned.low > max(tuned.majority, tuned.untuned, 0.5)
    assert (tuned.trained, tuned.prompt_tokens, tuned.method) == (128, 8, "soft prompt")
    again = tune_soft_prompt(model, rich(96, 0), rich(48, 1), prompt_tokens=8, epochs=8)
    assert again.score(test, resamples=50).accuracy == tuned.accuracy


def test_instructions_teach_a_motif(taught, data):
    found = taught.score(data[2])
    assert found.low > 0.8 > found.untuned
    asked = tune_soft_prompt(taught.model, *data[:2], prompt_tokens=0, words=["C", "A"])
    assert asked.score(data[2], resamples=50).accuracy == pytest.approx(1 - found.accuracy)


def test_tuning_on_instructions_leaves_the_model_and_can_be_repeated(data):
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    runs = [tune_on_instructions(model, *data[:2], shots=1, epochs=1, seed=3) for _ in range(2)]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(*pair) for pair in zip(*(run.model.parameters() for run in runs), strict=True))
    assert np.array_equal(*(run.predict(data[2].sequences[:9]) for run in runs))


def test_batches_do_not_change_answers(taught, data):
    one, many = (probabilities(taught.model, taught.prompts, data[2].sequences[:9], None, size) for size in (1, 9))
    assert np.allclose(one, many, atol=1e-6)
    assert np.allclose(one.sum(1), 1)


def test_a_table_is_written_row_by_row_and_not_computed_twice(data, tmp_path):
    path, told, model = tmp_path / "results.csv", [], build()
    options = {"shots": [0, 1], "prompt_tokens": [0, 2], "epochs": 1, "told": told.append}
    table = prompt_table(path, model, *data, **options)
    assert list(zip(table["prompt_tokens"], table["shots"], strict=True)) == [(0, 0), (0, 1), (2, 0), (2, 1)]
    assert table["method"].tolist() == ["untuned"] * 2 + ["soft prompt"] * 2
    assert (table["untuned"][:2] == table["accuracy"][:2]).all()
    assert len(told) == 4
    again = prompt_table(path, model, *data, **options)
    assert len(told) == 4
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    prompt_table(path, model, *data, **options | {"seed": 1, "shots": [0], "prompt_tokens": [0]})
    assert len(told) == 5
    assert len(pd.read_csv(path)) == 5


def test_what_cannot_be_asked_is_refused_in_a_sentence(data):
    tokenizer, train = DNATokenizer(), data[0]
    for words in (["A"], ["A", "A"], ["A", "CC"]):
        with pytest.raises(ConfigurationError, match="came"):
            verbaliser(tokenizer, 2, words)
    with pytest.raises(ConfigurationError, match=r"A prompt has up to 73 tokens \(60 soft.*the model reads 64"):
        tune_soft_prompt(build(), *data[:2], prompt_tokens=60)
    with pytest.raises(ConfigurationError, match="3 shots of each class"):
        tune_on_instructions(build(), *data[:2], shots=3)
    with pytest.raises(DataError, match="Class 1 has 1 examples"):
        Prompts(GenomicDataset(["AC", "AG", "AT"], [0, 0, 1]), verbaliser(tokenizer, 2), shots=1)
    with pytest.raises(DataError, match="no classes"):
        tune_soft_prompt(build(), GenomicDataset(["ACGT"], [0.5]), data[1])
    classifier = HyenaGLTForSequenceClassification(HyenaGLTConfig(vocab_size=12, d_model=8, n_layers=1))
    with pytest.raises(ModelError, match="does not say what comes next"):
        tune_on_instructions(classifier, train, data[1])
    with pytest.raises(ModelError, match="pass input_ids"):
        tune_soft_prompt(build(kmer_sizes=(3,)), *data[:2])
