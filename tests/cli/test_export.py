"""`ltm export` and `ltm evaluate --per_text`: files that hold what the table holds, text by text."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray
from pyarrow import parquet
from runs import ltm, newest, train

import ltm_pyro
from ltm_pyro.errors import InputError

FEW = ("--draws", "3", "--limit", "5")
GUIDES = {"MAPGuide": [], "FlowGuide": ["--guide.transforms", "2"], "LangevinGuide": ["--guide.particles", "2"]}

pytestmark = pytest.mark.usefixtures("here")


def opened(path):
    with xarray.open_datatree(path, engine="h5netcdf") as tree:
        return tree.load()


def scores(run, name="validation"):
    return json.loads(newest(run / "evaluation", f"{name}*.json").read_text())["evaluation"]["scores"]


def test_the_file_holds_the_numbers_of_the_table(run, capsys):
    assert ltm("export", "run", "out.nc", *FEW, "--prior_draws", "4") == 0
    assert capsys.readouterr().out == "out.nc\n"
    assert ltm("evaluate", "run", *FEW, "--fixed_noise", "false") == 0
    tree = opened("out.nc")
    found, costs = scores(run), tree["costs"]
    assert set(costs.data_vars) == set(found)
    for name, score in found.items():
        tokens = tree["texts"]["predictive_tokens" if "predictive" in name else "tokens"]
        assert float(costs[name].sum() / tokens.sum()) == pytest.approx(score["nats_per_token"], rel=1e-6)
        assert costs[name].attrs["long_name"] == score["label"]
    assert tree["posterior"]["z"].shape == (1, 3, 5, 2, 2, 16)
    assert tree["prior"]["z"].shape == (1, 4, 2, 2, 16)
    assert int(tree["observed_data"]["mask"].sum()) == int(tree["texts"]["tokens"].sum())
    about = tree.attrs
    assert (about["draws"], about["seed"], about["units"]) == (3, 0, "nats")
    assert (about["run"], about["guide"], about["prior"]) == ("run", "MeanFieldGuide", "GaussianPrior")
    assert about["inference_library_version"] == ltm_pyro.__version__
    assert str(Path.cwd()) not in json.dumps({name: str(value) for name, value in about.items()})


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # k-hat of so few draws is hardly known
def test_arviz_compares_two_runs_by_the_bounds_that_the_table_has(run, reference):
    stats = pytest.importorskip("arviz_stats")
    for folder, out in ((run, "a.nc"), (reference, "b.nc")):
        assert ltm("export", folder, out, "--draws", "30") == 0
    trees = {"latent": opened("a.nc"), "exact": opened("b.nc")}
    assert "posterior" not in trees["exact"]
    loos = {name: stats.loo(tree, **tree["loo"].data_vars) for name, tree in trees.items()}
    costs = [trees["latent"]["costs"]["importance_weighted"], trees["exact"]["costs"]["exact"]]
    for loo, cost in zip(loos.values(), costs, strict=True):
        np.testing.assert_allclose(loo.elpd_i, -cost, rtol=1e-6)
    table = stats.compare(loos)
    assert abs(float(table["elpd_diff"].iloc[1])) == pytest.approx(abs(float((costs[0] - costs[1]).sum())), rel=1e-5)


def test_a_row_a_text_with_the_means_of_z(run, corpus):
    assert ltm("export", "run", corpus, "out.parquet", *FEW) == 0
    table = parquet.read_table("out.parquet")
    rows = table.to_pylist()
    assert len(rows) == 5
    about = json.loads(table.schema.metadata[b"ltm_pyro"])
    assert about["z_shape"] == [2, 2, 16]
    assert about["moments"] == "closed form"
    assert all(len(row["z_mean"]) == len(row["z_sd"]) == 64 for row in rows)
    assert len({tuple(row["z_mean"]) for row in rows}) == 5


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_numbers_of_each_text_add_up_to_the_table(run, reference, suffix):
    out = f"texts.{suffix}"
    assert ltm("evaluate", "run", *FEW, "--baseline", reference, "--per_text", out) == 0
    assert newest(run / "evaluation", "*.json").name.startswith("validation-baseline-")  # its name has no path of ours
    if suffix == "parquet":
        rows = parquet.read_table(out).to_pylist()
    elif suffix == "csv":
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = [json.loads(line) for line in Path(out).read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 5
    for name, score in scores(run).items():
        tokens = "predictive_tokens" if "predictive" in name else "tokens"
        mean = sum(float(row[name]) for row in rows) / sum(int(row[tokens]) for row in rows)
        assert mean == pytest.approx(score["nats_per_token"], rel=1e-6)
    content = json.loads(newest(run / "evaluation", "*.json").read_text())
    baseline = content["baseline"]["scores"]["exact"]["nats_per_token"]
    assert sum(float(row["baseline: exact"]) for row in rows) / sum(
        int(row["tokens"]) for row in rows
    ) == pytest.approx(baseline, rel=1e-6)
    assert "per_text" not in content["options"]
    assert [int(row["text"]) for row in rows] == list(range(5))
    held_out = ltm_pyro.load(run)._cut(None).sequences
    names = [f"{row['document']}+{row['start']}" if int(row["start"]) else row["document"] for row in rows]
    assert names == [held_out.name(number) for number in range(5)]
    layers = sum(float(row["kl_layer_0"]) + float(row["kl_layer_1"]) for row in rows)
    assert layers == pytest.approx(sum(float(row["kl"]) for row in rows), rel=1e-4)


def test_twins_have_their_columns(on_pretrained):
    assert ltm("evaluate", on_pretrained, *FEW, "--per_text", "texts.jsonl") == 0
    rows = [json.loads(line) for line in Path("texts.jsonl").read_text(encoding="utf-8").splitlines()]
    twins = [name for name in scores(on_pretrained) if name.startswith("twin: ")]
    assert twins
    for name in twins:
        assert all(row[name] > 0 for row in rows)


@pytest.mark.parametrize("name", GUIDES)
def test_every_guide_exports_what_it_has(name, corpus, tmp_path):
    one = {"train__steps": 1, "train__save_every": 1, "train__evaluate_every": 1}
    assert train(corpus, tmp_path / "run", "--guide", name, *GUIDES[name], **one) == 0
    assert ltm("export", tmp_path / "run", "out.nc", *FEW) == 0
    tree = opened("out.nc")
    assert tree["posterior"]["z"].shape == (1, 3, 5, 2, 2, 16)
    has_density = name == "FlowGuide"
    assert ("log_weight" in tree["sample_stats"]) == ("loo" in tree) == ("log_likelihood" in tree) == has_density
    assert ("reconstruction" in tree["costs"]) != has_density
    assert "posterior_moments" not in tree
    assert tree.attrs["moments"] == "of the draws"


def test_codes_and_masked_diffusion(corpus, tmp_path):
    one = {"train__steps": 1, "train__save_every": 1, "train__evaluate_every": 1}
    codes = [
        "--prior",
        "CodebookPrior",
        "--prior.codes",
        "5",
        "--guide",
        "StraightThroughGuide",
        "--fast.bound",
        "ELBO",
    ]
    assert train(corpus, tmp_path / "codes", *codes, **one) == 0
    assert ltm("export", tmp_path / "codes", "codes.nc", *FEW, "--prior_draws", "4") == 0
    tree = opened("codes.nc")
    assert tree["posterior"]["code"].dims == ("chain", "draw", "text", "layer", "thought")
    assert int(tree["posterior"]["code"].max()) < 5
    np.testing.assert_allclose(tree["posterior_moments"]["mean"].sum("channel"), 1, rtol=1e-5)
    assert tree["prior"]["code"].shape == (1, 4, 2, 2)
    assert train(corpus, tmp_path / "masked", model="masked-diffusion", **one) == 0
    assert ltm("export", tmp_path / "masked", "masked.nc", *FEW) == 0
    assert set(opened("masked.nc").children) == {"costs", "texts", "observed_data"}
    assert set(opened("masked.nc")["costs"].data_vars) == {"diffusion", "predictive"}


def test_python_gives_the_same(run):
    trained = ltm_pyro.load(run)
    assert trained.export("out.nc", draws=3, limit=5) == Path("out.nc")
    tree = trained.to_datatree(draws=3, limit=5)
    again = opened("out.nc")
    xarray.testing.assert_identical(tree["posterior"].to_dataset(), again["posterior"].to_dataset())
    texts = ["the people of the union and the war of the year " * 3, "a thought"]
    given = trained.to_datatree(texts, draws=2)["texts"]
    assert given["document"].values.tolist() == ["0"] * (given.sizes["text"] - 1) + ["1"]
    length = trained.settings["data"]["length"]
    assert given["start"].values.tolist() == [length * i for i in range(given.sizes["text"] - 1)] + [0]
    with pytest.raises(InputError, match="not overwritten"):
        trained.export("out.nc", draws=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "run", "out.zip"], "OUT out.zip: expected a name that ends in .nc or .parquet"),
        (["export", "run", "there.nc"], "there.nc exists, and is not overwritten"),
        (["export", "run", "none/out.nc"], "there is no folder none"),
        (["export", "nowhere", "out.nc"], "nowhere is not a run"),
        (["export", "run", "out.nc", "--draws", "0"], "--draws 0: expected"),
        (["export", "run", "out.nc", "--draws", "2147483647"], "give a smaller --draws or --limit"),
        (["evaluate", "run", "--per_text", "there.nc"], "expected a name that ends in .parquet or .csv or .jsonl"),
        (["evaluate", "run", "--per_text", "there.csv"], "there.csv exists, and is not overwritten"),
    ],
)
def test_bad_words_are_refused_before_anything_is_computed(run, words, message, capsys):
    for name in ("there.nc", "there.csv"):
        Path(name).write_text("mine")
    assert ltm(*words) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "scoring" not in told
    assert Path("there.nc").read_text() == Path("there.csv").read_text() == "mine"


def test_texts_that_cannot_be_paired_are_refused(run, corpus, tmp_path, capsys):
    assert train(corpus, tmp_path / "longer", model="autoregressive", data__length=24) == 0
    capsys.readouterr()
    words = ("evaluate", "run", corpus, "--baseline", tmp_path / "longer", "--per_text", "texts.csv")
    assert ltm(*words) == 2
    assert "into different sequences" in capsys.readouterr().err
    assert not Path("texts.csv").exists()


def test_without_the_extra_there_is_one_line(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    assert ltm("export", "run", "out.nc") == 2
    assert "pip install 'ltm-pyro[export]'" in capsys.readouterr().err
