"""Model files for the tests of a target: a source's URI names the folders, so no store has to be filled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from lifecycle.domain.deployment import DeploymentSpec, ModelSource, Variant
from lifecycle.domain.model import Snapshot
from lifecycle.errors import NotFound
from lifecycle.targets.contract import TargetContext


class FolderModels:
    """Finds the files of versions by the URIs that :func:`folder_source` makes."""

    def snapshot(self, source: ModelSource) -> Snapshot:
        """The version's files."""
        path = Path(unquote(urlsplit(source.uri).path))
        if not path.is_dir():
            raise NotFound(f"the files of {source.uri} are not here")
        return Snapshot(source.digest, path)

    def compiled(self, source: ModelSource) -> Path:
        """The folder of the version's compiled form."""
        found = parse_qs(urlsplit(source.uri).query).get("compiled")
        if not found:
            raise NotFound(f"{source.uri} is not compiled")
        return Path(found[0])


def folder_context(home: Path) -> TargetContext:
    """What a target is given in tests."""
    return TargetContext(home, FolderModels())


def folder_source(snapshot: Snapshot, compiled: Path | None = None) -> ModelSource:
    """A source whose URI names these folders."""
    query = f"?compiled={quote(str(compiled))}" if compiled is not None else ""
    return ModelSource(f"file://{quote(str(snapshot.path))}{query}", snapshot.digest)


def with_files(spec: DeploymentSpec, snapshot: Snapshot, compiled: Path | None = None) -> DeploymentSpec:
    """The same deployment of other files."""
    source = folder_source(snapshot, compiled)
    champion: Variant = replace(spec.champion, source=source, compiled=compiled is not None)
    return replace(spec, variants=(champion,))


def files_of(spec: DeploymentSpec) -> tuple[Snapshot, Path | None]:
    """The folders of the champion: its snapshot, and its compiled form where it has one."""
    models, champion = FolderModels(), spec.champion
    return models.snapshot(champion.source), models.compiled(champion.source) if champion.compiled else None
