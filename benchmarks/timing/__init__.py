"""What all benchmarks of speed share: sizes, alternating rounds, ratios, the machine's peak, records and figures."""
