"""Build script. All metadata comes from settings.ini, so a version or a requirement is declared once."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=["="])
ini.read(here / "settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]


def lines(key):
    return [line.strip() for line in cfg.get(key, "").splitlines() if line.strip()]


extras = {key.removesuffix("_requirements"): lines(key) for key in cfg if key.endswith("_requirements")}
readme = here / "README.md"
setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    license="MIT",
    url=cfg["git_url"],
    keywords=cfg["keywords"].split(),
    packages=find_packages(include=[cfg["lib_path"], cfg["lib_path"] + ".*"]),
    include_package_data=True,
    package_data={cfg["lib_path"]: ["**/*.js", "**/*.css", "**/*.html", "**/*.gz", "**/*.yaml"]},
    python_requires=f">={cfg['min_python']}",
    install_requires=lines("requirements"),
    extras_require=extras,
    entry_points={"console_scripts": lines("console_scripts")},
    zip_safe=False,
)
