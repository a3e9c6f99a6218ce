"""Pages besides predictions: health, metadata, documentation. Off the hot path."""
