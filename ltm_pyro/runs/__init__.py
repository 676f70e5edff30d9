"""Runs from Python: configure, train, load, score, write."""
