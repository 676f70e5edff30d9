"""Comparison of priors, each trained from scratch at the same budget and on the same split."""
