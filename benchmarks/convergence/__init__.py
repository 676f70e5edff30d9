"""Convergence of the tables' numbers in the number of fast steps."""
