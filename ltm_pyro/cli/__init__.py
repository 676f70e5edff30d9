"""The command line, which builds the objects of the public API from words and prints their results."""
