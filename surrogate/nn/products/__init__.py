"""Products of factors in the datatypes of processors and GPUs, none of which rounds in silence."""
