"""The REST server: HTTP on one side, loaded models on the other. Imports neither MLflow nor pandas.

A request goes one way: application → routes → access → admission → body → codec → engine → codec → observers.
What to serve is read from files (:mod:`lifecycle.serving.control`), never from the network.
"""
