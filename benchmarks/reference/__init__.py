"""The reference of speed: a straightforward PyTorch program in the manner of the paper's code."""
