"""Figures, one a file: each function takes data and a matplotlib Axes, and draws there."""

from ltm_pyro.plots.bias import plot_bias
from ltm_pyro.plots.budgets import plot_budgets
from ltm_pyro.plots.curves import plot_curves
from ltm_pyro.plots.learning_curves import plot_kl_by_layer, plot_learning_curves
from ltm_pyro.plots.pass_at_k import plot_pass_at_k
from ltm_pyro.plots.ranks import plot_ranks
from ltm_pyro.plots.reliability import plot_pareto_k
from ltm_pyro.plots.saving import save_figure
from ltm_pyro.plots.signal_to_noise import plot_signal_to_noise
from ltm_pyro.plots.task_scores import plot_task_scores
from ltm_pyro.plots.text_quality import plot_text_quality
from ltm_pyro.plots.text_sets import plot_text_sets
from ltm_pyro.plots.tightness import plot_tightness
from ltm_pyro.plots.variance import plot_variance

__all__ = [
    "plot_bias",
    "plot_budgets",
    "plot_curves",
    "plot_kl_by_layer",
    "plot_learning_curves",
    "plot_pareto_k",
    "plot_pass_at_k",
    "plot_ranks",
    "plot_signal_to_noise",
    "plot_task_scores",
    "plot_text_quality",
    "plot_text_sets",
    "plot_tightness",
    "plot_variance",
    "save_figure",
]
