"""The embedded samples: whole, as their cards say, and holding the biology that they are there for."""

import gzip
import hashlib
import importlib.util
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genomic_lens.data import Genome, read_meme, sample_card, sample_cards, samples
from genomic_lens.data.alphabets import IUPAC_CODES, reverse_complement
from genomic_lens.errors import DataError, GenomicLensError

TABLES = ["splice_junctions", "lac_promoter", "five_prime_splice_sites", "amyloid"]
FOLDER = files("genomic_lens.data").joinpath("files")


def most_frequent(sequences: pd.Series) -> str:
    return "".join(pd.DataFrame([list(sequence) for sequence in sequences]).mode().iloc[0])


def pattern(sequence: str) -> str:
    return "".join(f"[{IUPAC_CODES.get(letter, letter)}]" for letter in sequence)


# --- files and cards ------------------------------------------------------------------------------------------------


def test_every_file_has_the_digest_on_its_card_and_together_they_are_small():
    listed = [file for name in sample_cards().index for file in sample_card(name).files]
    present = {entry.name for entry in FOLDER.iterdir()}
    assert {file.name for file in listed} | {"cards.yaml"} == present
    for file in listed:
        content = FOLDER.joinpath(file.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
        assert len(content) == file.bytes
        assert content[4:8] == bytes(4), "gzip stores a time, so a rebuilt file would differ"
    assert sum(file.bytes for file in listed) < 4_000_000


@pytest.mark.parametrize("name", TABLES)
def test_card_says_what_the_table_holds(name):
    card, table = sample_card(name), getattr(samples, name)()
    assert len(table) == card.rows
    assert table["split"].value_counts().to_dict() == card.splits
    lengths = table["sequence"].str.len()
    assert (lengths.min(), lengths.max()) == card.length
    assert set("".join(table["sequence"])) == set(card.alphabet)
    assert table[card.target].notna().all()
    assert not table.isna().any().any()


@pytest.mark.parametrize("name", TABLES)
def test_splits_are_parts_of_the_whole_without_a_shared_sequence(name):
    load = getattr(samples, name)
    parts = {split: load(split) for split in samples.SPLITS}
    assert sum(map(len, parts.values())) == len(load())
    sequences = [set(part["sequence"]) for part in parts.values()]
    assert len(set.union(*sequences)) == sum(map(len, sequences))
    assert all((part["split"] == split).all() for split, part in parts.items())
    assert all(part.index[0] == 0 and part.index[-1] == len(part) - 1 for part in parts.values())


def test_overview_has_a_loader_and_a_licence_for_every_sample():
    overview = sample_cards()
    assert len(overview) == 6
    for name, row in overview.iterrows():
        assert callable(getattr(samples, name))
        assert row["licence"]
        card = sample_card(name)
        assert re.search(r"\b(19|20)\d\d\b", card.citation)
        assert re.search(r"^(PyPI|Debian) [\w.-]+ \d", card.source)


def test_printed_card_holds_sites_baselines_and_citation():
    text = str(sample_card("lac_promoter"))
    assert "39–45  -35  TTTACA" in text
    assert "letters by position: pearson" in text
    assert "Kinney JB" in text
    assert max(map(len, text.splitlines())) <= 100


def test_baselines_lie_within_their_intervals_and_the_majority_is_recomputed():
    scores = {
        name: {(score.method, score.metric): score for score in sample_card(name).baselines}
        for name in [*TABLES, "chlamydia_genome"]
    }
    assert all(score.low <= score.value <= score.high for found in scores.values() for score in found.values())
    train, test = samples.splice_junctions("train"), samples.splice_junctions("test")
    share = (test["label"] == train["label"].mode()[0]).mean()
    splice = scores["splice_junctions"]
    assert splice["majority class", "accuracy"].value == pytest.approx(share, abs=5e-4)
    best = splice["logistic regression on bases by position", "accuracy"]
    assert all(best.low > splice[key].high for key in splice if key[1] == "accuracy" and key[0] != best.method)
    assert all(any(score.value > 0.2 for score in found.values()) for found in scores.values())


# --- splice junctions -----------------------------------------------------------------------------------------------


def test_splice_junctions_have_the_counts_of_the_source_less_one_sequence_with_two_labels():
    table = samples.splice_junctions()
    assert table["label"].value_counts().to_dict() == {"neither": 1653, "donor": 767, "acceptor": 764}
    assert table["sequence"].nunique() == 3000
    assert "CTGAAATTTGTCCCATTCATATCTTGGCAGAGAAGCTCCATGAAGAAATTGACAGGGTGA" not in set(table["sequence"])
    assert table.groupby("sequence")["label"].nunique().max() == 1
    assert (table.groupby("group")["sequence"].nunique() == 1).all()
    assert table["group"].nunique() == 3000


def test_splice_split_is_stratified():
    table = samples.splice_junctions()
    shares = pd.crosstab(table["label"], table["split"], normalize="index")
    for split, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        assert shares[split].to_numpy() == pytest.approx(np.full(3, share), abs=0.002)


def test_no_twenty_bases_in_a_row_stand_in_two_splits_on_either_strand():
    words = {}
    for split in samples.SPLITS:
        sequences = samples.splice_junctions(split)["sequence"]
        both = [*sequences, *map(reverse_complement, sequences)]
        words[split] = {sequence[start : start + 20] for sequence in both for start in range(41)}
    assert not words["train"] & words["test"]
    assert not words["train"] & words["validation"]
    assert not words["validation"] & words["test"]


def test_donors_have_gt_and_acceptors_ag_at_the_boundary():
    table = samples.splice_junctions()
    word = {"donor": table["sequence"].str[30:32] == "GT", "acceptor": table["sequence"].str[28:30] == "AG"}
    assert word["donor"][table["label"] == "donor"].sum() == 759
    assert word["acceptor"][table["label"] == "acceptor"].sum() == 760
    assert word["donor"][table["label"] == "neither"].mean() < 0.1


def test_splice_sites_on_the_card_are_more_frequent_in_their_class_than_beside_it():
    table = samples.splice_junctions()
    for site in sample_card("splice_junctions").sites:
        letters = zip(range(site.start, site.stop), site.sequence, strict=True)
        match = np.mean([table["sequence"].str[base].str.fullmatch(pattern(letter)) for base, letter in letters], 0)
        own = (table["label"] == site.where).to_numpy()
        assert match[own].mean() > 0.7
        assert match[own].mean() > match[~own].mean() + 0.2


# --- assays of variants ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wild_type"),
    [
        ("lac_promoter", "AATTAATGTGAGTTAGCTCACTCATTAGGCACCCCAGGCTTTACACTTTATGCTTCCGGCTCGTATGTTGTGTGG"),
        ("amyloid", "DAEFRHDSGYEVHHQKLVFFAEDVGSNKGAIIGLMVGGVVIA"),
    ],
)
def test_wild_type_is_the_most_frequent_letter_and_holds_the_sites(name, wild_type):
    assert most_frequent(getattr(samples, name)()["sequence"]) == wild_type
    sites = sample_card(name).sites
    assert sites
    for site in sites:
        assert wild_type[site.start : site.stop] == site.sequence


def test_lac_mutations_cost_expression_in_the_sites():
    table = samples.lac_promoter()
    reads = table[[f"bin_{number}" for number in range(10)]].to_numpy()
    row = reads[5]
    assert table["mean_bin"].iloc[5] == pytest.approx(sum(b * n for b, n in enumerate(row)) / row.sum())
    letters = np.array([list(sequence) for sequence in table["sequence"]])
    mutated = letters != np.array(list(most_frequent(table["sequence"])))
    bright = table["mean_bin"].to_numpy()
    cost = np.array([bright[~column].mean() - bright[column].mean() for column in mutated.T])
    inside = np.zeros(75, dtype=bool)
    for site in sample_card("lac_promoter").sites:
        inside[site.start : site.stop] = True
    assert np.abs(cost[inside]).mean() > 2.5 * np.abs(cost[~inside]).mean()
    assert cost.argmax() == 64


@pytest.mark.parametrize("mutation", ["T21A", "T41G", "C61G", "G66A", "T67A"])
def test_lac_mutations_towards_the_consensus_of_a_site_raise_expression(mutation):
    table = samples.lac_promoter()
    wild, base, letter = mutation[0], int(mutation[1:-1]), mutation[-1]
    assert most_frequent(table["sequence"])[base] == wild
    assert mutation in sample_card("lac_promoter").known_biology
    here = table["sequence"].str[base]
    gain = table["mean_bin"][here == letter].mean() - table["mean_bin"][here == wild].mean()
    assert gain > 1.2, "in bins; nearly all other mutations lower it or change it less"


def test_five_prime_splice_sites_need_gu():
    table = samples.five_prime_splice_sites()
    intron = table["sequence"].str[3:5]
    assert intron.value_counts().to_dict() == {"GC": 15414, "GU": 15069}
    assert table.loc[table["sequence"] == "CAGGUAAGU", "log10_psi"].item() == 2
    kept = table["log10_psi"] > 1
    assert kept[intron == "GU"].mean() > 10 * kept[intron == "GC"].mean()
    assert most_frequent(table.loc[kept, "sequence"])[3:9] == "GUAAGU"


def test_amyloid_scores_rise_for_familial_mutations_and_fall_with_stops():
    table = samples.amyloid().set_index("sequence")
    wild_type = most_frequent(table.index.to_series())
    mismatches = (np.array([list(s) for s in table.index]) != np.array(list(wild_type))).sum(1)
    assert (mismatches == table["mutations"]).all()
    for mutation in ("H6R", "D7N", "A21G", "E22G", "E22K", "E22Q", "D23N", "L34V", "A42T"):
        place = int(mutation[1:-1]) - 1
        assert wild_type[place] == mutation[0]
        assert table.loc[wild_type[:place] + mutation[-1] + wild_type[place + 1 :], "nucleation_score"] > 0
    stopped = table.index.str.contains("*", regex=False)
    assert table.loc[stopped, "nucleation_score"].max() < 0


# --- genome ---------------------------------------------------------------------------------------------------------

CODONS = [first + second + third for first in "TCAG" for second in "TCAG" for third in "TCAG"]
RESIDUES = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"


def translate(bases: str) -> str:
    table = dict(zip(CODONS, RESIDUES, strict=True))
    return "".join(table[bases[start : start + 3]] for start in range(0, len(bases), 3))


@pytest.fixture(scope="module")
def genome() -> Genome:
    return samples.chlamydia_genome()


def gene_named(genome: Genome, name: str) -> int:
    return genome.genes.index[genome.genes["name"] == name].item()


def test_genome_has_the_length_and_base_counts_of_its_record(genome):
    assert len(genome) == 1_042_519
    counts = {base: genome.sequence.count(base) for base in "ACGT"}
    assert counts == {"A": 306721, "C": 215232, "G": 215404, "T": 305162}
    assert genome.genes["kind"].value_counts().to_dict() == {"CDS": 894, "tRNA": 37, "rRNA": 6, "misc_RNA": 2}


@pytest.mark.parametrize("strand", ["+", "-"])
def test_coding_sequences_start_and_stop_on_their_strand_with_no_stop_inside(genome, strand):
    rows = genome.genes[(genome.genes["kind"] == "CDS") & (genome.genes["strand"] == strand)]
    assert len(rows) > 400
    for gene in rows.index:
        bases = genome.gene_sequence(gene)
        assert bases[:3] in {"ATG", "GTG", "TTG"}
        assert len(bases) % 3 == 0
        assert translate(bases).index("*") == len(bases) // 3 - 1


def test_translations_are_those_of_the_record(genome):
    assert translate(genome.gene_sequence(gene_named(genome, "gatC"))).startswith("MTESYVNKEEIISLAKNA")
    assert translate(genome.gene_sequence(gene_named(genome, "CT001"))).startswith("MLCKVCRGLSSLIVVLGAINTGILGVTGYK")


def test_gene_across_the_origin_is_one_gene(genome):
    gene = gene_named(genome, "CT875")
    assert tuple(genome.genes.loc[gene, ["start", "stop"]]) == (1_041_919, 1_042_519 + 1176)
    protein = translate(genome.gene_sequence(gene))
    assert protein.startswith("MSIRGVGGNGNSRIPSHNGDG")
    assert protein.endswith("RWNREVDRE*")
    assert genome.covered("CDS")[[0, 1175, -1]].all()


def test_release_factor_is_read_through_its_frameshift(genome):
    gene = genome.genes.index[genome.genes["product"] == "Peptide Chain Release Factor 2"].item()
    protein = translate(genome.gene_sequence(gene))
    assert protein.startswith("MHENFDKRLELLLEGLALTRRSLFDPEGKENEL")
    assert protein.endswith("AYLVDYGEIT*")


def test_genome_shows_its_origin_of_replication_and_the_period_of_codons(genome):
    bases = np.frombuffer(genome.sequence.encode(), dtype=np.uint8)
    skew = np.cumsum((bases == ord("G")).astype(int) - (bases == ord("C")))
    site = sample_card("chlamydia_genome").sites[0]
    assert site.start - 1000 < skew.argmin() < site.stop + 1000
    assert 0.85 < genome.covered("CDS").mean() < 0.95
    forward = genome.genes[(genome.genes["kind"] == "CDS") & (genome.genes["segments"] == "")]
    coding = "".join(genome.gene_sequence(gene) for gene in forward.index[:200])
    shares = [coding[frame::3].count("G") / (len(coding) / 3) for frame in range(3)]
    assert shares[0] > shares[1] + 0.1
    assert shares[0] > shares[2] + 0.1


# --- motifs ---------------------------------------------------------------------------------------------------------


def test_jaspar_has_all_vertebrate_motifs_with_sound_probabilities():
    motifs = read_meme(samples.jaspar_vertebrates())
    assert len(motifs) == 1019 == sample_card("jaspar_vertebrates").rows
    assert len({name.split()[0].split(".")[0] for name in motifs}) == 1019, "one version of each matrix"
    for matrix in motifs.values():
        assert matrix.sum(1) == pytest.approx(np.ones(len(matrix)), abs=1e-5)
    widths = [len(matrix) for matrix in motifs.values()]
    assert (min(widths), max(widths)) == sample_card("jaspar_vertebrates").length


@pytest.mark.parametrize(
    ("name", "word"), [("MA0139.2 CTCF", "CCASYAGRKGGC"), ("MA0099.4 FOS::JUN", "TGASTCA"), ("MA0108.3 TBP", "TATAAA")]
)
def test_jaspar_motifs_read_as_known(name, word):
    matrix = read_meme(samples.jaspar_vertebrates())[name]
    best = "".join("ACGT"[column] for column in matrix.argmax(1))
    assert re.search(pattern(word), best)


# --- loading --------------------------------------------------------------------------------------------------------


def test_samples_load_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(samples.splice_junctions("validation")) == 320


def test_unknown_names_are_answered_with_the_closest():
    with pytest.raises(GenomicLensError, match="'lac'.*closest: lac_promoter"):
        sample_card("lac")
    for load in (samples.splice_junctions, samples.amyloid):
        with pytest.raises(DataError, match="'testing'.*closest: test"):
            load("testing")


def test_a_table_may_be_changed_without_changing_the_next():
    first = samples.amyloid("test")
    first["nucleation_score"] = 0.0
    assert samples.amyloid("test")["nucleation_score"].std() > 1


# --- the script that builds them ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[2] / "tools" / "build_samples.py"
    spec = importlib.util.spec_from_file_location("build_samples", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_gives_the_committed_families_and_split_again(script):
    table = samples.splice_junctions()
    assert (script.families(table["sequence"].tolist()) == table["family"]).all()
    assert (script.stratified_split(table) == table["split"]).all()


def test_script_compresses_to_the_committed_bytes_or_at_least_the_same_content(script):
    for name in ("splice_junctions.csv.gz", "chlamydia_genes.csv.gz"):
        committed = FOLDER.joinpath(name).read_bytes()
        packed = script.compress(gzip.decompress(committed))
        assert packed == script.compress(gzip.decompress(packed))
        assert gzip.decompress(packed) == gzip.decompress(committed)


def test_families_join_overlaps_on_both_strands_and_nothing_else(script):
    first = "ACGTTGCAAGCTTACGGATCCATGA"
    assert script.families([first, "TTTTT" + first[:20], "CCCCCCCCCCCCCCCCCCCCCCCCC"]).tolist() == [0, 0, 1]
    assert script.families([first, reverse_complement(first)]).tolist() == [0, 0]
    assert script.families([first, first[:19] + "GGGGGG"]).tolist() == [0, 1]


def test_locations_of_a_record_become_half_open_segments(script):
    gene = script.parse_gene('     CDS             complement(join(11..20,19..30))\n                     /gene="a b"')
    assert (gene["start"], gene["stop"], gene["strand"], gene["segments"]) == (10, 30, "-", "10-20;18-30")
    assert script.parse_gene('     gene            5..9\n                     /gene="x"') is None
    tail = script.parse_gene('     CDS             91..>100\n                     /db_xref="p"')
    head = script.parse_gene('     CDS             <1..6\n                     /db_xref="p"')
    joined = script.join_at_origin([head, tail], 100)
    assert [(gene["start"], gene["stop"]) for gene in joined] == [(90, 106)]
