"""Fixtures that several packages' tests share. Heavy imports stand inside, so that light tests start fast."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# The models of the tests are tiny; on a busy machine, threads that wait for each other cost far more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
TINY = {
    "vocab_size": 12, "d_model": 16, "n_layers": 2, "sequence_length": 64, "num_classes": 3, "filter_order": 16,
    "initializer_range": 0.3,
}  # fmt: skip


def pytest_collection_modifyitems(items):
    """Files with slow tests come first: workers take whole files, and none should begin a long one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def tokenizer():
    from genomic_lens.data.tokenizers import DNATokenizer

    return DNATokenizer()


@pytest.fixture(scope="session")
def build_model():
    """Makes a seeded model of two layers whose gates and GELUs bend, in which no bias is zero, no norm
    trivial and no position like another.

    Where a bias is zero, code that forgets it passes every test.
    """
    import torch

    from genomic_lens.config import HyenaGLTConfig
    from genomic_lens.model.hyena_glt import HyenaGLTForSequenceClassification

    def build(kind=HyenaGLTForSequenceClassification, **changes):
        torch.manual_seed(0)
        model = kind(HyenaGLTConfig(**TINY | changes)).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim == 1:
                    parameter += 0.2 * torch.randn_like(parameter)
                elif name.endswith("implicit_filter.6.weight"):
                    parameter *= 3
                elif name == "head.positions.weight":
                    parameter += torch.randn_like(parameter) / len(parameter)
        return model

    return build


@pytest.fixture(scope="session")
def build_operator():
    """Makes a seeded Hyena operator of width 4 with filters that are as loud as its skip terms."""
    import torch

    from genomic_lens.model.convolution.hyena import HyenaOperator

    def build(order=2, two_sided=False, dtype=torch.float64, **changes):
        torch.manual_seed(order)
        layer = HyenaOperator(**{"d_model": 4, "l_max": 16, "order": order, "two_sided": two_sided} | changes)
        with torch.no_grad():
            layer.in_proj.weight *= 2
            layer.filter_fn.linears[-1].weight *= 3
        return layer.to(dtype).eval()

    return build


@pytest.fixture(scope="session")
def oracle():
    """Loads a file of tensors that a published implementation made; skips where the folder is absent."""

    def load(name: str) -> dict[str, np.ndarray]:
        folder = (ROOT / os.environ.get("GENOMIC_LENS_SHARED", "../shared") / "oracles").resolve()
        if not (folder / name).exists():
            pytest.skip(f"{name} is not in {folder}; set GENOMIC_LENS_SHARED to the folder that has oracles/{name}")
        with np.load(folder / name) as file:
            return dict(file)

    return load


@pytest.fixture(scope="session")
def fresh_python():
    """Runs code in a new Python process, without network, and returns what it printed."""

    def run(code: str, *arguments: str) -> str:
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


DNA = {"one": "ACGTTGCATTGACCAGTNACGTA" * 3, "two": "GGCATTAC"}


@pytest.fixture
def dna_file(tmp_path):
    """Two sequences in a FASTA file."""
    path = tmp_path / "two.fa"
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in DNA.items()))
    return path


@pytest.fixture
def build_hyena_dna():
    """Makes a small HyenaDNA of any kind, seeded."""
    import torch

    from genomic_lens.model.hyena_dna import HyenaDNAConfig

    def build(kind, **changes):
        torch.manual_seed(0)
        return kind(HyenaDNAConfig(d_model=8, sequence_length=80, **changes)).eval()

    return build
