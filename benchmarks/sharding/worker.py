"""Training steps in one of several processes, which counts what it sends and holds.

`torchrun ... -m benchmarks.sharding.worker WHAT`, where WHAT is JSON: the arguments of `measure`.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.sharding.traffic import Traffic, bytes_held

STEPS = 2  # the second is counted: the first may have collectives of its own


def trainer_of(sizes: dict[str, int], shard: bool, seed: int) -> Any:
    """A trainer of the tree that `ltm_pyro` is imported from, and the parameters of one process's part of its batch."""
    from accelerate import Accelerator

    from ltm_pyro import ELBO, Decoder, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, SlowStep
    from ltm_pyro.data import Batches, id_sequences
    from ltm_pyro.training.components import RunComponents
    from ltm_pyro.training.settings import TrainSettings
    from ltm_pyro.training.trainer import Trainer

    torch.manual_seed(seed)
    batch, fast_steps = sizes.pop("batch"), sizes.pop("fast_steps")
    decoder = Decoder(**sizes)
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)
    components = RunComponents(model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), fast_steps), SlowStep(ELBO()))
    texts = list(torch.randint(1, decoder.vocabulary, (batch, decoder.length)))
    batches = Batches(id_sequences(texts, decoder.vocabulary, 0, decoder.length), batch, seed)
    settings = TrainSettings(batch_size=batch, seed=seed, shard=shard)
    storage = SimpleNamespace(metrics=SimpleNamespace(append=lambda record: None))
    return Trainer(components, batches, Accelerator(cpu=True), settings, storage, dict)  # type: ignore[arg-type]


def measure(tree: str, sizes: dict[str, int], shard: bool, threads: int, seed: int) -> dict[str, list[int]]:
    """Bytes that each process sends in a step and within its fast loop, and holds after the step, by rank.

    Args:
        tree: the checkout whose `ltm_pyro` is measured.
        sizes: of a decoder, of its batches, and the number of fast steps.
        shard: whether weights are in shards.
        threads, seed: of torch.
    """
    sys.path.insert(0, tree)
    torch.set_num_threads(threads)
    trainer = trainer_of(sizes, shard, seed)
    svi, fit = trainer.svi, trainer.svi.fit
    for _ in range(STEPS):
        step, fast = Traffic(), Traffic()

        def counted(*args: Any, fast: Traffic = fast, **kwargs: Any) -> None:
            with fast:
                fit(*args, **kwargs)

        svi.fit = counted
        with step, trainer._whole_weights():
            trainer._step()
    components = getattr(trainer, "components", None) or trainer.blueprint  # the name in earlier checkouts
    counts = {
        "sent": step.bytes,
        "sent within the fast loop": fast.bytes,
        "held": bytes_held(components.global_parameters(), svi.slow.optimizer),
    }
    table = trainer.processes.gather(torch.tensor(list(counts.values())))
    return {name: column.tolist() for name, column in zip(counts, table.unbind(1), strict=True)}


def main() -> None:
    """The first process says what was found."""
    found = measure(**json.loads(sys.argv[1]))
    if torch.distributed.get_rank() == 0:
        print(json.dumps(found), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
