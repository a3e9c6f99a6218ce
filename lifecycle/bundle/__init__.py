"""The portable form of a version: the one format of compiled models, on this machine and where they leave it.

::

    golden.json     a few rows and the model's own predictions for them; null where it has no input example
    manifest.json   format, digest of the snapshot, the model's signature, what the scorer needs, and size and
                    sha256 of every other member; and where it leaves this machine, model and version
    model.onnx      the compiled scorer
    run.py          the runner, :mod:`lifecycle.bundle.runner`; only where it leaves this machine

On this machine a bundle is a folder in the cache; it leaves as one zip file. Both have the same bytes whenever and
wherever they are built from the same snapshot. ``signatures`` in the manifest is empty: it is the place for
signatures over the manifest without that field.
"""
