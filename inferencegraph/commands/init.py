"""`hem init`."""

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from inferencegraph.commands import init_options as given
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from inferencegraph.spec.writing import Wanted

_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def init(
    out: given.Out = Path("spec.yaml"),
    name: given.Name = None,
    edge: given.Edge = None,
    cloud: given.Cloud = None,
    cloud_model: given.CloudModel = None,
    node: given.Node = None,
    edge_engine: given.EdgeEngine = None,
    cloud_engine: given.CloudEngine = None,
    algorithm: given.Algorithm = None,
    strategy: given.Strategy = None,
    router: given.Router = None,
    threshold: given.Threshold = None,
    source: given.Source = None,
    edge_only: given.EdgeOnly = False,
    cloud_only: given.CloudOnly = False,
    force: given.Force = False,
) -> None:
    """Writes a one-click spec, from these options or from a few questions.

    Example: `hem init --edge embedded:edge --cloud embedded:cloud && hem up -f spec.yaml`
    """
    from inferencegraph.spec.sources import CLOUD_DEFAULT_URL, EDGE_DEFAULT
    from inferencegraph.spec.writing import Wanted, spec_text

    _refuse_contradictions(edge_only, cloud_only, strategy, cloud, source)
    _refuse_existing(out, force)
    chosen = (name, edge, cloud, cloud_model, algorithm, strategy, router)
    told = any(value is not None for value in chosen) or bool(node)
    if source is not None:
        others = (edge_engine, cloud_engine, threshold, edge_only or None, cloud_only or None)
        if told or any(value is not None for value in others):
            raise ConfigurationError("--from takes all from its file; give only -o and --force")
        _write(_converted(source, out), out)
        return
    wanted = Wanted(
        name or "my-site",
        None if cloud_only else edge or EDGE_DEFAULT,
        None if edge_only else cloud or CLOUD_DEFAULT_URL,
        cloud_model,
        _stripped(node or ()),
        edge_engine,
        cloud_engine,
        algorithm,
        router,
        threshold,
        strategy,
    )
    if not told and sys.stdin.isatty() and sys.stdout.isatty():
        wanted = _answered(wanted)
    _is_name(wanted.name)
    _write(spec_text(wanted, _named(out)), out)


def _refuse_contradictions(
    edge_only: bool, cloud_only: bool, strategy: str | None, cloud: str | None, source: Path | None
) -> None:
    if edge_only and cloud_only:
        raise ConfigurationError("--edge-only and --cloud-only leave nothing; give one")
    if strategy == "speculative" and cloud is None and source is None:
        raise ConfigurationError(
            "--strategy speculative needs --cloud: a model, or the URL of a vLLM server"
        )


def _answered(wanted: "Wanted") -> "Wanted":
    """What is said on the terminal instead of the defaults, of the sides that are wanted."""
    from inferencegraph.spec.sources import CLOUD_DEFAULT

    name = _asked("Name of the site", wanted.name, _is_name)
    edge, cloud, cloud_model, nodes = wanted.edge, wanted.cloud, wanted.cloud_model, wanted.nodes
    if edge is not None:
        edge = _asked(f"Edge model ({given.MODEL})", edge, _is_source)
    if cloud is not None:
        question = "Cloud: a model, or the URL of an OpenAI-compatible API"
        cloud = _asked(question, cloud, _is_source)
        if cloud.startswith(("http://", "https://")):
            cloud_model = _asked("Model there", CLOUD_DEFAULT)
    if edge is not None:
        nodes = _stripped(_asked("Edge nodes, with commas (empty: any edge node)", "").split(","))
    return replace(wanted, name=name, edge=edge, cloud=cloud, cloud_model=cloud_model, nodes=nodes)


def _stripped(names: Iterable[str]) -> list[str]:
    return [name.strip() for name in names if name.strip()]


def _converted(source: Path, out: Path) -> str:
    """The spec's text; its report goes to stderr. Raises ConfigurationError with all that can't be
    known."""
    from inferencegraph.read.kustomize import load
    from inferencegraph.spec.expanding import convert
    from inferencegraph.spec.kinds import is_converted
    from inferencegraph.spec.writing import converted_text

    documents = load(source)
    if (count := sum(map(is_converted, documents))) != 1:
        raise ConfigurationError(
            f"{source}: has {count} services of Sedna's or tests of Ianvs's; --from takes a file "
            "with one"
        )
    document, report = convert(documents)
    errors = [
        f"{source}: {entry.object}: {entry.finding.field}: {entry.finding.message}"
        for entry in report
        if entry.severity == "error"
    ]
    if errors:
        raise ConfigurationError("\n".join(errors))
    for entry in report:
        finding = entry.finding
        print(
            f"{entry.severity}: {entry.object}: {finding.field}: {finding.message}",
            file=sys.stderr,
        )
    return converted_text(document, report, source, _named(out))


def _named(out: Path) -> str:
    """What the file is called in its own comments."""
    return "spec.yaml" if str(out) == "-" else str(out)


def _write(text: str, out: Path) -> None:
    """Nothing is written where the spec has a fault."""
    from inferencegraph.spec.reading import check_text

    check_text(text, out)
    if str(out) == "-":
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror or error}") from error
    print(f"wrote {out}")
    print(f"  hem up -f {out}                              runs it here")
    print(f"  hem render -f {out} | kubectl apply -f -     runs it on a cluster")


def _refuse_existing(out: Path, force: bool) -> None:
    if str(out) != "-" and out.exists() and not force:
        raise ConfigurationError(f"{out} is there already; name another with -o, or add --force")


def _is_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"name {name!r}: use a-z, 0-9 and -, with a letter first")


def _is_source(word: str) -> None:
    from inferencegraph.spec.writing import source_of

    source_of(word, "it")


def _asked(question: str, default: str, check: Callable[[str], object] = len) -> str:
    """The answer to a question on the terminal, asked again until `check` takes it."""
    while True:
        answer = str(typer.prompt(question, default=default, show_default=bool(default))).strip()
        try:
            check(answer)
        except ConfigurationError as error:
            print(f"  {error}")
        else:
            return answer
