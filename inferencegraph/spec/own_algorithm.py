"""A user's own algorithm, or strategy, in a `source: FILE.py`: read and judged, never run here."""

import ast
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast, get_args

from inferencegraph.build.mining import OwnAlgorithm
from inferencegraph.spec.faults import SpecFault
from predictors.errors import known
from transformers_hem.algorithms.base import Algorithm, Stage

# What a ConfigMap holds.
MOST_BYTES: Final = 1024 * 1024


def own_algorithm(
    file: str, name: str | None, folder: Path, field: str, base: type = Algorithm
) -> OwnAlgorithm:
    """The file and its class `name`, a subclass of `base`. A relative path begins at `folder`,
    where the spec is.

    Raises SpecFault where the file, or such a class in it, isn't there.
    """
    path = folder / file
    source = f"{field}.source"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecFault(source, f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise SpecFault(source, f"{path}: not UTF-8 text ({error.reason})") from None
    if len(text.encode()) > MOST_BYTES:
        raise SpecFault(source, f"{path}: is larger than the 1 MiB of a ConfigMap")
    _refuse_name(path, source)
    try:
        tree = ast.parse(text, str(path))
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        message = error.msg if isinstance(error, SyntaxError) else error
        raise SpecFault(source, f"{path}{line}: is not Python: {message}") from None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name is None or name not in classes:
        found = known(name or "", classes) if classes else "it has no class"
        said = f"{path} has no class {name!r}" if name else f"is required: the class in {path}"
        raise SpecFault(f"{field}.name", f"{said}; {found}")
    lineage = _lineage(classes[name], classes)
    if not any(_may_be_algorithm(base, tree) for own in lineage for base in own.bases):
        raise SpecFault(f"{field}.name", f"{name} in {path} is not a subclass of {_path(base)}")
    stage = _stage(lineage, path, field)
    return OwnAlgorithm(path.stem, name, text, stage, _literal(lineage, "at_edge") is True)


def _path(base: type) -> str:
    return f"{base.__module__}.{base.__name__}"


def _refuse_name(path: Path, field: str) -> None:
    """Its folder comes first on Python's path, so that its name must be no other module's."""
    name = path.stem
    if path.suffix != ".py" or not name.isidentifier():
        raise SpecFault(field, f"{path.name!r} is no module's name: letters, digits, _, and .py")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    is_other = spec is not None and Path(spec.origin or "").resolve() != path.resolve()
    if name in sys.stdlib_module_names or is_other:
        raise SpecFault(field, f"{name!r} is the name of another module; rename {path.name}")


def _lineage(own: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> list[ast.ClassDef]:
    """The class and those of its bases that are in the file, nearest first."""
    found = [own]
    for each in found:
        for base in each.bases:
            parent = classes.get(base.id) if isinstance(base, ast.Name) else None
            if parent is not None and parent not in found:
                found.append(parent)
    return found


def _may_be_algorithm(base: ast.expr, tree: ast.Module) -> bool:
    """Whether it is imported from a package that is none of Python's own: what stands behind the
    name is seen when HEM loads it."""
    name = base
    while isinstance(name, ast.Attribute | ast.Subscript):
        name = name.value
    return isinstance(name, ast.Name) and any(
        name.id == bound and module.split(".")[0] not in sys.stdlib_module_names
        for bound, module in _imported(tree)
    )


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names that the file's imports bind, and their modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                module = node.module or "" if isinstance(node, ast.ImportFrom) else alias.name
                yield alias.asname or alias.name.split(".")[0], module


def _stage(lineage: list[ast.ClassDef], path: Path, field: str) -> Stage | None:
    """The literal in the class's body; None where it is computed."""
    node = _assigned(lineage, "stage")
    if not isinstance(node, ast.Constant):
        return None
    if node.value not in get_args(Stage):
        raise SpecFault(
            f"{field}.name",
            f"{path}:{node.lineno}: its stage must be 'query' or 'answer', not {node.value!r}",
        )
    return cast(Stage, node.value)


def _literal(lineage: list[ast.ClassDef], name: str) -> object:
    node = _assigned(lineage, name)
    return node.value if isinstance(node, ast.Constant) else None


def _assigned(lineage: list[ast.ClassDef], name: str) -> ast.expr | None:
    """What the nearest class with that attribute says it is."""
    for node in (node for own in lineage for node in own.body):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=value)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
            ) if target == name:
                return value
    return None
