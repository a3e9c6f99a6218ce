"""Who is asking, as MLflow's auth app found out."""

from __future__ import annotations

import flask

from lifecycle.domain.ledger import UNAUTHENTICATED

_AUTH_APP = "mlflow.server.auth"


def actor() -> str:
    """The authenticated user of the request, or ``unauthenticated``.

    Without MLflow's auth app an Authorization header is only a claim, so it is not looked at.
    """
    if not flask.has_request_context():
        return UNAUTHENTICATED
    hooks = flask.current_app.before_request_funcs.get(None, [])
    if not any(getattr(hook, "__module__", "") == _AUTH_APP for hook in hooks):
        return UNAUTHENTICATED
    claimed = flask.request.authorization
    return flask.g.get("mlflow_authenticated_user") or (claimed and claimed.username) or UNAUTHENTICATED
