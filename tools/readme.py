"""Write README.md from nbs/index.ipynb with nbconvert; cells that begin with a directive such as `#| hide` stay out."""

from pathlib import Path

from nbconvert import MarkdownExporter
from nbconvert.preprocessors import RegexRemovePreprocessor

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by `make sync` from nbs/index.ipynb: edit there. -->\n\n"


def main() -> None:
    exporter = MarkdownExporter()
    exporter.register_preprocessor(RegexRemovePreprocessor(patterns=[r"#\|\s*(hide|default_exp|export)"]), enabled=True)
    text, _ = exporter.from_filename(str(ROOT / "nbs" / "index.ipynb"))
    # The notebook lives one folder down; GitHub shows the README from the top.
    text = text.replace("../docs/", "docs/").replace("](../", "](")
    (ROOT / "README.md").write_text(NOTE + text.strip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
