"""Gates: checks of a model version before promotion."""
