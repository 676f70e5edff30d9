"""Tiny text encoders with random weights, saved as transformers saves them, with a tokenizer of words."""

from pathlib import Path

import runs
import torch

WORDS = [*runs.WORDS, *(f"w{number}" for number in range(10))]
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
POSITIONS = 12  # of BERT and ModernBERT
KINDS = ("bert", "modernbert", "t5")


def save_encoder(folder, kind="bert", seed=0, special=True, **config):
    """Save an encoder of one of `KINDS` and its tokenizer; returns the folder.

    Args:
        folder: to make.
        seed: of the weights.
        special: whether the tokenizer puts special tokens around a text.
        config: further settings of the model's configuration.
    """
    folder = Path(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _model(kind, config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.2 * torch.randn_like(weight))  # else all states are nearly the same
        save_quietly(model, folder)
    save_tokenizer(folder, special)
    return folder


def save_quietly(model, folder):
    """Save a model without the progress bar of transformers, which would stand among the messages that a test reads."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model.save_pretrained(folder)
    finally:
        logging.enable_progress_bar()


def save_tokenizer(folder, special=True):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate([*SPECIAL.values(), *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if special:
        marks = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
        backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=marks)
    PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(folder)


def _model(kind, config):
    import transformers

    count = len(SPECIAL) + len(WORDS)
    if kind == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
        return transformers.T5EncoderModel(transformers.T5Config(vocab_size=count, **sizes, **config))
    sizes = {"vocab_size": count, "max_position_embeddings": POSITIONS, "pad_token_id": 0, **SIZES, **config}
    if kind == "modernbert":
        ends = {"cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
        return transformers.ModernBertModel(transformers.ModernBertConfig(**ends, **sizes))
    return transformers.BertModel(transformers.BertConfig(**sizes))


class Words:
    """A tokenizer of the ids' side: id n is the word w{n % 10}, whatever kind of number it is."""

    def decode(self, ids):
        return " ".join(f"w{abs(hash(number)) % 10}" for number in ids)
