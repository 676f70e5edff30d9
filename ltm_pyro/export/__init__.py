"""Results for other tools: draws of q(z) with their densities as a DataTree, numbers of single texts as a table."""

from ltm_pyro.export.draw_recorder import DrawRecorder
from ltm_pyro.export.per_text import text_columns
from ltm_pyro.export.tables import write_table
from ltm_pyro.export.tree import data_tree, write_tree

__all__ = ["DrawRecorder", "data_tree", "text_columns", "write_table", "write_tree"]
