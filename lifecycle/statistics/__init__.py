"""Distances, chance, influence and confidence intervals: numpy arrays in, figures out; numpy and scipy only."""
