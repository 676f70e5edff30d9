"""Text of a run shows in a model card and does nothing else."""

import html

import pytest

from ltm_pyro.sharing.escaping import escaped, escaped_table, quoted

HOSTILE = [
    "![](https://example.org/pixel.png)",
    "[click](javascript:alert(1))",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "https://example.org and www.example.org",
    "# heading",
    "`code` *bold* _under_ ~~gone~~ $x$ @someone | cell",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_it_has_a_meaning_and_it_reads_as_before(text):
    safe = escaped(text)
    assert not set("<>[]`*_#|~$@") & set(safe.replace("&#", ""))
    assert "://" not in safe
    assert "www." not in safe
    assert html.unescape(safe) == text


def test_it_stays_on_one_line():
    assert "\n" not in escaped("a\n---\ntags: [x]\n\u202eb") + quoted("a\n`b`|")
    assert quoted("a`b|c") == "`a'b/c`"


@pytest.mark.parametrize("line", ["---", "===", "- - -", *HOSTILE])
def test_notes_of_a_table_make_no_heading_no_picture_and_no_html(line):
    table = escaped_table(f"| a | b |\n| - | -: |\n| 1 ± 2 | {line.replace('|', '')} |\n\n{line}\n")
    assert table.startswith("| a | b |\n| - | -: |\n|")
    last = table.splitlines()[-1]
    assert last.startswith("| 1 ± 2 |") or not last or not set(last) <= set("-= ")
    assert "<" not in table
    assert "![" not in table
