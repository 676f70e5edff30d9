"""Tokenizers of every common kind, learned from a few words, each with an end token."""

import json

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from ltm_pyro.data import Tokenizer
from ltm_pyro.data.tokenizer import END

TEXTS = [
    "the dog sees the cat",
    "a cat sees the naïve dog, and so do the people of the union",
    "war and peace 🌊 do n't",
]


def _learned(model, trainer, pre_tokenizer, decoder):
    backend = Backend(model)
    backend.pre_tokenizer, backend.decoder = pre_tokenizer, decoder
    backend.train_from_iterator(TEXTS * 4, trainer)
    return Tokenizer(backend)


def byte_level():
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    return _learned(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel())


def metaspace():
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=[END], show_progress=False)
    return _learned(models.BPE(), trainer, pre_tokenizers.Metaspace(), decoders.Metaspace())


def unigram():
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=[END, "<unk>"], unk_token="<unk>", show_progress=False
    )
    return _learned(models.Unigram(), trainer, pre_tokenizers.Metaspace(), decoders.Metaspace())


def word_piece():
    trainer = trainers.WordPieceTrainer(vocab_size=80, special_tokens=[END, "[UNK]"], show_progress=False)
    return _learned(
        models.WordPiece(unk_token="[UNK]"), trainer, pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    )


def byte_fallback():
    """As Llama's: words that begin with a blank, and bytes where a character is unknown."""
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=[END, "<unk>"], show_progress=False)
    learned = Backend(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    learned.train_from_iterator(TEXTS[:1] * 4, trainer)
    state = json.loads(learned.to_str())
    size, vocabulary = learned.get_vocab_size(), state["model"]["vocab"]
    vocabulary |= {f"<0x{byte:02X}>": size + byte for byte in range(256)}
    state["model"] |= {"vocab": vocabulary, "unk_token": "<unk>", "byte_fallback": True}
    backend = Backend.from_str(json.dumps(state))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return Tokenizer(backend)


def word_ends():
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=[END], end_of_word_suffix="</w>", show_progress=False)
    return _learned(models.BPE(end_of_word_suffix="</w>"), trainer, pre_tokenizers.Whitespace(), decoders.BPEDecoder())


ZOO = [byte_level, metaspace, unigram, word_piece, byte_fallback, word_ends]
