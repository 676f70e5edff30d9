"""Imported weights compute what the authors' code computes with them; other files are refused with the reason.

`released_code.Reference` states their decoder and their bound in plain PyTorch.
"""

import argparse
import os
import zipfile

import pytest
import torch
from released_code import SIZE, SIZES, Reference, compiled, distributed, liger, saved

from ltm_pyro import ELBO, Decoder, GaussianPrior, InputError, LatentThoughtModel, MeanFieldGuide
from ltm_pyro.training.import_weights import convert, decoder_from_authors, read_authors_checkpoint


def options(sizes):
    per_layer = sizes.thoughts // sizes.layers
    return {"heads": sizes.heads, "thoughts": per_layer, "window": sizes.window, "length": sizes.length}


def texts(sizes, length=None):
    """A batch of texts, and z as the authors shape it."""
    tokens = torch.randint(sizes.vocabulary, (3, (length or sizes.length) + 1))
    return tokens, torch.randn(3, sizes.thoughts, sizes.width)


def our_logits(decoder, tokens, z):
    with torch.no_grad():
        return decoder.logits(tokens, z.view(len(z), *decoder.z_shape))


@pytest.mark.parametrize("rename", [str, liger, compiled, distributed])
@pytest.mark.parametrize("sizes", SIZES)
def test_logits_equal_the_authors(tmp_path, sizes, rename):
    reference = Reference(sizes)
    decoder = decoder_from_authors(saved(tmp_path, reference.weights, rename), **options(sizes))
    for length in (sizes.length, sizes.length - 4):
        tokens, z = texts(sizes, length - 1)
        torch.testing.assert_close(our_logits(decoder, tokens, z), reference.logits(tokens, z), atol=1e-4, rtol=0)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_bound_equals_the_authors(tmp_path, sizes):
    reference = Reference(sizes)
    decoder = decoder_from_authors(saved(tmp_path, reference.weights), **options(sizes))
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), MeanFieldGuide(decoder.z_shape)
    text, mu = texts(sizes)
    x, y = text[:, :-1], text[:, 1:]  # they read x and predict y
    log_var = -1 + 0.5 * torch.randn(mu.shape)
    scored = torch.rand(y.shape) < 0.8

    guide.start(y)
    guide.mu, guide.log_sigma = (value.view(3, *decoder.z_shape) for value in (mu, log_var / 2))
    torch.manual_seed(5)
    noise = torch.randn(mu.shape)
    for mask, targets in ((None, y), (scored, y.where(scored, -1))):
        torch.manual_seed(5)
        with torch.no_grad():
            terms = ELBO().terms(model, guide, x=y, mask=mask, previous=x[:, 0])
        theirs = reference.neg_elbo(x, targets, mu, log_var, noise)
        torch.testing.assert_close(-terms.bound, theirs, rtol=1e-4, atol=0)


@pytest.mark.parametrize("wrong", [{"heads": 2}, {"window": 6}, {"length": 40}, {"thoughts": 2}])
def test_the_comparison_notices_a_wrong_size(tmp_path, wrong):
    reference = Reference(SIZE)
    decoder = decoder_from_authors(saved(tmp_path, reference.weights), **{**options(SIZE), **wrong})
    tokens, z = texts(SIZE, SIZE.length - 1)
    ours = our_logits(decoder, tokens, z[:, : decoder.z_shape[0] * decoder.z_shape[1]])
    assert (ours - reference.logits(tokens, z)).abs().max() > 1e-2


@pytest.mark.parametrize("table", ["model_args", "config"])
def test_sizes_come_from_the_file(tmp_path, table):
    weights = Reference(SIZE).weights
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 4e-4, "betas": (0.9, 0.95)}]}
    settings = {**SIZE.stated(), "dropout": 0.0, "n_kv_heads": None, "norm_eps": 1e-5, "use_z_pos_emb": True}
    path = saved(tmp_path, weights, optimizer=optimizer, iter_num=60_000, **{table: settings})
    assert read_authors_checkpoint(path).sizes == SIZE.stated()
    decoder = decoder_from_authors(path)
    assert (decoder.vocabulary, decoder.z_shape) == (23, (2, 4, 32))
    assert (decoder.window, decoder.length, decoder.bos_id) == (5, 30, 22)
    assert decoder.blocks[0].self_attention.heads == 4


def test_arguments_come_before_the_file_and_model_args_before_config(tmp_path):
    config = {**SIZE.stated(), "window_size": 3}
    path = saved(tmp_path, Reference(SIZE).weights, model_args=SIZE.stated(), config=config)
    assert decoder_from_authors(path).window == 5
    decoder = decoder_from_authors(path, heads=2, thoughts=3, window=7, length=20, bos_id=0)
    assert (decoder.z_shape, decoder.window, decoder.length, decoder.bos_id) == ((2, 3, 32), 7, 20, 0)
    assert decoder.blocks[0].self_attention.heads == 2


def test_converted_names_are_the_decoder_s_own():
    weights = Reference(SIZE).weights
    buffers = ("freqs_cos", "freqs_sin", "freqs_cos_z", "freqs_sin_z", "layers.0.attention._orig_mod.attn_mask")
    converted = convert({**weights, **{f"module.{name}": torch.ones(2) for name in buffers}})
    decoder = Decoder(SIZE.vocabulary, SIZE.width, SIZE.layers)
    assert converted.keys() == decoder.state_dict().keys()


@pytest.mark.parametrize("kept", ["tok_embeddings.weight", "output.weight"])
def test_one_of_the_tied_embeddings_is_enough(kept):
    weights = Reference(SIZE).weights
    value = weights.pop("tok_embeddings.weight")
    del weights["output.weight"]
    assert convert({**weights, kept: value})["embedding.weight"] is value


def test_half_precision_becomes_float32(tmp_path):
    weights = {name: value.bfloat16() for name, value in Reference(SIZE).weights.items()}
    decoder = decoder_from_authors(saved(tmp_path, weights), **options(SIZE))
    assert decoder.norm.weight.dtype == torch.float32
    assert torch.equal(decoder.norm.weight, weights["norm.weight"].float())


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.pt cannot be read: No such file"):
        read_authors_checkpoint(tmp_path / "none.pt")
    with pytest.raises(InputError, match="cannot be read"):
        read_authors_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"some text", b"PK\x03\x04 no archive", b"\x80\x04\x95"])
def test_what_is_no_torch_file_is_refused(tmp_path, content):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pt cannot be opened .*no file of torch\.save, or damaged.*resave"):
        read_authors_checkpoint(path)


def test_a_file_that_needs_code_is_refused(tmp_path):
    path = saved(tmp_path, {}, args=argparse.Namespace(lr=1.0))
    with pytest.raises(InputError, match=r"needs the code of argparse\.Namespace.*weights_only=True.*resave"):
        read_authors_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "holds"),
    [([1, 2], "list"), ({"step": 3, "lr": 0.1}, r"\['lr', 'step'\]"), ({"model": 3}, r"\['model'\]"), ({0: None}, "0")],
)
def test_a_file_without_weights_is_refused(tmp_path, content, holds):
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match=f"holds no weights by name, but .*{holds}.*state dict"):
        read_authors_checkpoint(path)


def test_untied_embeddings_are_refused():
    weights = Reference(SIZE).weights
    for other in (weights["output.weight"] + 1e-3, weights["output.weight"][:-1]):
        with pytest.raises(InputError, match=r"tok_embeddings\.weight and output\.weight differ"):
            convert({**weights, "output.weight": other})


def test_all_missing_and_all_unexpected_names_are_listed():
    weights = {name: value for name, value in Reference(SIZE).weights.items() if "cross_attention" not in name}
    strange = ["layers.0.attention.wq.bias", "pos_embeddings.weight"]
    with pytest.raises(InputError) as refusal:
        convert({**weights, **{name: torch.zeros(1) for name in strange}})
    missing, unexpected = str(refusal.value).split("Missing: ")[1].split("Unexpected: ")
    kinds = ("_norm", ".wq", ".wk", ".wv", ".wo")
    listed = {f"layers.{i}.cross_attention{kind}.weight" for i in range(2) for kind in kinds}
    assert set(missing.strip(" .").split(", ")) == listed
    assert all(name in unexpected for name in strange)


def test_a_gap_between_layers_and_an_empty_file_are_refused():
    weights = Reference(SIZE).weights
    with pytest.raises(InputError, match=r"Missing: layers\.1\..*Unexpected: layers\.2\."):
        convert({name.replace("layers.1.", "layers.2."): value for name, value in weights.items()})
    with pytest.raises(InputError, match=r"Missing: tok_embeddings\.weight.*layers\.0\..*Unexpected: none"):
        convert({})


def test_open_sizes_are_all_named(tmp_path):
    path = saved(tmp_path, Reference(SIZE).weights)
    with pytest.raises(InputError, match=r"weights\.pt: .*heads .*8.*thoughts .*24.*window .*256.*length .*1024"):
        decoder_from_authors(path)
    with pytest.raises(InputError) as refusal:
        decoder_from_authors(path, heads=4, thoughts=4, length=30)
    assert "window (" in str(refusal.value)
    assert "heads (" not in str(refusal.value)


@pytest.mark.parametrize("name", ["dim", "n_layers", "vocab_size"])
def test_settings_that_contradict_the_weights_are_refused(tmp_path, name):
    settings = {**SIZE.stated(), name: 64}
    path = saved(tmp_path, Reference(SIZE).weights, model_args=settings)
    with pytest.raises(InputError, match=rf"weights\.pt: it states {name}=64, but its weights have"):
        decoder_from_authors(path)


def test_thoughts_that_layers_cannot_share_are_refused(tmp_path):
    path = saved(tmp_path, Reference(SIZE).weights, model_args={**SIZE.stated(), "max_z_len": 7})
    with pytest.raises(InputError, match=r"max_z_len=7.*no multiple of its 2 layers"):
        decoder_from_authors(path)
    assert decoder_from_authors(path, thoughts=4).z_shape == (2, 4, 32)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"thoughts": 0}, "thoughts=0"),
        ({"heads": 3}, "heads=3"),
        ({"window": 0}, "window=0"),
        ({"bos_id": 23}, "bos_id=23"),
    ],
)
def test_impossible_arguments_are_refused(tmp_path, wrong, message):
    path = saved(tmp_path, Reference(SIZE).weights)
    with pytest.raises(InputError, match=rf"weights\.pt: .*{message}"):
        decoder_from_authors(path, **{**options(SIZE), **wrong})


@pytest.mark.parametrize(("name", "value"), [("norm_eps", 1e-6), ("use_z_pos_emb", False)])
def test_models_that_compute_otherwise_are_refused(tmp_path, name, value):
    path = saved(tmp_path, Reference(SIZE).weights, model_args={**SIZE.stated(), name: value})
    with pytest.raises(InputError, match=f"{name}={value}, but a Decoder always has"):
        decoder_from_authors(path)


def test_another_inner_width_is_read_from_the_weights(tmp_path):
    weights = Reference(SIZE).weights
    for i in range(SIZE.layers):
        for part, shape in {"w1": (128, 32), "w2": (32, 128), "w3": (128, 32)}.items():
            weights[f"layers.{i}.feed_forward.{part}.weight"] = torch.randn(shape)
    decoder = decoder_from_authors(saved(tmp_path, weights), **options(SIZE))
    for i, block in enumerate(decoder.blocks):
        assert torch.equal(block.feed_forward.down.weight, weights[f"layers.{i}.feed_forward.w2.weight"])


@pytest.mark.parametrize("value", [torch.randn(16, 32), torch.ones(32, 32, dtype=torch.int8), torch.tensor(1.0)])
def test_weights_of_another_shape_are_refused(tmp_path, value):
    for name in ("layers.1.attention.wk", "layers.0.feed_forward.w1"):
        weights = {**Reference(SIZE).weights, f"{name}.weight": value}
        with pytest.raises(InputError, match=r"do not fit a Decoder.*blocks|no rows"):
            decoder_from_authors(saved(tmp_path, weights), **options(SIZE))


def test_an_embedding_that_is_no_table_is_refused(tmp_path):
    weights = Reference(SIZE).weights
    weights["tok_embeddings.weight"] = weights["output.weight"] = torch.randn(23)
    with pytest.raises(InputError, match=r"shape \(23,\), expected \(V, D\)"):
        decoder_from_authors(saved(tmp_path, weights), **options(SIZE))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value):
    weights = Reference(SIZE).weights
    weights["norm.weight"][2] = value
    with pytest.raises(InputError, match=r"norm.weight holds 1 numbers of \d+ that are not finite"):
        decoder_from_authors(saved(tmp_path, weights), **options(SIZE))


def test_every_flipped_byte_is_noticed_where_there_are_checksums(tmp_path):
    path = saved(tmp_path, Reference(SIZE).weights)
    content = path.read_bytes()
    stored = [place for place in range(1000, len(content) - 5000, len(content) // 30) if content[place]]
    assert len(stored) > 10
    for place in stored:
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        try:
            decoder = decoder_from_authors(path, **options(SIZE))
        except InputError:
            continue
        whole = decoder_from_authors(saved(tmp_path, Reference(SIZE).weights), **options(SIZE)).state_dict()
        assert all((whole[name] == value).all() for name, value in decoder.state_dict().items())  # padding


@pytest.mark.parametrize("kind", ["pipe", "folder", "compressed"])
def test_what_is_no_weights_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "a.pt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
            parts.writestr("archive/data/0", bytes(10**6))
    with pytest.raises(InputError, match=r"named pipe|a folder|is compressed"):
        decoder_from_authors(path, **options(SIZE))
