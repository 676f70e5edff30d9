"""Damaged files and odd command lines: what the commands answer to them."""
