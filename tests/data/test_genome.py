"""A genome worked out by hand: eight bases, three genes, closed to a circle or not."""

import pandas as pd
import pytest

from genomic_lens.data.genome import Genome
from genomic_lens.errors import DataError


def circle(**changes) -> Genome:
    genes = pd.DataFrame(
        [(1, 3, "+", "CDS", ""), (6, 10, "-", "CDS", ""), (0, 6, "+", "tRNA", "0-2;3-6")],
        columns=["start", "stop", "strand", "kind", "segments"],
    )
    return Genome(**{"name": "toy", "sequence": "AACCGGTT", "genes": genes, **changes})


def test_extract_goes_round_the_circle_and_knows_strands():
    toy = circle()
    assert toy.extract(1, 4) == "ACC"
    assert toy.extract(6, 10) == "TTAA"
    assert toy.extract(5, 9, "-") == "TAAC"
    assert toy.extract(3, 11) == "CGGTTAAC"
    assert toy.gene_sequence(1) == "TTAA"
    assert toy.gene_sequence(2) == "AACGG"
    assert toy.covered("CDS").tolist() == [True, True, True, False, False, False, True, True]
    assert toy.covered("CDS", "+").tolist() == [False, True, True] + [False] * 5


@pytest.mark.parametrize("span", [(-1, 2), (8, 9), (3, 3), (4, 2), (3, 12)])
def test_extract_refuses_spans_outside(span):
    with pytest.raises(DataError, match="expected 0 <= start < stop"):
        circle().extract(*span)


def test_linear_genome_ends_where_it_ends():
    assert circle(circular=False).extract(6, 8) == "TT"
    with pytest.raises(DataError, match="linear"):
        circle(circular=False).extract(6, 10)


def test_genome_names_what_it_does_not_know():
    with pytest.raises(DataError, match="'x'"):
        circle().extract(0, 1, "x")
    with pytest.raises(DataError, match="closest: CDS"):
        circle().covered("CD")
    with pytest.raises(DataError, match="no gene 99"):
        circle().gene_sequence(99)
