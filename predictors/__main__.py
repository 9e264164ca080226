"""python -m predictors --model_name edge --engine huggingface --model_dir /mnt/models"""

import argparse

from predictors import logs
from predictors.cache import CacheSettings, with_cache
from predictors.engines import ENGINES
from predictors.serving.command import command_line, run
from predictors.serving.engine_file import read_engine_file
from predictors.serving.settings import PredictorSettings
from predictors.settings import EngineSettings, add_options, read_settings, warn_of_secrets

EXAMPLE = """example:
  python -m predictors --model_name edge --engine huggingface --model_dir embedded:edge
  curl localhost:8080/v2/models/edge/infer -H 'Content-Type: application/json' -d '
    {"inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["1 + 1?"]}]}'

`--engine NAME --help` shows the options of that engine."""


def main() -> None:
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_options(first, PredictorSettings)
    options, _ = first.parse_known_args()
    settings = read_settings(PredictorSettings, vars(options))
    logs.install(settings.log_format)
    engine_class = ENGINES.load(settings.engine)
    file = read_engine_file(settings.engine_config, engine_class.Settings)

    add_options(first, CacheSettings)
    add_options(first, engine_class.Settings)
    _, others = first.parse_known_args()
    # kserve takes seconds to import and reads sys.argv on import, so that a bad setting shows
    # before; it would take --timeout for an abbreviation of its own --timeout-keep-alive.
    with command_line(others):
        from kserve.model_server import parser as kserve_parser

    from predictors.serving.model import PredictorModel
    from predictors.serving.server import serve

    arguments = vars(_parser(kserve_parser, engine_class.Settings).parse_args())
    warn_of_secrets(arguments, engine_class.Settings)
    sampling = settings.sampling()
    engine = engine_class(read_settings(engine_class.Settings, arguments, file))
    cache = read_settings(CacheSettings, arguments)
    engine = with_cache(engine, cache, settings.model_name, settings.engine, sampling)
    model = PredictorModel(
        settings.model_name,
        engine,
        sampling,
        aliases=settings.aliases(),
        first_event_seconds=settings.first_event_seconds,
    )
    serve(model, settings)


def _parser(
    kserves: argparse.ArgumentParser, engine_settings: type[EngineSettings]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m predictors",
        usage="%(prog)s --model_name NAME --engine ENGINE [options]",
        description="A KServe predictor: V2 over REST and gRPC in front of an engine. "
        f"Engines: {', '.join(ENGINES.names())}.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[kserves],
        conflict_handler="resolve",
        allow_abbrev=False,
    )
    for settings in (PredictorSettings, CacheSettings, engine_settings):
        add_options(parser, settings)
    return parser


if __name__ == "__main__":
    run(main)
