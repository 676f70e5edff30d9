"""What a straightforward PyTorch program does, in the manner of the paper's code: the measure of everything faster."""
