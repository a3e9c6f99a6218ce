"""What is asked beside predictions: health, metadata and the like. Off the hot path."""
