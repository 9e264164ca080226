"""A gateway whose sides are one trivial upstream, and which leaves all to the edge: what is
measured is the gateway itself."""

from tests.conftest import ServerProcess, StartServer


def trivial_gateway(start_server: StartServer, upstream: int) -> ServerProcess:
    """`upstream` is a port here."""
    url = f"http://127.0.0.1:{upstream}/v1"
    variables = {
        "HEM_ALGORITHM": "LinearRouter",
        "HEM_ROUTER": "embedded:linear",
        "HEM_THRESHOLD": "1",  # the edge's route
        "HEM_HOST": "127.0.0.1",
        **{f"HEM_{side}_URL": url for side in ("EDGE", "CLOUD")},
        **{f"HEM_{side}_MODEL": "m" for side in ("EDGE", "CLOUD")},
    }
    return start_server(
        *("transformers_hem", "--model_name", "qa-hem", "--enable_latency_logging", "false"),
        env=variables,
        ready="/v2/models/qa-hem/ready",
    )
