"""The MLflow plugins: MLflow words in, our calls out."""
