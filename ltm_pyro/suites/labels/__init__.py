"""Suite `labels`: what a run's thoughts tell of held-out labels, with the control of shuffled labels."""
