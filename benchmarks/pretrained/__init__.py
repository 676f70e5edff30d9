"""Pretrained decoders: their cost, and the experiment of docs/pretrained.md."""
