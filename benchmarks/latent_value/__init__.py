"""Value of the latents: `python -m benchmarks.latent_value TABLE` trains, scores and compares the rows of a table."""
