"""Docstrings name their thing first."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("ltm_pyro", "models", "guides", "benchmarks", "tests", "notebooks", "docs")
FILES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "ltm_pyro/models" not in str(path)
)
QUESTIONS = ("What", "Which", "How", "Where", "When", "Why", "Who", "It", "Told", "Given")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def vague_openings(source):
    """First lines of docstrings that begin with a question word or a pronoun instead of a noun or a verb."""
    for node in ast.walk(ast.parse(source)):
        docstring = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if docstring and docstring.split()[0].rstrip(",:") in QUESTIONS:
            yield docstring.splitlines()[0]


def test_docstrings_name_their_thing_first():
    assert {str(path): found for path in FILES if (found := list(vague_openings(path.read_text("utf-8"))))} == {}


@pytest.mark.parametrize(
    "source",
    ['"""What a module does."""', 'def f():\n    """How it is done."""', 'class C:\n    """Which of them, by name."""'],
)
def test_a_vague_opening_is_noticed(source):
    assert list(vague_openings(source))
    assert not list(vague_openings(source.replace("What", "Sizes").replace("How", "As").replace("Which", "Those")))
