"""The table kernel of GPUs."""
