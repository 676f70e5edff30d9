"""Do the latents earn their place? `python -m benchmarks.latent_value TABLE` trains, scores and compares its rows."""
