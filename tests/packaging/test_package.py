"""The package as it is published: what its archives hold, what they say, and that all places name one repository."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

from ltm_pyro.origin import REPOSITORY, requirement

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RELATIVE = re.compile(r"\]\((?!https?:|#|mailto:)[^)]+\)")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Names of the files in the wheel and in the source distribution, and the wheel's metadata."""
    folder = tmp_path_factory.mktemp("dist")
    environment = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": "1.2.3"}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    with zipfile.ZipFile(folder / "ltm_pyro-1.2.3-py3-none-any.whl") as wheel:
        in_wheel = set(wheel.namelist())
        metadata = message_from_bytes(wheel.read("ltm_pyro-1.2.3.dist-info/METADATA"))
    with tarfile.open(folder / "ltm_pyro-1.2.3.tar.gz") as source:
        in_source = {member.name.partition("/")[2] for member in source.getmembers()}
    return in_wheel, in_source, metadata


def tracked(folder: Path):
    """Files of a package in the repository, through its links, as an archive names them."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from ((Path(parent) / name).relative_to(ROOT).as_posix() for name in files if not name.endswith(".pyc"))


def test_both_archives_hold_the_whole_package(archives):
    in_wheel, in_source, _ = archives
    package = set(tracked(ROOT / "ltm_pyro"))
    assert {"ltm_pyro/models/latent_thought.py", "ltm_pyro/guides/mean_field.py", "ltm_pyro/py.typed"} < package
    assert {name for name in in_wheel if ".dist-info/" not in name} == package
    assert {name for name in in_source if name.startswith("ltm_pyro/")} == package


def test_the_source_distribution_holds_pages_and_notebooks_but_no_tests(archives):
    _, in_source, _ = archives
    assert {"CHANGELOG.md", "CITATION.cff", "SECURITY.md", "LICENSE", "constraints.txt", "docs/index.md"} < in_source
    assert "notebooks/01_what_is_a_bound.ipynb" in in_source
    top = {name.partition("/")[0] for name in in_source}
    assert not top & {"tests", "benchmarks", "models", "guides", ".ci", ".github"}


def test_the_readme_on_the_index_has_no_relative_link(archives):
    _, _, metadata = archives
    readme = metadata.get_payload()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert len(RELATIVE.findall((ROOT / "README.md").read_text(encoding="utf-8"))) > 10
    assert RELATIVE.findall(readme) == []
    assert f"]({REPOSITORY}/blob/main/docs/numbers.md#a-fit-that-has-converged)" in readme
    assert re.search(r"!\[[^\]]*\]\(https://raw\.githubusercontent\.com/", readme)


def test_the_metadata_say_who_what_and_where(archives):
    _, _, metadata = archives
    assert metadata["Author"] == "The ltm_pyro developers"
    assert metadata["License-Expression"] == "Apache-2.0"
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert urls["Repository"] == REPOSITORY
    assert all(urls[name].startswith(REPOSITORY) for name in ("Changelog", "Issues"))
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    tested = workflow["jobs"]["suite"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier")))
    assert named == tested


def test_all_places_name_one_repository():
    owner = REPOSITORY.rsplit("/", 2)[1]
    places = ["pyproject.toml", "CITATION.cff", "docs/installing.md", ".github/ISSUE_TEMPLATE/config.yml"]
    places += [path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("[0-9]*.*")]
    assert len(places) > 25
    for place in places:
        text = (ROOT / place).read_text(encoding="utf-8")
        assert REPOSITORY in text, place
        assert set(re.findall(r"github(?:usercontent)?\.com/([\w-]+)/ltm_pyro", text)) == {owner}, place


def test_notebooks_install_from_the_repository_while_the_name_is_on_no_index():
    for path in (ROOT / "notebooks").glob("[0-9]*.py"):
        assert re.search(r'"(ltm-pyro\[[a-z,]+\][^"]*)"', path.read_text(encoding="utf-8"))[1] in {
            requirement("notebooks"),
            requirement("notebooks,pretrained"),
        }


def test_every_extra_stands_in_the_table():
    page = (ROOT / "docs/installing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[\w`, -]+`) \|", page, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(named) == sorted(PROJECT["optional-dependencies"])


def test_every_requirement_is_pinned():
    """Direct dependencies and those of extras have a tested version in constraints.txt."""
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    wanted = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    names = {re.match(r"[\w.-]+", one)[0].lower() for one in wanted}
    assert names <= pinned
