"""Reads the files of a project that declare its objects: Python modules and YAML, one model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from headwater.config import Settings
from headwater.definitions.collection import Definitions, Placed, collect
from headwater.errors import DefinitionError
from headwater.loading.documents import read_document
from headwater.loading.modules import ModuleReader, make_importable

__all__ = ["definition_files", "load_definitions", "load_files", "make_importable"]

_YAML = (".yaml", ".yml")


def load_definitions(settings: Settings) -> Definitions:
    """All objects that the files of a project declare (setting `definitions.paths`).

    Raises DefinitionError that names the file, and the line where that is known.
    """
    return load_files(settings.root, settings.definitions.paths)


def load_files(root: Path, patterns: Iterable[str]) -> Definitions:
    """All objects that the files at or below `root` declare; globs are relative to it.

    Python modules are run afresh on each call and stay importable by their path from `root`
    (`features/ads.py` is `features.ads`), so that feature functions can be found again.
    """
    files = definition_files(root, patterns)
    make_importable(root)
    modules = ModuleReader(root, [file for file in files if file.suffix == ".py"])
    placed = [
        item
        for file in files
        for item in (
            read_document(file, file.relative_to(root).as_posix())
            if file.suffix in _YAML
            else modules.read(file)
        )
    ]
    # Where a module imports an object from another one, the line that declares it is the place.
    exact = {id(item.declared): item.place for item in placed if ":" in item.place}
    return collect(
        Placed(item.declared, exact.get(id(item.declared), item.place)) for item in placed
    )


def definition_files(root: Path, patterns: Iterable[str]) -> list[Path]:
    """The files that match, sorted; those that start with an underscore are helpers, not read.

    Raises DefinitionError where none is found, or where one is outside `root`.
    """
    wanted = list(patterns)
    found: set[Path] = set()
    for pattern in wanted:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise DefinitionError(
                f"setting 'definitions.paths': '{pattern}' leads out of the project; "
                "give paths and globs below its folder"
            )
        found.update(file for file in root.glob(pattern) if file.is_file())
    files = sorted(file for file in found if not file.name.startswith("_"))
    odd = next((file for file in files if file.suffix not in {".py", *_YAML}), None)
    if odd is not None:
        raise DefinitionError(
            f"{odd.relative_to(root)}: definitions stand in .py, .yaml or .yml files"
        )
    if not files:
        raise DefinitionError(
            f"no definitions: no file below {root} matches {', '.join(wanted)}; "
            "declare features in one of them, or set 'definitions.paths'"
        )
    return files
