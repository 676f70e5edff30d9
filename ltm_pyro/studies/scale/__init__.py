"""A grid of sizes and fast steps."""
