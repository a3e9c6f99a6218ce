"""From rows to predictions: one scorer for every target."""
