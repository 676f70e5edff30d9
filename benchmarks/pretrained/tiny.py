"""A tiny language model with random weights, saved as pretrained ones are, to test the benchmark in seconds."""

from __future__ import annotations

from pathlib import Path

VOCABULARY = 512


def save_tiny_model(folder: Path) -> Path:
    """Save a tiny Llama into a folder; returns the folder."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=512, tie_word_embeddings=True, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
