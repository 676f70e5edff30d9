"""Figures, one per file: each `plot_` function draws data on a matplotlib Axes, and returns the Axes.

`CAPTIONS` has the caption of each function, `STYLE` is the path of the style file, and `WIDTHS` are the two final
widths in inches.
"""

from ltm_pyro.plots.accuracy_by_passes import plot_accuracy_by_passes
from ltm_pyro.plots.aggregate import plot_aggregate
from ltm_pyro.plots.bias import plot_bias
from ltm_pyro.plots.budgets import plot_budgets
from ltm_pyro.plots.captions import CAPTIONS
from ltm_pyro.plots.curves import plot_curves
from ltm_pyro.plots.drawing import WIDTHS, Drawing
from ltm_pyro.plots.four_numbers import plot_number
from ltm_pyro.plots.gaps import plot_gaps
from ltm_pyro.plots.guide_curves import plot_guide_curves
from ltm_pyro.plots.layers import plot_layers
from ltm_pyro.plots.learning import plot_learning
from ltm_pyro.plots.learning_curves import plot_kl_by_layer, plot_learning_curves
from ltm_pyro.plots.pass_at_k import plot_pass_at_k
from ltm_pyro.plots.ranks import plot_ranks
from ltm_pyro.plots.reliability import plot_pareto_k
from ltm_pyro.plots.saving import save_drawing, save_drawings, save_figure
from ltm_pyro.plots.scaling import plot_law, plot_scaling
from ltm_pyro.plots.signal_to_noise import plot_signal_to_noise
from ltm_pyro.plots.style import STYLE
from ltm_pyro.plots.task_scores import plot_task_scores
from ltm_pyro.plots.text_quality import plot_text_quality
from ltm_pyro.plots.text_sets import plot_text_sets
from ltm_pyro.plots.thoughts import plot_latent_map, plot_probe, plot_thoughts
from ltm_pyro.plots.tightness import plot_tightness
from ltm_pyro.plots.token_level import plot_attention, plot_fast_step_sweep, plot_interpolation
from ltm_pyro.plots.variance import plot_variance

__all__ = [
    "CAPTIONS",
    "STYLE",
    "WIDTHS",
    "Drawing",
    "plot_accuracy_by_passes",
    "plot_aggregate",
    "plot_attention",
    "plot_bias",
    "plot_budgets",
    "plot_curves",
    "plot_fast_step_sweep",
    "plot_gaps",
    "plot_guide_curves",
    "plot_interpolation",
    "plot_kl_by_layer",
    "plot_latent_map",
    "plot_law",
    "plot_layers",
    "plot_learning",
    "plot_learning_curves",
    "plot_number",
    "plot_pareto_k",
    "plot_pass_at_k",
    "plot_probe",
    "plot_ranks",
    "plot_scaling",
    "plot_signal_to_noise",
    "plot_task_scores",
    "plot_text_quality",
    "plot_text_sets",
    "plot_thoughts",
    "plot_tightness",
    "plot_variance",
    "save_drawing",
    "save_drawings",
    "save_figure",
]
