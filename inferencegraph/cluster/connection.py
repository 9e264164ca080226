"""A kubeconfig's cluster, with retries of what may be asked twice."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from inferencegraph.cluster.api import Cluster
from predictors.errors import ConfigurationError, first_line, known

DEFAULT_FILE: Final = "~/.kube/config"
IN_CLUSTER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# All that is sent from here may be sent twice: applying is idempotent, and what is posted is a
# dry run.
_METHODS: Final = ("GET", "PATCH", "PUT", "DELETE", "POST")
LONGEST_WAIT: Final = 120  # seconds, of a Retry-After
_TOLD: Final = 3  # seconds: longer waits are told


class Patient(urllib3.Retry):
    """Says so where it waits long. A request that got no answer in time is sent once more only."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Raises MaxRetryError where it is enough."""
        late = any(isinstance(each.error, ReadTimeoutError) for each in self.history)
        if late and isinstance(error, ReadTimeoutError) and _pool is not None:
            raise MaxRetryError(_pool, url, error)
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def sleep_for_retry(self, response: BaseHTTPResponse) -> bool:
        if (wait := self.get_retry_after(response)) and wait >= _TOLD:
            seconds = min(wait, LONGEST_WAIT)
            print(f"hem: the API server asks to wait {seconds:.0f} s", file=sys.stderr, flush=True)
        return super().sleep_for_retry(response)


def connect(context: str | None, namespace: str | None, kubeconfig: Path | None = None) -> Cluster:
    """The cluster of a kubeconfig's context, or the one in which this runs as a pod. Asks nothing.

    kubeconfig: its file; None for KUBECONFIG's, or the one in the home folder.

    Raises ConfigurationError where there is none, or where its files can't be read.
    """
    settings = Configuration()
    files = str(kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_FILE)
    there = any(Path(each).expanduser().is_file() for each in files.split(os.pathsep) if each)
    try:
        if not (there or context or kubeconfig) and os.environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=settings)
            chosen, own = "in-cluster", IN_CLUSTER.read_text(encoding="utf-8").strip()
        else:
            chosen, own = _from_files(files, there, context, settings)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError) as error:
        raise ConfigurationError(f"kubeconfig {files}: {first_line(error)}") from error
    except (AttributeError, KeyError, TypeError) as error:  # the client looks at no shapes
        raise ConfigurationError(f"kubeconfig {files}: is not a kubeconfig ({error})") from error
    settings.retries = Patient(
        total=6,
        connect=2,
        read=4,
        other=0,
        allowed_methods=_METHODS,
        status_forcelist=(429,),
        backoff_factor=0.3,
        raise_on_status=False,
        retry_after_max=LONGEST_WAIT,
    )
    return Cluster(ApiClient(settings), settings.host, namespace or own, chosen)


def _from_files(
    files: str, there: bool, context: str | None, settings: Configuration
) -> tuple[str, str]:
    """The context's name and its namespace."""
    if not there:
        raise ConfigurationError(
            f"no kubeconfig: {files} is not there; name it with --kubeconfig FILE or KUBECONFIG, "
            "or log in to the cluster"
        )
    contexts, active = config.list_kube_config_contexts(config_file=files)
    names: dict[str, Any] = {each["name"]: each.get("context") or {} for each in contexts or []}
    chosen = context or (active or {}).get("name")
    if chosen not in names:
        raise ConfigurationError(
            f"kubeconfig {files}: unknown context {chosen!r}; {known(chosen, names)}"
        )
    config.load_kube_config(config_file=files, context=chosen, client_configuration=settings)
    return str(chosen), str(names[chosen].get("namespace") or "default")
