"""The token store of `ltm_pyro.data` against Arrow files of `datasets`: `python -m benchmarks.token_store`."""
