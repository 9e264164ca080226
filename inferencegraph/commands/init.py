"""`hem init`."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from predictors.errors import ConfigurationError

_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_MODEL: Final = "a hub id, a path, a storage URI, or embedded:edge"


def init(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is stdout.")
    ] = Path("spec.yaml"),
    name: Annotated[
        str | None, typer.Option(help="Of the site; its objects begin with it.", show_default=False)
    ] = None,
    edge: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help=f"At the edge: {_MODEL}.", show_default=False),
    ] = None,
    cloud: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL_OR_URL",
            help="In the cloud: a model, or the URL of an OpenAI-compatible API.",
            show_default=False,
        ),
    ] = None,
    cloud_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model at that URL.", show_default=False)
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(help="An edge node, which gets a site; repeatable.", show_default=False),
    ] = None,
    edge_engine: Annotated[str | None, typer.Option(metavar="ENGINE", show_default=False)] = None,
    cloud_engine: Annotated[str | None, typer.Option(metavar="ENGINE", show_default=False)] = None,
    algorithm: Annotated[
        str | None,
        typer.Option(help="{transformers_hem.algorithms:ALGORITHMS}", show_default=False),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="How both models answer together: {transformers_hem.strategies:STRATEGIES}.",
            show_default=False,
        ),
    ] = None,
    router: Annotated[
        str | None, typer.Option(metavar="ROUTER", help="A trained one.", show_default=False)
    ] = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, show_default=False)] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Sedna's JointInferenceService with its Models, or Ianvs's test algorithm, which "
            "the spec says instead; what becomes of each field is printed.",
            show_default=False,
        ),
    ] = None,
    edge_only: Annotated[bool, typer.Option("--edge-only", help="No cloud.")] = False,
    cloud_only: Annotated[bool, typer.Option("--cloud-only", help="No edge.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Writes a one-click spec, from these options or from a few questions.

    Example: `hem init --edge embedded:edge --cloud embedded:cloud && hem up -f spec.yaml`
    """
    from inferencegraph.spec.sources import CLOUD_DEFAULT, CLOUD_DEFAULT_URL, EDGE_DEFAULT
    from inferencegraph.spec.writing import Wanted, source_of, spec_text

    if edge_only and cloud_only:
        raise ConfigurationError("--edge-only and --cloud-only leave nothing; give one")
    if strategy == "speculative" and cloud is None and source is None:
        raise ConfigurationError(
            "--strategy speculative needs --cloud: a model, or the URL of a vLLM server"
        )
    _refuse_existing(out, force)
    chosen = (name, edge, cloud, cloud_model, algorithm, strategy, router)
    told = any(v is not None for v in chosen) or node
    if source is not None:
        others = (edge_engine, cloud_engine, threshold, edge_only or None, cloud_only or None)
        if told or any(v is not None for v in others):
            raise ConfigurationError("--from takes all from its file; give only -o and --force")
        _write(_converted(source, out), out)
        return
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not told
    if asks:
        name = _asked("Name of the site", "my-site", _is_name)
        if not cloud_only:
            edge = _asked(f"Edge model ({_MODEL})", EDGE_DEFAULT, lambda w: source_of(w, "it"))
        if not edge_only:
            cloud = _asked(
                "Cloud: a model, or the URL of an OpenAI-compatible API",
                CLOUD_DEFAULT_URL,
                lambda w: source_of(w, "it"),
            )
            if cloud.startswith(("http://", "https://")):
                cloud_model = _asked("Model there", CLOUD_DEFAULT)
        if not cloud_only:
            node = _asked("Edge nodes, with commas (empty: any edge node)", "").split(",")
    name = name or "my-site"
    _is_name(name)
    text = spec_text(
        Wanted(
            name,
            None if cloud_only else edge or EDGE_DEFAULT,
            None if edge_only else cloud or CLOUD_DEFAULT_URL,
            cloud_model,
            [each.strip() for each in node or [] if each.strip()],
            edge_engine,
            cloud_engine,
            algorithm,
            router,
            threshold,
            strategy,
        ),
        _named(out),
    )
    _write(text, out)


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
