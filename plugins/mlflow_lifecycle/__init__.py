"""The MLflow plugins, which translate between MLflow's API and ours."""
