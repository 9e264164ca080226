"""HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, upper or lower case: which calls go through.

What is near never does: this machine, names inside the cluster, private addresses. KServe gives
services such names, and no proxy knows those.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.request import (  # type: ignore[attr-defined]
    getproxies_environment,
    proxy_bypass_environment,
)

import httpx

from predictors.errors import ConfigurationError

CARRIED: Final = frozenset({"http", "https"})  # socks needs a library of its own
# What `grpc` and `grpcs` in a URL are to a proxy.
SCHEMES: Final = {"grpc": "http", "grpcs": "https"}
SHARED: Final = ip_network("100.64.0.0/10")  # RFC 6598, which clusters use for services


def environment() -> dict[str, str]:
    """By the scheme of the URLs that they are for, `all` for any, `no` for none. The lower-case
    variable wins. Empty where there is no proxy, whatever NO_PROXY says."""
    found = getproxies_environment()
    proxies = {k: v.strip() for k, v in found.items() if k in {*CARRIED, "all"} and v.strip()}
    return {**proxies, "no": _bare_suffixes(found.get("no", ""))} if proxies else {}


def environment_proxy(url: str | httpx.URL, proxies: Mapping[str, str]) -> httpx.Proxy | None:
    """Of `proxies` that of a call to `url`. Raises ConfigurationError, without its password."""
    target = httpx.URL(url)
    scheme = SCHEMES.get(target.scheme, target.scheme)
    name = scheme if proxies.get(scheme) else "all"
    if not proxies.get(name) or is_near(target.host) or _excepted(target, scheme, proxies["no"]):
        return None
    proxy = proxies[name]
    return as_proxy(proxy if "://" in proxy else f"http://{proxy}", f"{name.upper()}_PROXY")


def as_proxy(url: str, option: str) -> httpx.Proxy:
    """Its errors never repeat the URL, which may hold a password."""
    try:
        proxy = httpx.Proxy(url)
        if proxy.url.scheme in CARRIED and proxy.url.host:
            return proxy
    except (httpx.InvalidURL, ValueError):
        pass
    raise ConfigurationError(f"{option} is not a proxy's URL: http://[user:password@]host:port")


def is_near(host: str) -> bool:
    """Whether a host is on this machine, in this cluster or in a private network."""
    host = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        labels = host.split(".")
        inside = "svc" in labels[1:] or host.endswith((".cluster.local", ".localhost"))
        return len(labels) == 1 or inside
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_private or (address.version == 4 and address in SHARED)


def _bare_suffixes(no_proxy: str) -> str:
    """`*.example.com` is `.example.com` to the standard library."""
    entries = (entry.strip() for entry in no_proxy.replace(" ", ",").split(","))
    return ",".join(e.removeprefix("*") if len(e) > 1 else e for e in entries if e)


def _excepted(target: httpx.URL, scheme: str, no_proxy: str) -> bool:
    host = target.host.rstrip(".")
    port = target.port or (443 if scheme == "https" else 80)
    if proxy_bypass_environment(f"{host}:{port}", {"no": no_proxy}):
        return True
    return any(_in_network(host, entry) for entry in no_proxy.split(","))


def _in_network(host: str, entry: str) -> bool:
    """An address as NO_PROXY has it, 203.0.113.0/24 among them; False for what is a name."""
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
