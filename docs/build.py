"""Build the documentation site: copy the notebooks, execute them, make their figures live, run Sphinx, check.

    python docs/build.py --out _docs [--no-execute]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

from notebooks import execute_all, needs_run, prepare
from pages import write_pages

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}


def copy_sources(source: Path) -> None:
    """Notebooks, pictures and the guide for contributors, where they lie in the repository."""
    unwanted = shutil.ignore_patterns(".ipynb_checkpoints", "demo")
    for folder in ("nbs", "tutorials", "docs/images"):
        shutil.copytree(ROOT / folder, source / folder, ignore=unwanted)
    shutil.copy(ROOT / "CONTRIBUTING.md", source)


def run_sphinx(source: Path, site: Path) -> None:
    """Write the site; a warning, such as a broken reference, ends the build."""
    options = ["-q", "-W", "--keep-going", "-j", "auto", "-b", "html", "-c", str(HERE)]
    options += ["-d", str(source.with_name("doctrees"))]
    if subprocess.run([sys.executable, "-m", "sphinx", *options, str(source), str(site)]).returncode:
        sys.exit("The site is not replaced: Sphinx warned.")
    (site / "_static" / "webpack-macros.html").unlink(missing_ok=True)  # a template of the theme, no page


def keep_written_pages(source: Path, site: Path) -> None:
    """Pages that a tutorial wrote into its folder `demo`, and shows in a frame, lie at the same place of the site."""
    for page in source.glob("tutorials/demo/*.html"):
        target = site / page.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, target)


class Reader(HTMLParser):
    """Collects the addresses that a page loads by itself."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if (tag, name) in LOADED and value]


def outside_requests(site: Path) -> list[str]:
    """Everything that the pages or styles of a site would load from elsewhere."""
    loaded = [(page, url) for page in site.rglob("*.html") for url in Reader(page.read_text(encoding="utf-8")).found]
    for sheet in site.rglob("*.css"):
        loaded += [(sheet, url) for url in re.findall(r"""url\(["']?([^"')]+)""", sheet.read_text(encoding="utf-8"))]
    return [f"{file.relative_to(site)} loads {url}" for file, url in loaded if re.match(r"(https?:)?//", url)]


def replace_site(site: Path, out: Path) -> None:
    """Put a new site in the place of an old one, and of nothing else."""
    if out.exists() and any(out.iterdir()) and not (out / "objects.inv").exists():
        sys.exit(f"{out} holds something that is no documentation site; pass another folder.")
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(site, out)


def build(out: Path, execute: bool = True) -> None:
    """The whole way from the repository to the site."""
    with tempfile.TemporaryDirectory() as scratch:
        source, site = Path(scratch, "source"), Path(scratch, "site")
        copy_sources(source)
        write_pages(source)
        notebooks = sorted(source.rglob("*.ipynb"), key=lambda page: (page.parent.name != "tutorials", page))
        if execute:
            execute_all([notebook for notebook in notebooks if needs_run(notebook)])
        for notebook in notebooks:
            prepare(notebook)
        run_sphinx(source, site)
        keep_written_pages(source, site)
        if problems := outside_requests(site):
            sys.exit("\n".join(problems))
        replace_site(site, out)
    print(f"{len(list(out.rglob('*.html')))} pages: {out / 'index.html'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the site; a site that is there is replaced")
    parser.add_argument("--no-execute", action="store_true", help="show the outputs that are stored")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # notebooks run side by side, and their models are tiny
    build(options.out, not options.no_execute)


if __name__ == "__main__":
    main()
