"""A snapshot on disk to a scorer in memory."""

from __future__ import annotations

from pathlib import Path

from lifecycle.scoring.contract import Scorer


def load_scorer(snapshot: Path, compiled: Path | None = None) -> Scorer:
    """Load the compiled scorer where there is one, else pyfunc.

    Only the one that is used is imported: ONNX Runtime in 0.2 s, or MLflow and the model's libraries in
    several seconds.
    """
    if compiled is not None:
        from lifecycle.scoring.onnx_scorer import OnnxScorer

        return OnnxScorer(compiled)
    from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

    return PyfuncScorer(snapshot)
