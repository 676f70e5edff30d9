"""Executes the notebooks and stores them with their outputs: `make notebooks`, or `python -m notebooks.store 3`.

`NN_name.py` (py:percent) is what people write and review; `NN_name.ipynb` is the same cells with the outputs of a run
from a clean kernel. Nothing in it changes from run to run but what the cells compute.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent


def sources() -> list[Path]:
    """The notebooks' py:percent files, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def read(source: Path) -> NotebookNode:
    """A notebook without outputs, its cells numbered, so that the same text gives the same file."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
    notebook.metadata = NotebookNode(
        jupytext={"formats": "ipynb,py:percent"},
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    return notebook


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """The cells that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Runs every cell in a clean kernel that stands in `folder`; the first error is raised.

    What a slider shows goes to its cell. A client that mirrors it into the widget sends on the socket on which the
    kernel answers; now and then the answer then goes unnoticed until the cell's timeout (nbclient's issue 312).
    """
    client = NotebookClient(
        notebook,
        timeout=1800,  # seconds a cell, on a busy machine
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    )
    client.comm_open_handlers = {}
    return client.execute()


def settle(notebook: NotebookNode) -> NotebookNode:
    """Leaves out what only a living kernel can show, or what is new in every run: sliders, warnings, versions."""
    for cell in tagged(notebook, "slider"):
        cell.outputs = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.language_info = NotebookNode(name="python")
    notebook.metadata.pop("widgets", None)
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, help="which notebooks; all, if none is named")
    wanted = parser.parse_args().numbers
    for source in sources():
        if wanted and int(source.name[:2]) not in wanted:
            continue
        began = time.perf_counter()
        notebook = settle(execute(read(source), FOLDER))
        nbformat.write(notebook, source.with_suffix(".ipynb"))
        print(f"{source.with_suffix('.ipynb').name}: {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
