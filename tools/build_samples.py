"""Rebuild the embedded samples from the packages that ship their data.

    python tools/build_samples.py               write genomic_lens/data/files/*.gz and their facts in cards.yaml
    python tools/build_samples.py --check       rebuild, write nothing, fail if content or cards would change
    python tools/build_samples.py --baselines   fit simple models on the fixed splits, write their scores in cards.yaml

Packages are fetched by pip and apt-get into a temporary folder, or into the folder that `--packages` names, where those
that already lie there are used as they are. Needs the extra `samples` (rdata) and, for the two Debian packages, dpkg.
The prose of cards.yaml is written by hand; this script writes its rows, lengths, splits, files and baselines.
"""

import argparse
import gzip
import hashlib
import io
import re
import sqlite3
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

FILES = Path(__file__).resolve().parent.parent / "genomic_lens" / "data" / "files"
CARDS = "cards.yaml"
HEADER = "# The prose is written by hand; rows, length, splits, files and baselines by tools/build_samples.py.\n"
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
SEED = 0
PACKAGES = {
    "mavenn": ("mavenn==1.1.4", "mavenn-1.1.4-*.whl"),
    "pyjaspar": ("pyjaspar==4.0.0", "pyjaspar-4.0.0-*.whl"),
    "mlbench": ("r-cran-mlbench=2.1-3-1", "r-cran-mlbench_2.1-3-1_*.deb"),
    "seqinr": ("r-cran-seqinr=4.2-23-1", "r-cran-seqinr_4.2-23-1_*.deb"),
}
R_LIBRARY = "usr/lib/R/site-library"


# --- packages -------------------------------------------------------------------------------------------------------


def fetch(name: str, folder: Path) -> Path:
    """The file of a package; downloaded by the registry's own client where it is not there yet."""
    requirement, pattern = PACKAGES[name]
    if not any(folder.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "download", "--no-deps"]
        client = pip if pattern.endswith(".whl") else ["apt-get", "download"]
        subprocess.run([*client, requirement], cwd=folder, check=True)
    return next(folder.glob(pattern))


def member(name: str, folder: Path, path: str) -> bytes:
    """The content of one file of a wheel or of a Debian package."""
    package = fetch(name, folder)
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            return wheel.read(path)
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["dpkg", "-x", package, unpacked], check=True)
        return Path(unpacked, path).read_bytes()


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV, its rows sorted by every column from the left."""
    rows = table.sort_values(list(table.columns), kind="stable")
    return rows.to_csv(index=False, lineterminator="\n").encode()


# --- splice junctions -----------------------------------------------------------------------------------------------


def splice_junctions(folder: Path) -> bytes:
    """UCI splice junctions: three indicator columns a base, T being the base that has none."""
    import rdata

    parsed = rdata.parser.parse_data(member("mlbench", folder, f"{R_LIBRARY}/mlbench/data/DNA.rda"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the file names no text encoding; its text is ASCII
        raw = rdata.conversion.convert(parsed)["DNA"]
    indicators = raw.iloc[:, :180].astype(int).to_numpy().reshape(-1, 60, 3)
    bases = np.array(list("TACG"))[indicators @ np.array([1, 2, 3])]
    names = {"ei": "donor", "ie": "acceptor", "n": "neither"}
    table = pd.DataFrame({"sequence": ["".join(row) for row in bases]})
    table["label"] = raw["Class"].astype(str).map(names).to_numpy()
    labels = table.groupby("sequence")["label"].transform("nunique")
    table = table[labels == 1].sort_values(["sequence", "label"], ignore_index=True)
    table["group"] = table.groupby("sequence").ngroup()
    table["family"] = families(table["sequence"].tolist())
    table["split"] = stratified_split(table)
    return as_csv(table[["sequence", "label", "split", "group", "family"]])


def families(sequences: list[str], shared: int = 20) -> np.ndarray:
    """Number families: sequences that share `shared` bases in a row on either strand, directly or through others."""
    parent = list(range(len(sequences)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first_with: dict[str, int] = {}
    for index, sequence in enumerate(sequences):
        for start in range(len(sequence) - shared + 1):
            word = sequence[start : start + shared]
            word = min(word, word[::-1].translate(str.maketrans("ACGT", "TGCA")))
            parent[root(index)] = root(first_with.setdefault(word, index))
    return pd.factorize(np.array([root(index) for index in range(len(sequences))]))[0]


def stratified_split(table: pd.DataFrame) -> pd.Series:
    """Give each family, largest first, to the split that lacks most of its labels; equals come in hashed order."""
    total = Counter(table["label"])
    wanted = {split: {label: count * share for label, count in total.items()} for split, share in FRACTIONS.items()}
    lacking = {split: dict(counts) for split, counts in wanted.items()}
    groups = [rows for _, rows in table.groupby("family")]
    groups.sort(key=lambda rows: (-len(rows), hashlib.sha256(f"{SEED}:{rows['sequence'].min()}".encode()).digest()))
    given = {}
    for rows in groups:
        labels = Counter(rows["label"])
        share = {s: sum(n * lacking[s][label] / wanted[s][label] for label, n in labels.items()) for s in FRACTIONS}
        best = max(share, key=share.get)
        for label, count in labels.items():
            lacking[best][label] -= count
        given[rows["family"].iloc[0]] = best
    return table["family"].map(given)


# --- assays of variants ---------------------------------------------------------------------------------------------


def assay(folder: Path, dataset: str, columns: dict[str, str]) -> bytes:
    """A data set of MAVE-NN with columns renamed; measurements are rounded to four decimals."""
    content = gzip.decompress(member("mavenn", folder, f"mavenn/examples/datasets/{dataset}_data.csv.gz"))
    table = pd.read_csv(io.BytesIO(content)).rename(columns={"x": "sequence", "set": "split", **columns})
    table["split"] = table["split"].replace({"training": "train"})
    return as_csv(table[["sequence", *columns.values(), "split"]].round(4))


# --- genome ---------------------------------------------------------------------------------------------------------


def chlamydia(folder: Path) -> tuple[bytes, bytes]:
    """The genome as FASTA and its genes as CSV, from one GenBank record; fails where FASTA and record disagree."""
    where = f"{R_LIBRARY}/seqinr/sequences/ct"
    record = gzip.decompress(member("seqinr", folder, f"{where}.gbk.gz")).decode()
    fasta = gzip.decompress(member("seqinr", folder, f"{where}.fasta.gz")).decode()
    features, letters = re.search(r"^FEATURES.*?\n(.*)^BASE COUNT.*?^ORIGIN(.*)^//", record, re.S | re.M).groups()
    sequence = re.sub(r"[^a-z]", "", letters).upper()
    if sequence != fasta.split("\n", 1)[1].replace("\n", "").upper():
        raise SystemExit("the FASTA file and the GenBank record hold different sequences")
    lines = [sequence[start : start + 60] for start in range(0, len(sequence), 60)]
    header = ">Chlamydia_trachomatis_D/UW-3/CX complete genome, circular, 1998 record of AE001273"
    genes = [gene for text in re.split(r"\n(?=     \S)", features) if (gene := parse_gene(text))]
    genes = join_at_origin(genes, len(sequence))
    return "\n".join([header, *lines, ""]).encode(), as_csv(pd.DataFrame(genes))


def parse_gene(feature: str) -> dict | None:
    """One feature of a GenBank record as a row of 0-based half-open coordinates, or None if it is no gene product."""
    kind, location = re.match(r"\s*(\S+)\s+(\S+)", feature).groups()
    if kind not in {"CDS", "tRNA", "rRNA", "misc_RNA"}:
        return None
    quoted = {key: " ".join(value.split()) for key, value in re.findall(r'/(\w+)="([^"]*)"', feature)}
    segments = sorted((int(start) - 1, int(stop)) for start, stop in re.findall(r"<?(\d+)\.\.>?(\d+)", location))
    return {
        "start": segments[0][0],
        "stop": segments[-1][1],
        "strand": "-" if location.startswith("complement") else "+",
        "kind": kind,
        "name": quoted.get("gene", ""),
        "product": quoted.get("product", ""),
        "reference": quoted.get("db_xref", ""),
        "segments": ";".join(f"{start}-{stop}" for start, stop in segments) if len(segments) > 1 else "",
    }


def join_at_origin(genes: list[dict], length: int) -> list[dict]:
    """Make one gene of the two halves that meet at the origin; its stop exceeds the length, as in GFF3."""
    for tail in [gene for gene in genes if gene["stop"] == length]:
        for head in [gene for gene in genes if gene["start"] == 0 and gene["reference"] == tail["reference"] != ""]:
            tail["stop"] = length + head["stop"]
            genes = [gene for gene in genes if gene is not head]
    return genes


# --- motifs ---------------------------------------------------------------------------------------------------------


def jaspar(folder: Path) -> bytes:
    """The latest version of every vertebrate matrix of JASPAR CORE, as probabilities in MEME's minimal format.

    SQLite takes the columns beside MAX() from the row that has the maximum.
    """
    query = """
        SELECT BASE_ID, MAX(VERSION), NAME, MATRIX.ID FROM MATRIX JOIN MATRIX_ANNOTATION USING (ID)
        WHERE COLLECTION = 'CORE' AND TAG = 'tax_group' AND VAL = 'vertebrates' GROUP BY BASE_ID ORDER BY BASE_ID
    """
    background = "Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25"
    parts = [f"MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n{background}\n"]
    with tempfile.TemporaryDirectory() as unpacked:
        path = Path(unpacked, "jaspar.sqlite")
        path.write_bytes(member("pyjaspar", folder, "pyjaspar/data/JASPAR2026.sqlite"))
        database = sqlite3.connect(path)
        for base, version, name, number in database.execute(query).fetchall():
            cells = database.execute("SELECT val FROM MATRIX_DATA WHERE ID = ? ORDER BY col, row", (number,)).fetchall()
            counts = np.array(cells).reshape(-1, 4)  # A, C, G, T of each position in turn
            size = f"alength= 4 w= {len(counts)} nsites= {round(counts.sum(1).max())} E= 0"
            parts.append(f"\nMOTIF {base}.{version} {name}\nletter-probability matrix: {size}\n")
            parts += [" ".join(f"{value:.6f}" for value in row) + "\n" for row in counts / counts.sum(1, keepdims=True)]
        database.close()
    return "".join(parts).encode()


# --- files and cards ------------------------------------------------------------------------------------------------


def build(folder: Path) -> dict[str, bytes]:
    """Content of every file, before compression."""
    genome, genes = chlamydia(folder)
    bins = {f"ct_{number}": f"bin_{number}" for number in range(10)}
    scores = {"y": "nucleation_score", "dy": "standard_error", "dist": "mutations"}
    return {
        "splice_junctions.csv.gz": splice_junctions(folder),
        "lac_promoter.csv.gz": assay(folder, "sortseq", bins),
        "five_prime_splice_sites.csv.gz": assay(folder, "mpsa", {"y": "log10_psi", "tot_ct": "total_reads"}),
        "amyloid.csv.gz": assay(folder, "amyloid", scores),
        "chlamydia_genome.fasta.gz": genome,
        "chlamydia_genes.csv.gz": genes,
        "jaspar_vertebrates.meme.gz": jaspar(folder),
    }


def compress(content: bytes) -> bytes:
    """Gzip bytes without name and time: they depend on the content and on zlib alone."""
    target = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=target, mtime=0) as file:
        file.write(content)
    return target.getvalue()


def facts(name: str, content: dict[str, bytes], packed: dict[str, bytes]) -> dict:
    """What a card says about the files of one sample: rows, length, splits, digests."""
    own = [file for file in packed if file.startswith(name.removesuffix("_genome"))]
    text = content[own[0]].decode()
    if own[0].endswith(".csv.gz"):
        table = pd.read_csv(io.StringIO(text))
        lengths, splits = table["sequence"].str.len(), Counter(table["split"])
        found = {"rows": len(table), "splits": {split: splits[split] for split in FRACTIONS}}
    elif own[0].endswith(".fasta.gz"):
        lengths, found = pd.Series([len(text.split("\n", 1)[1].replace("\n", ""))]), {"rows": 1, "splits": {}}
    else:
        lengths = pd.Series([int(width) for width in re.findall(r" w= (\d+)", text)])
        found = {"rows": len(lengths), "splits": {}}
    digest = {file: hashlib.sha256(packed[file]).hexdigest() for file in own}
    files = [{"name": file, "bytes": len(packed[file]), "sha256": digest[file]} for file in own]
    return {**found, "length": [int(lengths.min()), int(lengths.max())], "files": files}


def write_cards(cards: dict) -> str:
    """Text of cards.yaml."""
    return HEADER + yaml.safe_dump(cards, sort_keys=False, allow_unicode=True, width=110)


def differences(content: dict[str, bytes], cards: dict) -> list[str]:
    """Sentences that say where the committed files and cards are not what the packages give."""
    found = []
    for name, card in cards.items():
        for file in card["files"]:
            committed = (FILES / file["name"]).read_bytes()
            if hashlib.sha256(committed).hexdigest() != file["sha256"]:
                found.append(f"{file['name']}: its sha256 is not the one on the card of {name}")
            if gzip.decompress(committed) != content[file["name"]]:
                found.append(f"{file['name']}: its content is not what the packages give")
    unlisted = content.keys() - {file["name"] for card in cards.values() for file in card["files"]}
    return found + [f"{name}: no card lists it" for name in sorted(unlisted)]


# --- baselines ------------------------------------------------------------------------------------------------------


def baselines(name: str) -> list[dict]:
    """Scores of simple models on the fixed splits of one sample: choices are made on validation, scores are on test."""
    from genomic_lens.data import sample_card, samples

    if name == "splice_junctions":
        return classification_baselines(samples.splice_junctions())
    if name == "chlamydia_genome":
        return markov_baselines(samples.chlamydia_genome().sequence)
    card = sample_card(name)
    return regression_baselines(getattr(samples, name)(), card.target, card.alphabet) if card.target else []


def one_hot(sequences: pd.Series, letters: str) -> np.ndarray:
    """(sequences, length * letters) indicators."""
    codes = np.array([list(sequence) for sequence in sequences])
    return (codes[:, :, None] == np.array(list(letters))).reshape(len(codes), -1).astype(float)


def entries(method: str, scores: dict) -> list[dict]:
    """Baselines of a card: one a score, with the ends of its 95 % interval."""
    keys = ("value", "low", "high")
    return [
        {"method": method, "metric": metric, **{key: round(float(getattr(score, key)), 3) for key in keys}}
        for metric, score in scores.items()
    ]


def classification_baselines(table: pd.DataFrame) -> list[dict]:
    """Majority class, GC content, k-mer counts, bases by position, nearest neighbour."""
    from sklearn.base import clone
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    from genomic_lens.metrics import classification_scores

    sequences, labels = table["sequence"], pd.Categorical(table["label"]).codes
    train, validation, test = ((table["split"] == split).to_numpy() for split in FRACTIONS)
    gc, positional = sequences.str.count("[GC]").to_numpy()[:, None] / 60, one_hot(sequences, "ACGT")
    counts = {
        f"logistic regression on {k}-mer counts": CountVectorizer(
            analyzer="char", ngram_range=(k, k), lowercase=False, vocabulary=map("".join, product("ACGT", repeat=k))
        ).transform(sequences)
        for k in (3, 4, 5, 6)
    }
    regressions = [LogisticRegression(C=strength, max_iter=5000) for strength in (0.001, 0.01, 0.1, 1.0, 10.0)]
    families_of_models = [
        ({"majority class": gc}, [DummyClassifier()]),
        ({"logistic regression on GC content": gc}, regressions),
        (counts, regressions),
        ({"logistic regression on bases by position": positional}, regressions),
        ({"nearest neighbour by mismatches": positional}, [KNeighborsClassifier(1, metric="manhattan")]),
    ]
    found = []
    for features, models in families_of_models:
        fitted = [(name, clone(model).fit(x[train], labels[train])) for name, x in features.items() for model in models]
        name, best = max(fitted, key=lambda pair: pair[1].score(features[pair[0]][validation], labels[validation]))
        chances = best.predict_proba(features[name][test])
        groups, metrics = table["family"].to_numpy()[test], ("accuracy", "mcc", "auroc")
        found += entries(name, classification_scores(labels[test], chances, groups=groups, seed=SEED, metrics=metrics))
    return found


def regression_baselines(table: pd.DataFrame, target: str, letters: str) -> list[dict]:
    """Ridge regression on letters by position, and on pairs of them where there are few; penalties by validation."""
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import PolynomialFeatures

    from genomic_lens.metrics import regression_scores

    train, validation, test = ((table["split"] == split).to_numpy() for split in FRACTIONS)
    features, y = {"letters by position": one_hot(table["sequence"], letters)}, table[target].to_numpy()
    if features["letters by position"].shape[1] <= 64:
        pairs = PolynomialFeatures(interaction_only=True, include_bias=False)
        features["pairs of letters by position"] = pairs.fit_transform(features["letters by position"])
    found = []
    for name, x in features.items():
        models = [Ridge(penalty).fit(x[train], y[train]) for penalty in (0.1, 1.0, 10.0, 100.0, 1000.0)]
        best = max(models, key=lambda model: model.score(x[validation], y[validation]))
        scores = regression_scores(y[test], best.predict(x[test]), seed=SEED, metrics=("r2", "pearson", "spearman"))
        found += entries(f"linear regression on {name}", scores)
    return found


def markov_baselines(sequence: str) -> list[dict]:
    """Bits a base of Markov chains: 70 % of the genome to count, 10 % to choose the order, the rest to score."""
    from genomic_lens.metrics import bootstrap_interval

    codes = np.searchsorted(np.array(list("ACGT")), np.array(list(sequence)))
    first, second, _ = np.cumsum([round(len(codes) * share) for share in FRACTIONS.values()])
    bits = []
    for order in range(12):
        words = sum(codes[place : len(codes) - order + place] * 4 ** (order - place) for place in range(order + 1))
        counts = np.bincount(words[: first - order], minlength=4 ** (order + 1)).reshape(-1, 4) + 0.5
        surprise = -np.log2(counts / counts.sum(1, keepdims=True)).ravel()[words]
        bits.append(np.concatenate([np.full(order, np.nan), surprise]))
    best = min(range(len(bits)), key=lambda order: bits[order][first:second].mean())
    found = []
    for method, order in (("base composition", 0), (f"Markov chain of order {best}", best)):
        test = bits[order][second:]
        interval = bootstrap_interval(np.mean, test, groups=np.arange(len(test)) // 1000, seed=SEED)
        found += entries(method, {"bits_per_base": interval})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="folder of downloaded packages; missing ones are fetched into it")
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    parser.add_argument("--baselines", action="store_true", help="measure the baselines instead of building files")
    options = parser.parse_args()
    cards = yaml.safe_load((FILES / CARDS).read_text(encoding="utf-8"))
    if options.baselines:
        for name, card in cards.items():
            card["baselines"] = baselines(name)
        (FILES / CARDS).write_text(write_cards(cards), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as temporary:
        content = build((options.packages or Path(temporary)).resolve())
    if options.check:
        problems = differences(content, cards)
        print("\n".join(problems) or f"{len(content)} files agree with their cards and with the packages")
        sys.exit(bool(problems))
    packed = {name: compress(text) for name, text in content.items()}
    for name, data in packed.items():
        (FILES / name).write_bytes(data)
    for name, card in cards.items():
        card.update(facts(name, content, packed))
    (FILES / CARDS).write_text(write_cards(cards), encoding="utf-8")
    print(f"{len(packed)} files, {sum(map(len, packed.values())):,} bytes")


if __name__ == "__main__":
    main()
