"""The local stack: a guarded MLflow server and the follower, as processes of this machine."""
