"""The documentation site builds without a warning, and its pages are whole on a screen and on a phone."""

import importlib
import importlib.util
import inspect
import os
import re
import shutil
import struct
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTENSIONS = ROOT / "docs" / "_extensions"


def built_in(source, *options):
    """The site, built from a copy of its sources, without a warning."""
    for needed in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(needed)
    kept = ("docs", "benchmarks", "notebooks", "models", "guides", "ltm_pyro")
    for name in kept:
        if (ROOT / name).exists():
            ignored = shutil.ignore_patterns("_build", "__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for page in (*ROOT.glob("*.md"), ROOT / "CITATION.cff"):
        shutil.copy(page, source)
    built = source / "built"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", *options]
    command += [str(source / "docs"), str(built)]
    result = subprocess.run(command, cwd=source, env={**os.environ}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    return built


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site but for the pages of the library's sources, which would take as long as all others."""
    return built_in(tmp_path_factory.mktemp("site"), "-t", "without_sources")


@pytest.mark.slow
def test_the_sources_have_pages_too(tmp_path):
    site = built_in(tmp_path)
    assert "ltm_pyro.bounds.elbo" in (site / "_modules" / "index.html").read_text(encoding="utf-8")
    assert "_modules/ltm_pyro/bounds/elbo.html" in (site / "api" / "bounds.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """The text that a page shows, the files that it asks for, and its first title."""

    def __init__(self, file):
        super().__init__()
        self.text, self.sources, self.titles, self._inside = "", [], [], []
        self.feed(re.sub(r"<(br|hr|img|input|link|meta)\b", r"<\1", file.read_text(encoding="utf-8")))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag in ("img", "script", "link", "iframe", "source") and attributes.get("rel") != "canonical":
            self.sources += [attributes[name] for name in ("src", "href") if attributes.get(name)]
        if tag not in ("br", "hr", "img", "input", "link", "meta", "path", "source"):
            self._inside.append((tag, attributes.get("class") or ""))

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tags = {tag for tag, _ in self._inside}
        verbatim = tags & {"pre", "code", "script", "style", "title"}
        if "h1" in tags:
            self.titles.append(data)
        if "article" in tags and not verbatim and not any(re.search(r"\b(math|sig)\b", c) for _, c in self._inside):
            self.text += data


RAW = {
    "a link": r"\]\(",
    "bold": r"\*\*",
    "code": r"`",
    "an equation": r"\$[^$\n]+\$|\\(?:frac|sum|log|mathbb|mathrm)\b",
    "a role": r":(?:math|class|func|meth|ref):|\{[a-z]+\}`",
    "a label without its link": r"\[[A-Z]+\.\w+",
}


def pages(site):
    written = [path for path in site.rglob("*.html") if not {"_modules", "_static"} & set(path.parts)]
    return [path for path in written if path.stem not in ("genindex", "py-modindex", "search")]


def test_every_page_is_built_under_a_name_of_its_own(site):
    for page in (ROOT / "docs").glob("**/*.md"):
        if "_build" not in page.parts:
            assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file(), page
    titles = ["".join(Page(path).titles) for path in pages(site) if path.parent.name != "api"]
    assert all(titles)
    assert len(set(titles)) == len(titles), sorted(titles)


def test_nothing_is_left_as_it_was_written(site):
    for path in pages(site):
        text = Page(path).text
        for what, pattern in RAW.items():
            found = re.search(pattern, text)
            assert not found, (
                f"{what} stands raw in {path.name}: {text[max(0, found.start() - 60) : found.end() + 60]!r}"
            )


@pytest.mark.parametrize(
    ("html", "what"),
    [
        ("<p>see ([CITATION.cff <code>x</code>)</p>", "a label without its link"),
        ("<p>see [bounds](bounds.md)</p>", "a link"),
        ("<p>the weight $w^2$ of</p>", "an equation"),
        ("<p>see :class:`ELBO`</p>", "a role"),
        ("<p>this is **bold**</p>", "bold"),
    ],
)
def test_what_is_left_raw_would_be_noticed(html, what, tmp_path):
    for around, expected in (("article", True), ("pre", False)):
        page = tmp_path / "page.html"
        page.write_text(f"<article><{around}>{html}</{around}></article>", encoding="utf-8")
        assert bool(re.search(RAW[what], Page(page).text)) is expected


def test_pages_ask_nobody_else(site):
    for path in pages(site):
        assert not [source for source in Page(path).sources if re.match(r"(?:https?:)?//", source)], path.name


def test_the_reference_has_all_that_is_public(site):
    listed = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md"))}
    modules = [name for text in listed.values() for name in re.findall(r"automodule:: (\S+)", text)]
    assert len(modules) > 10
    described = "".join((site / "api" / path.with_suffix(".html").name).read_text(encoding="utf-8") for path in listed)
    found = {name.split(".")[-1] for name in re.findall(r'class="sig[^>]*id="([\w.]+)"', described)}
    for module in ("ltm_pyro", *modules):
        public = importlib.import_module(module)
        for name in public.__all__:
            thing = getattr(public, name)
            if inspect.isclass(thing) or inspect.isroutine(thing):
                assert name in found, f"{module}.{name}"


MISREAD = {
    "a symbol as a list": r'<ol class="(?:upper|lower)',
    "a fence as code": r"<code[^>]*><span class=\"pre\">`",
    "what is returned as its type": r"<dt[^>]*>Returns<span[^>]*>:</span></dt>\s*<dd[^>]*><p><em>",
    "a property's first words as its type": r"<dt[^>]*>Type<span",
    "two names as one": r"<strong>\w+</strong> \(<em>\w+</em><em>,",
    "what another library inherits to it": r"Alias for field number|performed at every call",
}


def test_docstrings_are_read_as_they_are_meant(site):
    for path in (site / "api").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        for what, pattern in MISREAD.items():
            found = re.search(pattern, text)
            assert not found, f"{path.name} takes {what}: {text[found.start() - 300 : found.end() + 100]}"


@pytest.mark.parametrize(
    ("what", "written", "shown"),
    [
        ("class", [":param layers: L."], [r":param layers: \L."]),
        ("class", ["Shape (*batch, T) of **all**."], [r"Shape (\*batch, T) of **all**."]),
        ("class", [":param x: Layers. More."], [":param x: Layers. More."]),
        ("property", ["D of them.", ":type: The square, about"], ["The square, about: D of them."]),
        ("attribute", ["What it is.", ":type: int"], ["What it is.", ":type: int"]),
        ("class", [":ivar low, high: the ends."], [":ivar low: the ends.", ":ivar high: the ends."]),
        (
            "class",
            [":vartype x: list[ltm_pyro.a.B]", "ltm_pyro.a.B"],
            [":vartype x: list[~ltm_pyro.a.B]", "ltm_pyro.a.B"],
        ),
        ("method", ["Define the computation performed at every call.", "Should"], []),
    ],
)
def test_what_docstrings_mean_is_what_is_shown(what, written, shown):
    assert extension("docstrings").mend(what, written) == shown


def test_notebooks_stand_with_their_outputs(site):
    for notebook in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        text = (site / "notebooks" / notebook.with_suffix(".html").name).read_text(encoding="utf-8")
        assert "<img" in text


def extension(name):
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[docs/bounds.md](docs/bounds.md)", "[](bounds.md)"),
        ("[how](docs/bounds.md#adding-a-bound)", "[how](bounds.md#adding-a-bound)"),
        ("([CONTRIBUTING.md](CONTRIBUTING.md))", "([](contributing.md))"),
        ("[first](notebooks/01_what_is_a_bound.ipynb)", "[first](notebooks/01_what_is_a_bound.ipynb)"),
        ("[course](notebooks/README.md)", "[course](notebooks.md)"),
        ("[CITATION.cff](CITATION.cff)", "{download}`CITATION.cff <../CITATION.cff>`"),
        ("[`table`](benchmarks/README.md#a)", "{download}`table <../benchmarks/README.md>`"),
        ("[records](benchmarks/)", "records"),
        ("![two words](docs/figures/default-map.png)", "![two words](figures/default-map.png)"),
        (
            "[out](https://example.org) and [here](#two-commands)",
            "[out](https://example.org) and [here](#two-commands)",
        ),
        ("```\nx[0](docs/bounds.md)\n```\n`y[0](z)`", "```\nx[0](docs/bounds.md)\n```\n`y[0](z)`"),
    ],
)
def test_links_of_the_repository_become_those_of_the_site(written, shown):
    assert extension("forge_links").translate(written, ROOT, ROOT, ROOT / "docs") == shown


def test_a_figure_is_as_wide_as_its_inches():
    figure_sizes = extension("figure_sizes")
    png = (ROOT / "docs" / "figures" / "default-map.png").read_bytes()
    pixels = struct.unpack(">I", png[16:20])[0]
    assert figure_sizes.width(png) == pytest.approx(pixels / 200 * figure_sizes.INCH, rel=1e-3)  # 200 an inch
    sparse = png.replace(b"pHYs" + struct.pack(">I", 7874), b"pHYs" + struct.pack(">I", 3150))  # 80 an inch
    assert sparse != png
    assert figure_sizes.width(sparse) == pixels  # no more than it has
    assert figure_sizes.width(png[:33] + png[33:].replace(b"pHYs", b"tEXt")) is None


# What is wider than a phone without being movable sideways, and where the page itself has become movable.
OVERFLOWS = """() => {
  const width = document.documentElement.clientWidth
  const moves = e => { for (let n = e; n && n !== document.body; n = n.parentElement)
    if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(n).overflowX)) return true; return false }
  const wide = [...document.querySelectorAll('article *')].filter(e => !e.closest('mjx-assistive-mml')
    && e.getBoundingClientRect().width && e.getBoundingClientRect().right > width + 1 && !moves(e.parentElement))
  const page = document.documentElement.scrollWidth > width ? ['the page: ' + document.documentElement.scrollWidth] : []
  return page.concat(wide.map(e => e.tagName + ' ' + e.textContent.slice(0, 60)))
}"""
# Text that is hardly seen on its ground, by WCAG's contrast.
FAINT = """() => {
  const part = c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4
  const light = c => .2126 * part(c[0]) + .7152 * part(c[1]) + .0722 * part(c[2])
  const numbers = s => { const c = s.match(/[\\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c }
  const ground = e => { for (let n = e; n; n = n.parentElement) {
    const c = numbers(getComputedStyle(n).backgroundColor); if (c[3] > .5) return c } return [255, 255, 255] }
  const found = new Set(), texts = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const text = texts.currentNode, e = text.parentElement
    if (!text.data.trim() || !e.getBoundingClientRect().width || e.closest('script, style, mjx-container')) continue
    const [one, two] = [light(numbers(getComputedStyle(e).color)), light(ground(e))]
    const contrast = (Math.max(one, two) + .05) / (Math.min(one, two) + .05)
    if (contrast >= LEAST) continue
    found.add(`${e.tagName}.${e.className} ${contrast.toFixed(1)}: ${text.data.trim().slice(0, 40)}`)
  }
  return [...found]
}""".replace("LEAST", "4.4")
BROKEN_EQUATIONS = "() => [...document.querySelectorAll('[data-mjx-error]')].map(e => e.dataset.mjxError)"


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (390, "dark")])
def test_pages_are_whole_on_a_screen_and_on_a_phone(site, browser, width, colours):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
    faults = {}
    for path in pages(site):
        page = context.new_page()
        said = faults.setdefault(str(path.relative_to(site)), [])
        page.on("pageerror", lambda error, said=said: said.append(f"{error}"))
        page.on("console", lambda message, said=said: said.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri())
        page.wait_for_function("() => !window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)")
        said += page.evaluate(OVERFLOWS) + page.evaluate(BROKEN_EQUATIONS) + page.evaluate(FAINT)
        page.close()
    assert not {name: said for name, said in faults.items() if said}


def test_what_is_too_wide_would_be_noticed(browser):
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.set_content("<article><p style='width: 500px'>wide</p></article>")
    assert any(found.startswith("P wide") for found in page.evaluate(OVERFLOWS))
    page.set_content("<article><div style='overflow-x: auto'><p style='width: 500px'>wide</p></div></article>")
    assert page.evaluate(OVERFLOWS) == []


def test_what_is_too_faint_would_be_noticed(browser):
    page = browser.new_page()
    page.set_content("<article style='background: #eee'><code class='c1' style='color: #60a0b0'># why</code></article>")
    assert page.evaluate(FAINT) == ["CODE.c1 2.5: # why"]
    page.set_content("<article style='background: #eee'><code style='color: #345'># why</code></article>")
    assert page.evaluate(FAINT) == []
