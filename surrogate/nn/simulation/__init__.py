"""What a layer can simulate instead of its multiplier: the modes, and the published baselines."""
