"""The Transformer decoder: attention, rotary positions, blocks and the writing cache."""

from ltm_pyro.models.decoder.cache import DecoderCache
from ltm_pyro.models.decoder.decoder import Decoder

__all__ = ["Decoder", "DecoderCache"]
