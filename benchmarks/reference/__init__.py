"""Reference for speed: a straightforward PyTorch program in the style of the paper's code."""
