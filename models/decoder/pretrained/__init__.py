"""A pretrained causal language model as the decoder: its frozen body, the injections of thoughts, and its cache."""

from ltm_pyro.models.decoder.pretrained.decoder import PretrainedDecoder

__all__ = ["PretrainedDecoder"]
