"""The command line. It builds the objects of the public API, and it alone talks."""
