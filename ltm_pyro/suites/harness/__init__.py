"""A run as a model of the LM evaluation harness."""
