"""From a snapshot to a working scorer: verified bytes, loaded, scored once."""

from __future__ import annotations

import logging
from pathlib import Path

from lifecycle.domain.model import Snapshot
from lifecycle.errors import DeploymentFailed, IntegrityError, LifecycleError
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.compiled import read_compiled
from lifecycle.scoring.contract import Scorer, row_count, rows_of
from lifecycle.scoring.json_rows import golden_batch

_LOG = logging.getLogger(__name__)


def load_verified(snapshot: Snapshot, compiled: Path | None) -> Scorer:
    """Load the scorer of exactly these files and score the model's own input example with it.

    Raises:
        IntegrityError: the files of the snapshot or compiled scorer do not match the digest.
        DeploymentFailed: the model does not load, or cannot score its example.
    """
    SnapshotStore(snapshot.path.parent).verify(snapshot)
    if compiled is not None and read_compiled(compiled).digest != snapshot.digest:
        raise IntegrityError(f"{compiled} was compiled from other files than the snapshot's")
    try:
        scorer = load_scorer(snapshot.path, compiled)
        _score_example(scorer, snapshot.path)
    except LifecycleError:
        raise
    except Exception as exc:  # a model's libraries may raise anything, row values included
        _LOG.exception("snapshot %s does not come up", snapshot.digest)
        raise DeploymentFailed(
            f"the model does not load or score its input example ({type(exc).__name__})"
        ) from exc
    return scorer


def _score_example(scorer: Scorer, snapshot: Path) -> None:
    example = golden_batch(snapshot)
    if example is None:
        return
    rows, answers = row_count(example), rows_of(scorer.predict(example))
    if answers != rows:
        raise DeploymentFailed(f"the model gives {answers} predictions for the {rows} rows of its input example")


def load_scorer(snapshot: Path, compiled: Path | None = None) -> Scorer:
    """Load the compiled scorer if there is one, else pyfunc.

    Only the libraries in use are imported: ONNX Runtime in 0.2 s, or MLflow and the model's libraries in
    several seconds.
    """
    if compiled is not None:
        from lifecycle.scoring.onnx_scorer import OnnxScorer

        return OnnxScorer(read_compiled(compiled))
    from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

    return PyfuncScorer(snapshot)
