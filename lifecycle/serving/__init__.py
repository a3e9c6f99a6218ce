"""The process that answers: HTTP on one side, loaded models on the other. Imports neither MLflow nor pandas.

A request goes one way: application → routes → access → admission → body → codec → engine → codec → observers.
What should be served comes from files (:mod:`lifecycle.serving.control`), never over the network.
"""
