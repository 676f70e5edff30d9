"""Links as a forge reads them, made links of the site.

Pages are read in the repository too, so what they link to are files: `docs/bounds.md` from the README,
`../benchmarks/README.md` from a page. Here those that are pages of the site lead there, other documents are handed
out as they are, and folders, which a site has none of, are named.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

# A fenced block or a literal, in which nothing is a link; or a link, or a picture.
PIECE = re.compile(
    r"(?P<code>^ *(```+)[^\n]*\n.*?^ *\2`*$|(?<!`)(`+)(?!`)(?:(?!\n\n).)*?(?<!`)\3(?!`))"
    r"|(?P<picture>!?)\[(?P<label>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)",
    re.DOTALL | re.MULTILINE,
)
HOSTED_PICTURE = re.compile(r"!\[([^\]]*)\]\(https?://[^)]*\)")
PAGES = {"README.md": "tour.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
PAGES |= {"SECURITY.md": "security.md"}
PAGES |= {"notebooks": "notebooks.md", "notebooks/README.md": "notebooks.md"}


def translate(text: str, root: Path, here: Path, parent: Path) -> str:
    """A text of the folder `here`, as it is to stand in a page of the folder `parent`."""

    def one(piece: re.Match[str]) -> str:
        target, _, anchor = (piece["target"] or "").partition("#")
        if piece["code"] or not target or ":" in target:
            return piece[0]
        file = (here / target).resolve()
        name = file.relative_to(root).as_posix() if file.is_relative_to(root) else ""
        label = piece["label"].replace("\n", " ")
        if piece["picture"]:
            return f"![{label}]({os.path.relpath(file, parent)})"
        if name in PAGES or name.startswith("docs/"):
            page = os.path.relpath(root / "docs" / PAGES.get(name, name.removeprefix("docs/")), parent)
            told = "" if label.strip("`").endswith(".md") else label  # the page's own title instead of its file's name
            return f"[{told}]({page}{'#' + anchor if anchor else ''})"
        if re.fullmatch(r"notebooks/\d\d_\w+\.ipynb", name):
            return f"[{label}]({os.path.relpath(root / 'docs' / name, parent)})"
        if file.is_dir():
            return label
        return f"{{download}}`{label.replace('`', '')} <{os.path.relpath(file, parent)}>`"

    return PIECE.sub(one, text)


def _page(app: Any, name: str, content: list[str]) -> None:
    file = Path(app.env.doc2path(name)).resolve()
    if file.suffix == ".ipynb":  # a badge is a picture that the network would be asked for
        content[0] = HOSTED_PICTURE.sub(r"\1", content[0])
    else:
        content[0] = translate(content[0], _root(app), file.parent, file.parent)


def _included(app: Any, file: Path, parent: str, content: list[str]) -> None:
    here = (Path(app.srcdir) / file).resolve().parent
    content[0] = translate(content[0], _root(app), here, Path(app.srcdir).resolve())


def _root(app: Any) -> Path:
    return Path(app.srcdir).resolve().parent


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _page)
    app.connect("include-read", _included)
    return {"parallel_read_safe": True}
