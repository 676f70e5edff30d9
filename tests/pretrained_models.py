"""Tiny pretrained models with random weights, saved as transformers saves them: no download, no wheel."""

import shutil
from functools import cache

import torch

from ltm_pyro.data.tokenizer import train_tokenizer

LAYERS, LONGEST = 3, 48
SMALL = {"hidden_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "max_position_embeddings": LONGEST}
GROUPED = {**SMALL, "intermediate_size": 32, "num_key_value_heads": 2}
KINDS = {  # of position: rotary, learned, learned with an offset; of head: tied and own; with dropout
    "Llama": {**GROUPED, "tie_word_embeddings": False},
    "GPT2": {"n_embd": 16, "n_layer": LAYERS, "n_head": 4, "n_positions": LONGEST},
    "Qwen2": {**GROUPED, "tie_word_embeddings": True},
    "OPT": {**SMALL, "ffn_dim": 32, "word_embed_proj_dim": 16},
}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
SPREAD = 0.3  # of the weights: with those of a fresh model all tokens are nearly as likely


def config(kind, vocabulary, **changes):
    """The configuration of a tiny model of transformers."""
    import transformers

    return getattr(transformers, f"{kind}Config")(vocab_size=vocabulary, **{**KINDS[kind], **SPECIAL, **changes})


def causal_model(kind, vocabulary=30, seed=0, **changes):
    """A tiny causal language model of transformers, in evaluation mode."""
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config(kind, vocabulary, **changes)).eval()
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(0, SPREAD)
    return model


def save(model, folder, tokenizer=None):
    """Save a model, and a `tokenizer.json` beside it, as a pretrained model comes; returns the folder."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
    return folder


@cache
def text_tokenizer(vocabulary=270):
    """A byte-level tokenizer, with its separator at id 0."""
    return train_tokenizer(["the thought of the people and the union, in war and in peace. " * 20], vocabulary)


def pretrained(folder, kind="Llama", **changes):
    """A folder with a tiny model for text and its tokenizer, made once a folder."""
    place = folder / kind
    if not place.exists():
        tokenizer = text_tokenizer()
        save(causal_model(kind, tokenizer.vocabulary, **changes), place, tokenizer)
    return place


def moved(folder, name="moved"):
    """A copy of a folder under another name."""
    return shutil.copytree(folder, folder.with_name(name))
