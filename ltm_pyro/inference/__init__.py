"""Inference at two rates. It is handed a model, a guide and a bound, and knows no concrete one."""

from ltm_pyro.freezing import frozen
from ltm_pyro.inference.batch import refuse_unfit
from ltm_pyro.inference.contracts import Guide, Model, guide_of, model_of
from ltm_pyro.inference.dual_rate import DualRateSVI
from ltm_pyro.inference.fast_loop import FastLoop
from ltm_pyro.inference.log_joint import LogJoint
from ltm_pyro.inference.natural_gradient import NaturalGradient
from ltm_pyro.inference.observers import FastStep, Fit, StepObserver, WeightObserver
from ltm_pyro.inference.preference import AnswerScores, Preference
from ltm_pyro.inference.prefix_cache import PrefixCache
from ltm_pyro.inference.reference import reference_of
from ltm_pyro.inference.shared_thoughts import SharedThoughts
from ltm_pyro.inference.slow_step import NonFiniteError, SlowStep
from ltm_pyro.inference.table_fit import TableFit, towards_a_bound
from ltm_pyro.inference.unrolled_loop import UnrolledLoop
from ltm_pyro.inference.updates import differentiable_step

__all__ = [
    "AnswerScores",
    "DualRateSVI",
    "FastLoop",
    "FastStep",
    "Fit",
    "Guide",
    "LogJoint",
    "Model",
    "NaturalGradient",
    "NonFiniteError",
    "Preference",
    "PrefixCache",
    "SharedThoughts",
    "SlowStep",
    "StepObserver",
    "TableFit",
    "UnrolledLoop",
    "WeightObserver",
    "differentiable_step",
    "frozen",
    "guide_of",
    "model_of",
    "reference_of",
    "refuse_unfit",
    "towards_a_bound",
]
