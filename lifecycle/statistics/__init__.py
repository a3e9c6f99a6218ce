"""Distances, permutation tests, influence and confidence intervals: numpy arrays in, figures out."""
