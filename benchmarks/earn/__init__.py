"""Do the latents earn their place? `python -m benchmarks.earn TABLE` trains, scores and compares its rows."""
