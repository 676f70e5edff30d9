"""Decoders: the contract of all, and the Transformer: attention, rotary positions, blocks, incremental decoding."""

from ltm_pyro.models.decoder.abstract import AbstractDecoder
from ltm_pyro.models.decoder.abstract_cache import AbstractCache
from ltm_pyro.models.decoder.decoder import Decoder
from ltm_pyro.models.decoder.incremental import DecoderCache
from ltm_pyro.models.decoder.pretrained import PretrainedDecoder

__all__ = ["AbstractCache", "AbstractDecoder", "Decoder", "DecoderCache", "PretrainedDecoder"]
