"""What Sphinx lacks: formulas that need no script, and links from every name of the library to where it is told."""

import json

from docutils import nodes
from latex2mathml.converter import convert
from outline import LIBRARY, packages
from sphinx import addnodes
from sphinx.roles import XRefRole
from sphinx.util import inspect, logging
from sphinx.util.nodes import make_refnode

from genomic_lens.plots.style import THEMES

logger = logging.getLogger(__name__)


def inline_math(writer, node) -> None:
    """LaTeX to MathML, which browsers draw by themselves."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block_math(writer, node) -> None:
    """The same for a formula on lines of its own."""
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def places() -> dict[str, tuple[str, str]]:
    """Page and anchor of each name, by the module that defines it: the API if it is public, else its notebook."""
    found = {}
    for package in packages():
        for module in package.modules:
            owner = module.name if module in package.public_modules else package.name
            public = module.directives if module in package.public_modules else package.exports(module)
            found |= {f"{module.name}.{name}": (module.notebook, "") for name in module.directives}
            found |= {f"{module.name}.{name}": (f"api/{owner}", f"{owner}.{name}") for name in public}
            found[module.name] = module.notebook, ""
    return found


class Name(XRefRole):
    """Words between single backticks: shown as they are written, and a link if they name something."""

    def process_link(self, env, node, has_title, title, target) -> tuple[str, str]:
        node["py:module"], node["py:class"] = env.ref_context.get("py:module"), env.ref_context.get("py:class")
        return title, target


def in_see_also(node: nodes.Element | None) -> bool:
    """Whether a node stands in a See Also."""
    return node is not None and (isinstance(node, addnodes.seealso) or in_see_also(node.parent))


def find(target: str, module: str, known: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    """The place of a full name, or of a short one in the module that it stands in or the packages around that."""
    while target not in known and module:
        near = [name for name in known if name.startswith(f"{module}.") and name.endswith(f".{target}")]
        target, module = (near[0], "") if len(near) == 1 else (target, module.rpartition(".")[0])
    return known.get(target)


def resolve(app, env, node, content) -> nodes.reference | None:
    """Link a name that the Python domain does not know to the place it is told at."""
    target = node.get("reftarget", "")
    own = target.startswith(f"{LIBRARY}.")
    listed = node.get("reftype") == "obj" and in_see_also(node)
    likely = own or listed or target[:1].isupper() or "." in target  # any other word may mean something else
    if node.get("refdomain") != "py" or not likely:
        return None
    if place := find(target, node.get("py:module") or LIBRARY, app.genomic_lens_places):
        return make_refnode(app.builder, node["refdoc"], *place, content, target)
    if own or (listed and "." not in target):
        logger.warning("There is no %s.", target, location=node, type="ref")
    return None


def drop_docstring_of_type(app, what, name, value, options, lines) -> None:
    """A constant has no docstring; that of its type says nothing about it."""
    if what == "data" and lines and lines[0] in (type(value).__doc__ or ""):
        lines.clear()


def public_bases(app, name, value, options, bases) -> None:
    """Name the bases of a private base in its place."""
    bases[:] = [base for given in bases for base in (given.__bases__ if given.__name__[0] == "_" else (given,))]


def own_signature(app, what, name, value, options, signature, returns) -> tuple[str, str] | None:
    """A widget is made by its own `__init__`, whatever the `__new__` of traitlets takes."""
    if what != "class" or not (signature or "").startswith("(*args"):
        return None
    own = inspect.signature(value.__init__, bound_method=True)
    return inspect.stringify_signature(own, unqualified_typehints=True), returns


def drop_bare_base(app, page) -> None:
    """That a class derives from `object` goes without saying."""
    for content in page.findall(addnodes.desc_content):
        if content.children and content[0].astext() == "Bases: object":
            del content[0]


def dark_colours() -> str:
    """A script that says which colour of the light theme becomes which of the dark one."""
    pairs = {}
    for name, light in THEMES["light"].items():
        dark = THEMES["dark"][name]
        pairs |= {light: dark} if isinstance(light, str) else dict(zip(light, dark, strict=True))
    return f"window.darkColours = {json.dumps(pairs)};"


def setup(app) -> dict[str, bool]:
    app.genomic_lens_places = places()
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", drop_docstring_of_type)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("autodoc-process-signature", own_signature)
    app.connect("doctree-read", drop_bare_base)
    app.add_role_to_domain("py", "name", Name())
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.add_js_file(None, body=dark_colours())
    app.add_js_file("figures.js")
    app.add_css_file("site.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
