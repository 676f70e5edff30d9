"""All that needs a GPU to be known, in one command of less than eight minutes: `python -m benchmarks.gpu`."""
