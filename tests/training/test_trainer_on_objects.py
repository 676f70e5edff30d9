"""The trainer takes objects, settings and a storage: no run and no parsed arguments."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator

from ltm_pyro import ELBO, Decoder, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, SlowStep
from ltm_pyro.data import Batches, id_sequences
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.metrics_log import MetricsLog
from ltm_pyro.training.randomness import seed_everything
from ltm_pyro.training.settings import TrainSettings
from ltm_pyro.training.trainer import Trainer

TIMED = ("tokens_per_second", "data_share")


@dataclass
class Storage:
    """A storage that is no run."""

    folder: Path
    fingerprint: str = "of a test"
    checkpoints: Checkpoints = field(init=False)
    metrics: MetricsLog = field(init=False)

    def __post_init__(self):
        self.folder.mkdir()
        self.checkpoints = Checkpoints(self.folder / "checkpoints", keep=9)
        self.metrics = MetricsLog(self.folder / "metrics.jsonl")

    def find(self, which):
        return self.checkpoints.latest() if which == "latest" else self.checkpoints.of_step(int(which))

    def records(self):
        return [{key: value for key, value in record.items() if key not in TIMED} for record in self.metrics.read()]


def trainer(storage, steps):
    seed_everything(0)
    decoder = Decoder(vocabulary=20, width=16, layers=1, heads=2, thoughts=2, window=4, length=8)
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    slow = SlowStep(ELBO(), 0.02, warmup=1, steps=6)
    components = RunComponents(model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), 2), slow)
    texts = torch.arange(96).view(12, 8).remainder(20)
    settings = TrainSettings(steps=steps, batch_size=4, evaluate_every=3, save_every=2)
    batches = Batches(id_sequences(list(texts), 20, 0, 8), settings.batch_size, settings.seed)
    return Trainer(components, batches, Accelerator(cpu=True), settings, storage, lambda: {"elbo": -1.0})


def test_objects_are_trained_and_gone_on_with_bit_for_bit(tmp_path):
    whole, parts = Storage(tmp_path / "whole"), Storage(tmp_path / "parts")
    assert trainer(whole, steps=6).train() is None
    trainer(parts, steps=4).train()
    resumed = trainer(parts, steps=6)
    resumed.resume()
    assert resumed.step == 4
    resumed.train()
    one, other = (storage.checkpoints.load(storage.find("latest")) for storage in (whole, parts))
    assert one.step == other.step == 6
    assert one.info["fingerprint"] == "of a test"
    assert all(torch.equal(weight, other.weights[name]) for name, weight in one.weights.items())
    steps = [[record for record in storage.records() if "elbo" in record] for storage in (whole, parts)]
    assert steps[0] == steps[1]
    assert [record["step"] for record in steps[0]] == [1, 2, 3, 4, 5, 6]
