"""From float tensors to the integer operands of a multiplier, and back."""
