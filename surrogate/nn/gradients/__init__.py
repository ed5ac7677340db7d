"""What the backward pass of an approximate layer differentiates."""
