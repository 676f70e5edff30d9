"""Every link in the repository's pages leads to a file that is there, and to a heading that is in it."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^()\s]+)\)")
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
REFERENCE = re.compile(r"\[[^\[\]\n]+\]\[([^\[\]\n]+)\]")
DEFINITION = re.compile(r"^\[([^\[\]\n]+)\]: \S+$", re.MULTILINE)
LISTED = re.compile(r"(?:1[.)]|[-+*])\s")  # what begins a list in the middle of a paragraph

FOLDERS = ("docs", "benchmarks", "notebooks")
PAGES = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md")))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def text_of(page):
    if page.suffix == ".ipynb":
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return page.read_text(encoding="utf-8")


def anchors(page):
    """Headings as a forge names them."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub(lambda code: code[0].replace("#", ""), text_of(page)), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def broken(text, here):
    """The links of a text that stands in the file `here` that lead nowhere."""
    linked = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for target in LINK.findall(linked):
        path, _, anchor = target.partition("#")
        if ":" in target:
            continue
        file = (here.parent / path).resolve() if path else here
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


def undefined(text):
    """Labels of links whose targets stand at the end of the page, `[text][label]`, and do not stand there."""
    written = CODE.sub("", text)
    return set(REFERENCE.findall(written)) - set(DEFINITION.findall(written))


def lists_in_paragraphs(text):
    """Lines of a paragraph that begin as a list does, and so are shown as one."""
    before = ""
    for line in re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
        listed = LISTED.match(line) and before.strip()
        if listed and not re.match(r"\s*(?:[-+*>|#:]|\d+[.)]|<!--)|  ", before):
            yield line
        before = line


every_page = pytest.mark.parametrize(
    "page", PAGES + NOTEBOOKS, ids=[str(p.relative_to(ROOT)) for p in PAGES + NOTEBOOKS]
)


@every_page
def test_links_lead_somewhere(page):
    assert list(broken(text_of(page), page)) == []


@every_page
def test_labels_of_links_are_defined(page):
    assert undefined(text_of(page)) == set()


@every_page
def test_paragraphs_stay_whole(page):
    assert list(lists_in_paragraphs(text_of(page))) == []


def test_what_leads_nowhere_would_be_noticed():
    here = ROOT / "README.md"
    text = (
        "[a](docs/nowhere.md) [b](docs/bounds.md#no-such-heading) [c](docs/bounds.md#adding-a-bound) [d](#where-next)"
    )
    assert list(broken(text, here)) == ["docs/nowhere.md", "docs/bounds.md#no-such-heading"]
    assert list(broken("```\n[a](nowhere)\n```\n[b](https://nowhere)", here)) == []


def test_a_label_without_its_target_would_be_noticed():
    assert undefined(
        "[a][one], `b[0][i]`, [c][two]\n\n[one]: https://nowhere\n[two]: https://nowhere# with blanks"
    ) == {"two"}


def test_a_broken_paragraph_would_be_noticed():
    assert list(lists_in_paragraphs("They add up to\n1. With time")) == ["1. With time"]
    assert list(lists_in_paragraphs("the prior\n- the ELBO")) == ["- the ELBO"]
    assert list(lists_in_paragraphs("- one\n- two\n  more\n- three\n\n1. first\n2. second\n\n# T\n- four")) == []
