"""mlflow-lifecycle."""
