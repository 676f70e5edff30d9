"""Scaling study over a grid of model sizes and fast steps."""
