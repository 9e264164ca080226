"""Which image computes what a model answers: an engine's own, one of ours, or one that is named."""

from inferencegraph.build.accelerators import accelerator_of
from inferencegraph.build.engine import IN_A_RUNTIME
from inferencegraph.build.engine_images import IMAGES
from inferencegraph.build.engine_servers import OWN_IMAGES, SERVERS, EngineServer
from inferencegraph.build.engine_table import ENGINES
from inferencegraph.build.pods import Images
from inferencegraph.build.sites import Model
from predictors.errors import ConfigurationError


def engine_image(model: Model, images: Images) -> tuple[str, str]:
    """The name of the engine that computes, as ConfigMaps of images have it, and its image."""
    server = SERVERS.get(model.engine)
    if isinstance(server, EngineServer):
        key = computing(model, server)
        engine = ENGINES[key](IN_A_RUNTIME)
        own, key = (
            accelerator_of(model.resources.accelerator).image(key, engine),
            engine.image or key,
        )
        return key, images.engines.get(model.engine) or images.engines.get(key) or own
    in_ours = OWN_IMAGES.get(model.engine, lambda images: images.predictor)
    own = (server.image if server else in_ours)(images)
    if unusable_image(model, images):
        return model.engine, own
    return model.engine, images.engines.get(model.engine, own)


def unusable_image(model: Model, images: Images) -> str | None:
    """What `images` have for an engine that runs in an image of ours, where that is the engine's
    own server: ConfigMaps of ServingRuntimes have those."""
    named = images.engines.get(model.engine)
    if named is None or isinstance(SERVERS.get(model.engine), EngineServer):
        return None
    return named if _repository(named) == _repository(IMAGES.get(model.engine, "")) else None


def _repository(image: str) -> str:
    head, _, last = image.partition("@")[0].rpartition("/")
    return f"{head}/{last.partition(':')[0]}"


def computing(model: Model, server: EngineServer) -> str:
    """The name among ENGINES of what computes on the GPUs, or the CPUs, that the model has."""
    gpus = model.resources.gpus
    wanted, other = (server.on_gpus, server.on_cpus) if gpus else (server.on_cpus, server.on_gpus)
    if wanted is None and model.image is None:
        here, there = ("GPUs", "CPUs") if gpus else ("CPUs", "GPUs")
        raise ConfigurationError(
            f"engine {model.engine!r}: its image computes on {there}, and the model has "
            f"{gpus} GPUs; change resources, or give an image of {model.engine} for {here}"
        )
    key = wanted or other
    assert key is not None
    return key
