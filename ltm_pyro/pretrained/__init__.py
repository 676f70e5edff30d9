"""Pretrained models of transformers as data: found, identified by a hash, converted once, and loaded without code."""

from ltm_pyro.pretrained.freezing import freeze, frozen_weights
from ltm_pyro.pretrained.loading import load_model
from ltm_pyro.pretrained.source import PretrainedSource, find_source
from ltm_pyro.pretrained.text_embedding import TextEmbedding

__all__ = ["PretrainedSource", "TextEmbedding", "find_source", "freeze", "frozen_weights", "load_model"]
