"""Trackers of experiments that receive the configuration, metrics, figures and samples of a run in training."""

from ltm_pyro.runs.trackers.trackers import Trackers

__all__ = ["Trackers"]
