"""Common tools of the speed benchmarks: sizes, alternating rounds, ratios, peak FLOPS, records and figures."""
