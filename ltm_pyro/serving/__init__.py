"""Demo page of a run: the fit of the posterior, its thoughts, and texts generated with them."""

from ltm_pyro.serving.app import make_app
from ltm_pyro.serving.demo_service import LIMITS, DemoService
from ltm_pyro.serving.server import server_config
from ltm_pyro.serving.worker import Worker

__all__ = ["LIMITS", "DemoService", "Worker", "make_app", "server_config"]
