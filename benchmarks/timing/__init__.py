"""Tools of all benchmarks of speed: sizes, alternating rounds, ratios, the machine's peak, records and figures."""
