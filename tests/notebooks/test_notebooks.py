"""Every notebook runs from a clean kernel, is stored as it is written, and its exercises can be solved and missed."""

import ast
import importlib
import re
from copy import deepcopy

import nbformat
import pytest
from nbclient.output_widget import OutputWidget

from notebooks.store import FOLDER, execute, read, sources, tagged

SOURCES = sources()
every_notebook = pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
LONGEST_CELL = 40  # lines
QUICK = {  # lines of long notebooks, and what stands there in their quick tests
    "03_sixty_lines": {
        "texts, topics = write_texts(240)  # held out: nothing learns from them": "texts, topics = write_texts(96)",
        "STEPS, RATE = 120, 0.01": "STEPS, RATE = 8, 0.01",
        "    ltm.FastLoop(ltm.ELBO(), steps=32).fit(program, guide, texts)": (
            "    ltm.FastLoop(ltm.ELBO(), steps=4).fit(program, guide, texts)"
        ),
        "    elbo = ltm.ELBO(particles=64).terms(program, guide, texts).elbo": (
            "    elbo = ltm.ELBO(particles=16).terms(program, guide, texts).elbo"
        ),
    },
    "04_fast_and_slow": {
        "held_out = write_texts(200)": "held_out = write_texts(60)",
        "def train(fast_steps, steps=120):": "def train(fast_steps, steps=8):",
        "settings = [0, 1, 2, 4, 8, 16, 32, 64]": "settings = [0, 1, 2, 4, 8]",
        "def dial(model, guide, steps, particles=64):": "def dial(model, guide, steps, particles=16):",
    },
    "05_is_my_perplexity_a_bound": {
        "settings = [0, 5, 10, 20, 40, 80, 160, 320]": "settings = [0, 5, 10]",
        "        FastLoop(objective, 300, learning_rate=0.1).fit(line, guide, line.x)": (
            "        FastLoop(objective, 40, learning_rate=0.1).fit(line, guide, line.x)"
        ),
        "def train(write, objective, thoughts=1, window=4, fast_steps=8, steps=120):": (
            "def train(write, objective, thoughts=1, window=4, fast_steps=8, steps=8):"
        ),
        "model, guide = train(write_texts, ELBO(), fast_steps=16, steps=200)": (
            "model, guide = train(write_texts, ELBO(), fast_steps=8, steps=60)"
        ),
        "texts = write_texts(400)": "texts = write_texts(100)",
        "dial = [16, 32, 64, 128, 256]": "dial = [16]",
        "some = texts[:200]  # as a batch: no mask, word 0 before each, one byte a word": "some = texts",
        "batch = Batch(some, None, torch.zeros_like(some[:, 0]), torch.arange(200), torch.ones_like(some))": (
            "batch = Batch(some, None, torch.zeros_like(some[:, 0]), torch.arange(100), torch.ones_like(some))"
        ),
    },
    "06_choosing_a_prior": {
        "learned = {shape: {name: learn(make, SHAPES[shape]) for name, make in PRIORS.items()} for shape in SHAPES}": (
            "learned = {s: {name: learn(make, SHAPES[s], 10) for name, make in PRIORS.items()} for s in SHAPES}"
        ),
        "def learn(make, shape, steps=250):": "def learn(make, shape, steps=100):",
        "        (-prior().log_prob(shape(256)[0]).mean()).backward()": (
            "        (-prior().log_prob(shape(64)[0]).mean()).backward()"
        ),
        "    z, truth = shape(2000)": "    z, truth = shape(200)",
        "def train(prior, steps=150):": "def train(prior, steps=10):",
        "    held_out = write_texts(300)": "    held_out = write_texts(60)",
        "    FastLoop(ELBO(), 48).fit(model, guide, held_out)": ("    FastLoop(ELBO(), 8).fit(model, guide, held_out)"),
        "        return read, true_cost(model(batch_size=1000))": (
            "        return read, true_cost(model(batch_size=100))"
        ),
    },
    "07_choosing_a_guide": {
        "loop = FastLoop(ELBO(particles=8), steps=300, learning_rate=0.5, final_fraction=0.02)": (
            "loop = FastLoop(ELBO(particles=8), steps=60, learning_rate=0.5, final_fraction=0.02)"
        ),
        '    measured["mean field"].append(fitted_gap(model, MeanFieldGuide(model.z_shape)))': (
            '    measured["mean field"].append(fitted_gap(model, MeanFieldGuide(model.z_shape), steps=20))'
        ),
        '    measured["full covariance"].append(fitted_gap(model, FullCovarianceGuide(model.z_shape)))': (
            '    measured["full covariance"].append(fitted_gap(model, FullCovarianceGuide(model.z_shape), steps=20))'
        ),
        "        gaps[kind, name] = fitted_gap(model, make(model.z_shape))": (
            "        gaps[kind, name] = fitted_gap(model, make(model.z_shape), steps=20)"
        ),
    },
    "08_comparing_elbo_estimators": {
        '        direction = gradients(estimators["DoublyReparameterised"](S), toy, copies=20_000).mean(0)': (
            '        direction = gradients(estimators["DoublyReparameterised"](S), toy, copies=2_000).mean(0)'
        ),
        "def weight_gradients(bound, toy, repeats=300):": "def weight_gradients(bound, toy, repeats=50):",
    },
    "09_posterior_collapse": {"    for step in range(1, steps + 1):": "    for step in range(1, 21):"},
    "11_what_is_in_a_thought": {"STEPS = 160": "STEPS = 8"},
    "12_your_own_classes": {
        "loop = FastLoop(ELBO(particles=8), steps=120, learning_rate=0.2)": (
            "loop = FastLoop(ELBO(particles=8), steps=30, learning_rate=0.2)"
        ),
    },
}


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
    """What is imported from the library and is not in the `__all__` of the package it is imported from."""
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
    """What is sent while the kernel answers can hide its answer until the cell's timeout."""
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


def with_fewer(notebook, lines):
    """The notebook with some lines replaced by others, each of which must stand in it once."""
    for line, other in lines.items():
        (cell,) = (cell for cell in code_cells(notebook) if line in cell.source.splitlines())
        cell.source = cell.source.replace(line, other)
    return notebook


@every_notebook
def test_it_runs_and_its_exercises_can_be_solved_and_missed(source, tmp_path):
    """Where whole runs take long, with fewer steps; `make test-all` runs it as it stands."""
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
