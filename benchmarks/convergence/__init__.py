"""Whether the tables' numbers have converged."""
