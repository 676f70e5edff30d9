"""Several processes that find one another by gloo, forked from the test's own."""

import multiprocessing
import os
import pickle
import tempfile
import traceback
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist

from ltm_pyro.training.processes import Processes

LOST = object()  # in the place of a result: the process has ended before it had one


def in_processes(count, work, seconds=60):
    """Results of `work(processes)` in each of so many processes, in their order.

    Args:
        count: of processes.
        work: is given the `Processes` of each, and returns what can be pickled.
        seconds: after which a process that waits for another gives up.

    Raises:
        AssertionError: with the traceback, if one raises.
    """
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        ends = [context.Pipe(duplex=False) for _ in range(count)]
        store = f"file://{Path(folder).resolve()}/store"
        members = [
            context.Process(target=_member, args=(rank, count, store, work, ends[rank][1], seconds))
            for rank in range(count)
        ]
        for member in members:
            member.start()
        for _, writing in ends:
            writing.close()
        results = [_received(reading) for reading, _ in ends]
        for member in members:
            member.join(seconds)
            member.kill()
    for result in results:
        assert not isinstance(result, str), result
    return [result if result is LOST else result[0] for result in results]


def _received(reading):
    try:
        return pickle.loads(reading.recv_bytes())
    except EOFError:
        return LOST


def _member(rank, count, store, work, writing, seconds):
    torch.set_num_threads(1)  # the others of the process that was forked are not here
    try:
        dist.init_process_group(
            "gloo", init_method=store, rank=rank, world_size=count, timeout=timedelta(seconds=seconds)
        )
        device = torch.device("cpu")
        result = (work(Processes(SimpleNamespace(num_processes=count, process_index=rank, device=device))),)
    except BaseException:
        result = traceback.format_exc()
    try:
        writing.send_bytes(
            pickle.dumps(result)
        )  # by value: `send` would hand tensors over in memory of a process that ends
    finally:
        os._exit(0)
