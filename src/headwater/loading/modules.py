"""Python modules as definition files: run afresh, importable by path, errors with their line."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from headwater.definitions.collection import Placed
from headwater.definitions.entity import Entity
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.errors import DefinitionError, HeadwaterError

_OBJECTS = (Entity, Source, FeatureView, FeatureService)


def make_importable(root: Path) -> None:
    """Put the project's folder first among the places from which Python imports."""
    folder = str(root)
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]


class _FreshLoader(SourceFileLoader):
    """Compiles the source each time: cached bytecode may be older than an edit of this second."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - importlib's signature
        return self.source_to_code(self.get_data(self.path), self.path)


class ModuleReader:
    """Runs the modules of a project, each once, whoever imports it first."""

    def __init__(self, root: Path, files: list[Path]) -> None:
        self._root = root
        self._names = {file: self._name(file) for file in files}
        self._forget()

    def read(self, file: Path) -> list[Placed]:
        """The objects at the top of a module, alone or in lists, with the lines that name them."""
        module = sys.modules.get(self._names[file]) or self._run(file)
        shown = file.relative_to(self._root).as_posix()
        lines = _assigned(file)
        return [
            Placed(declared, f"{shown}:{lines[name]}" if name in lines else shown)
            for name, value in vars(module).items()
            for declared in _declared(value)
        ]

    def _forget(self) -> None:
        """Drop what an earlier load has run, helpers beside the files included."""
        packages = tuple({f"{name.rpartition('.')[0]}." for name in self._names.values()} - {"."})
        beside = [name for name in sys.modules if name.startswith(packages)]
        for name in [*self._names.values(), *beside]:
            sys.modules.pop(name, None)

    def _name(self, file: Path) -> str:
        parts = file.relative_to(self._root).with_suffix("").parts
        if parts[0] in sys.stdlib_module_names:
            raise DefinitionError(
                f"{file.relative_to(self._root)}: '{parts[0]}' is the name of a module of "
                "Python's own library; rename it"
            )
        return ".".join(parts)

    def _run(self, file: Path) -> ModuleType:
        name = self._names[file]
        try:
            self._ensure_parents(name)
            return _run_file(name, file, package=None)
        except Exception as error:  # a user's module may raise anything
            sys.modules.pop(name, None)
            raise DefinitionError(_explained(error, file, self._root)) from error

    def _ensure_parents(self, name: str) -> None:
        """The packages above a module, from this project, not from another one of that name."""
        parts = name.split(".")
        for depth in range(1, len(parts)):
            parent, folder = ".".join(parts[:depth]), self._root.joinpath(*parts[:depth])
            known = sys.modules.get(parent)
            if known is not None and str(folder) in list(getattr(known, "__path__", [])):
                continue
            init = folder / "__init__.py"
            if init.is_file():
                _run_file(parent, init, package=folder)
            else:
                module = ModuleType(parent)
                module.__path__ = [str(folder)]
                sys.modules[parent] = module


def _run_file(name: str, file: Path, package: Path | None) -> ModuleType:
    spec = spec_from_file_location(
        name,
        file,
        loader=_FreshLoader(name, str(file)),
        submodule_search_locations=None if package is None else [str(package)],
    )
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{file} is not a Python module")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _declared(value: Any) -> Iterator[Any]:
    for item in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(item, _OBJECTS):
            yield item


def _assigned(file: Path) -> dict[str, int]:
    """The lines on which a module's own names are assigned; imported names have none."""
    found: dict[str, int] = {}
    for statement in ast.parse(file.read_bytes()).body:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        found |= {t.id: statement.lineno for t in targets if isinstance(t, ast.Name)}
    return found


def _explained(error: Exception, file: Path, root: Path) -> str:
    place, line = file, None
    if isinstance(error, SyntaxError) and error.filename:
        place, line = Path(error.filename), error.lineno
    else:
        trace = error.__traceback__
        while trace is not None:  # the innermost line of the project's own code
            source = Path(trace.tb_frame.f_code.co_filename)
            if source.is_relative_to(root) and ".venv" not in source.parts:
                place, line = source, trace.tb_lineno
            trace = trace.tb_next
    shown = place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)
    where = shown if line is None else f"{shown}:{line}"
    if isinstance(error, HeadwaterError):
        return "\n".join(f"{where}: {part}" for part in str(error).splitlines())
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return (
        f"{where}: {type(error).__name__}: {said}" if said else f"{where}: {type(error).__name__}"
    )
