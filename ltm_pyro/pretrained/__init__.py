"""Pretrained models of transformers as data: found, identified by a hash, converted once, and loaded without code."""

from ltm_pyro.pretrained.freezing import freeze
from ltm_pyro.pretrained.loading import load_model
from ltm_pyro.pretrained.source import PretrainedSource, find_source

__all__ = ["PretrainedSource", "find_source", "freeze", "load_model"]
