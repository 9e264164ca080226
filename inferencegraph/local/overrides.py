"""What the caller of `hem up` changes in manifests: `--set`, `--router`, and the shell's variables.

`--set` wins over the manifest. A variable of the shell reaches the services that take it where the
manifest is silent; where the manifest says something else it is refused by its name. All of it is
written into a copy of the manifests, so that addresses in it are read as if they had stood there.
"""

import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from inferencegraph.local.containers import OURS, LocalCommand, image_name
from inferencegraph.local.own_settings import (
    Fields,
    Kind,
    fields_of,
    filed,
    is_secret,
    kind_of,
    kserve_options,
    option_of,
    setting,
    variable_of,
)
from inferencegraph.local.placement import Placement
from inferencegraph.local.volumes import config_maps, mounted_text
from predictors.errors import ConfigurationError, known
from predictors.logs import LOG_FORMAT
from predictors.upstream.redaction import shown_url, shown_value
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.routers.directory import algorithm_of, locate, version_of
from transformers_hem.serving.modes import MODES, SELF_DESIGN

_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_OPTION: Final = re.compile(r"[a-z][a-z0-9_-]*")
_PORTS: Final = frozenset({"http_port", "grpc_port", "http-port", "grpc-port"})
_CUTOFF: Final = 0.8  # of difflib's ratio, above which a name is taken for a slip of the pen


@dataclass(frozen=True, slots=True)
class Setting:
    """`--set SERVICE.NAME=VALUE`, read."""

    service: str
    name: str
    value: str

    @classmethod
    def read(cls, text: str) -> "Setting":
        path, equals, value = text.partition("=")
        service, dot, name = path.partition(".")
        is_name = _VARIABLE.fullmatch(name) or _OPTION.fullmatch(name)
        if not (equals and dot and service and is_name):
            raise ConfigurationError(
                f"--set {shown_url(text)!r} is not SERVICE.NAME=VALUE, "
                "e.g. qa-uplink.url=http://cloud or qa-hem.HEM_THRESHOLD=0.3"
            )
        return cls(service, name, value)


@dataclass(slots=True)
class Target:
    """A container that can be changed. `set_here`: options and variables that `--set` has given;
    `file`: options that a mounted file gives."""

    name: str
    service: str
    container: dict[str, Any]
    kind: Kind
    fields: Fields
    set_here: set[str]
    file: Mapping[str, str]

    def says(self, option: str) -> str | None:
        """What the manifest says of an option; None where it is silent."""
        said = setting(self.kind, self.container, option)
        return self.file.get(option) if said is None else said

    def put_variable(self, name: str, value: str) -> None:
        self.drop_variable(name)
        self.container.setdefault("env", []).append({"name": name, "value": value})

    def drop_variable(self, name: str) -> None:
        entries = self.container.get("env") or []
        self.container["env"] = [entry for entry in entries if entry.get("name") != name]

    def put_option(self, name: str, value: str) -> None:
        """In place of the option where the manifest has it, in either spelling."""
        for part in ("command", "args"):
            if self.container.get(part):
                self.container[part] = list(_without(self.container[part], f"--{name}"))
        self.container["args"] = [*(self.container.get("args") or []), f"--{name}={value}"]


def overridden(
    documents: Sequence[dict[str, Any]],
    images: Mapping[str, LocalCommand],
    settings: Sequence[str],
    router: str | None,
    shell: Mapping[str, str],
) -> tuple[list[dict[str, Any]], list[str]]:
    """The documents as they are to run, and notes for the caller about variables that no service
    takes. Raises ConfigurationError."""
    changed = copy.deepcopy(list(documents))
    targets = list(_targets(changed, images))
    # An engine first: it decides which options there are.
    for given in sorted(map(Setting.read, settings), key=lambda given: given.name != "engine"):
        _set(given, targets)
    if router is not None:
        _route_by(router, targets)
    return changed, _complete(targets, shell)


def _targets(
    documents: Sequence[dict[str, Any]], images: Mapping[str, LocalCommand]
) -> Iterator[Target]:
    services = [document for document in documents if document["kind"] == "InferenceService"]
    maps = config_maps(documents)
    for item in Placement(services, itertools.repeat(0)).placed:
        assert isinstance(item.container, dict)
        local = images.get(image_name(str(item.container.get("image", ""))))
        kind = kind_of(item.container, local.entrypoint if local else ())
        fields = fields_of(kind, item.container)
        file = filed(kind, item.container, partial(mounted_text, item, maps))
        yield Target(item.name, item.service, item.container, kind, fields, set(), file)


def _set(given: Setting, targets: Sequence[Target]) -> None:
    own = [target for target in targets if given.service in (target.name, target.service)]
    if not own:
        names = [name for target in targets for name in (target.name, target.service)]
        raise ConfigurationError(
            f"--set {given.service}.{given.name}: unknown service; {known(given.service, {*names})}"
        )
    if given.name in _PORTS:
        raise ConfigurationError(
            f"--set {given.service}.{given.name}: `hem up` chooses the ports of services; --port "
            "is where the graph answers"
        )
    own.sort(key=lambda target: target.name != given.service)  # the one of that very name first
    taking = [target for target in own if _option(given.name, target) in target.fields]
    target = (taking or own)[0]
    option = _option(given.name, target)
    if not taking and target.kind != "other":
        _refuse_unknown(given, option, target)
    target.set_here.add(option)
    if target.kind == "hem" and option in target.fields:
        target.put_variable(variable_of("hem", option), given.value)
    elif _VARIABLE.fullmatch(given.name) and option not in target.fields:
        target.put_variable(given.name, given.value)
    else:
        target.put_option(option, given.value)
    if option == "engine":
        target.fields = fields_of(target.kind, target.container)


def _option(name: str, target: Target) -> str:
    """`PREDICTOR_URL` and `url` are one option of a predictor."""
    return option_of(target.kind, name) or name


def _refuse_unknown(given: Setting, option: str, target: Target) -> None:
    """A name that no server of ours has: neither a setting of its own, nor an option of kserve's,
    nor a variable of something else."""
    foreign = _VARIABLE.fullmatch(given.name) and not OURS.fullmatch(given.name)
    if not foreign and option not in kserve_options():
        raise ConfigurationError(
            f"--set {given.service}.{given.name}: {target.name} has no such setting; "
            f"{known(option, target.fields, brief=True)}"
        )


def _route_by(router: str, targets: Sequence[Target]) -> None:
    """The router's own algorithm and threshold come with it: what the manifest says of these was
    meant for another router. Of a folder of versions each brings its own."""
    algorithm = algorithm_of(locate(router))
    names = {"algorithm": None if version_of(router) else algorithm, "router": router}
    mining = [target for target in targets if target.kind == "hem"]
    if not mining:
        raise ConfigurationError(f"--router {router}: no service here mines")
    mode = MODES[ALGORITHMS.load(algorithm).stage]
    for target in mining:
        said = setting("hem", target.container, "mining_mode")
        if said not in (None, mode, SELF_DESIGN):
            raise ConfigurationError(
                f"--router {router}: {algorithm} is for {mode}, but the manifest of {target.name} "
                f"says {said}; give manifests for {mode} with -f"
            )
        for option in ("parameters", "threshold", *names):
            if option not in target.set_here:
                target.drop_variable(variable_of("hem", option))
        for option, value in names.items():
            if option not in target.set_here and value is not None:
                target.put_variable(variable_of("hem", option), value)
        target.set_here |= {"algorithm", "router", "parameters", "threshold"}


def _complete(targets: Sequence[Target], shell: Mapping[str, str]) -> list[str]:
    """Gives the shell's variables to who takes them. Returns notes about the others."""
    notes = []
    for variable, value in sorted(shell.items()):
        if not value or not OURS.fullmatch(variable) or variable == LOG_FORMAT:
            continue
        taking = [target for target in targets if _option(variable, target) in target.fields]
        if not taking:
            _refuse_misspelt(variable, targets)
            notes.append(f"{variable} of your shell is no setting of a service here; none gets it")
        _refuse_contradiction(variable, value, taking)
        for target in taking:
            option = _option(variable, target)
            if option not in target.set_here and not _says(target, option):
                target.put_variable(variable, value)
    return notes


def _says(target: Target, option: str) -> bool:
    variable = variable_of(target.kind, option)
    entries = target.container.get("env") or []
    from_elsewhere = any(e.get("name") == variable and e.get("valueFrom") for e in entries)
    return from_elsewhere or target.says(option) is not None


def _refuse_misspelt(variable: str, targets: Sequence[Target]) -> None:
    # All begin with one of two words, which make no two of them alike.
    _, _, own = variable.partition("_")
    names = {variable_of(t.kind, option) for t in targets for option in t.fields}
    by_own = {name.partition("_")[2]: name for name in names}
    near = get_close_matches(own, by_own, n=1, cutoff=_CUTOFF)
    if near:
        name = by_own[near[0]]
        raise ConfigurationError(
            f"{variable} of your shell is no setting of a service here; did you mean {name}? "
            "Unset it otherwise"
        )


def _refuse_contradiction(variable: str, value: str, taking: Sequence[Target]) -> None:
    against = []
    for target in taking:
        option = _option(variable, target)
        said = target.says(option)
        if option not in target.set_here and said is not None and not _same(said, value):
            shown = "" if is_secret(target.fields[option]) else f" ({shown_value(option, said)})"
            against.append((target, option, shown))
    if not against:
        return
    target, option, _ = against[0]
    named = ", ".join(f"{each.name}{shown}" for each, _, shown in against)
    secret = is_secret(target.fields[option])
    wanted = "VALUE" if secret else shown_value(option, value)
    way_out = f"--set {target.name}.{option}={wanted}"
    if variable == variable_of("hem", "router"):
        way_out = f"--router {wanted}"
    raise ConfigurationError(
        f"{variable}{'' if secret else f'={wanted}'} of your shell contradicts the manifest of "
        f"{named}; unset it, or say {way_out}"
    )


def _same(one: str, other: str) -> bool:
    """Numbers by value: 0 is 0.0."""
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False


def _without(words: Sequence[Any], option: str) -> Iterator[Any]:
    """`words` but `--option=x` and `--option x`."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif str(word) == option:
            skip = True
        elif not str(word).startswith(f"{option}="):
            yield word
