"""A configuration block becomes a file in a ConfigMap, which the engine's server reads."""

from pathlib import Path

import psutil
import pytest
import yaml

from inferencegraph.build.engine_file import ANNOTATION, ENGINE_FILE
from tests.inferencegraph.build.crds import violations
from tests.inferencegraph.running_hem import RunningHem, hem
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    engine_file,
    errors_of,
    read,
    service,
    spec,
    told,
)

HUB = {"hub": "Qwen/Qwen3-8B"}
API = {"url": "https://api.example.com/v1", "name": "big"}
GPU = {"limits": {"gpus": 1}}


def config(engine: str, **block: Object) -> Object:
    return {"inferenceConfig": {"engine": engine, **block}}


def edge_with(**block: Object) -> Object:
    return spec(edge=config("huggingface", huggingfaceConfig=block))


def of_cloud(engine: str, model: Object = HUB, **fields: Object) -> Object:
    block = {key: value for key, value in fields.items() if key.endswith("Config")}
    rest = {key: value for key, value in fields.items() if key not in block}
    return spec(cloud={"model": model, **config(engine, **block), **rest})


def mounts_it(pod: Object, container: int = 0) -> bool:
    """Whether the container mounts the pod's ConfigMap where the file is looked for."""
    names = [v["name"] for v in pod["volumes"] if "configMap" in v]
    mounts = {m["name"]: m for m in pod["containers"][container]["volumeMounts"]}
    (mount,) = [mounts[name] for name in names if name in mounts]
    return bool(mount["mountPath"] == str(ENGINE_FILE.parent) and mount["readOnly"])


def test_a_predictor_of_ours_reads_it(shared: Path) -> None:
    made = read(edge_with(maxBatchSize=4, dtype="float32"))

    pod = service(made, "shop-edge")
    assert not errors_of(made)
    assert violations(shared / "crds", by_name(made)["InferenceService/shop-edge"]) == []
    assert engine_file(made, "shop-edge-engine") == {"dtype": "float32", "max_batch_size": 4}
    assert f"--engine_config={ENGINE_FILE}" in pod["containers"][0]["args"]
    assert mounts_it(pod)
    assert not [each for each in service(made, "shop-hem")["volumes"] if "configMap" in each]


def test_without_a_block_there_is_no_file() -> None:
    made = read(spec(edge=config("huggingface")))

    assert not [name for name in by_name(made) if name.startswith("ConfigMap")]
    assert ANNOTATION not in service(made, "shop-edge")["annotations"]


def test_another_block_starts_the_pods_anew() -> None:
    one, same, other = (read(edge_with(maxBatchSize=size)) for size in (4, 4, 5))

    told = [service(made, "shop-edge")["annotations"][ANNOTATION] for made in (one, same, other)]
    assert told[0] == told[1] != told[2]


def test_sites_share_it_and_so_do_sides_that_say_the_same() -> None:
    document = spec(inferenceConfig={"huggingfaceConfig": {"maxBatchSize": 4}})
    document["spec"]["edgeWorker"]["nodes"] = ["a", "b"]
    made = read(document)

    maps = [name for name in by_name(made) if name.startswith("ConfigMap")]
    assert maps == ["ConfigMap/shop-engine"]
    for name in ("shop-a-edge", "shop-b-edge", "shop-cloud"):
        assert mounts_it(service(made, name))


@pytest.mark.parametrize(
    ("engine", "block", "expected"),
    [
        (
            "vllm-server",
            {"vllmConfig": {"enablePrefixCaching": False, "engineArgs": {"block_size": 64}}},
            {"enable-prefix-caching": False, "block-size": 64},
        ),
        ("sglang", {"sglangConfig": {"contextLength": 4096}}, {"context-length": 4096}),
    ],
)
def test_an_engines_own_server_reads_it_by_its_own_names(
    engine: str, block: Object, expected: Object
) -> None:
    made = read(of_cloud(engine, resource=GPU, **block))

    pod = service(made, "shop-cloud")
    assert not errors_of(made)
    assert engine_file(made, "shop-cloud-engine") == expected
    assert pod["containers"][1]["args"][-2:] == ["--config", str(ENGINE_FILE)]
    assert mounts_it(pod, 1)
    assert not [word for word in pod["containers"][0]["args"] if "engine_config" in word]


def test_a_server_that_reads_no_file_has_options() -> None:
    made = read(of_cloud("lmdeploy", resource=GPU, lmdeployConfig={"sessionLen": 4096}))

    assert "--session-len=4096" in service(made, "shop-cloud")["containers"][1]["args"]
    assert "ConfigMap/shop-cloud-engine" not in by_name(made)


def test_an_uplink_reads_that_of_an_api() -> None:
    made = read(of_cloud("openai_api", API, openaiConfig={"topLogprobs": 3, "retries": 0}))

    pod = service(made, "shop-uplink")
    assert not errors_of(made)
    assert engine_file(made, "shop-cloud-engine") == {"retries": 0, "top_logprobs": 3}
    assert mounts_it(pod)
    # An option on the command line would win over the file.
    assert "--top_logprobs=0" not in pod["containers"][0]["args"]
    assert ANNOTATION in pod["annotations"]


def test_a_server_of_the_users_own_reads_no_file_of_ours() -> None:
    own = {"image": "mine:1", "command": ["serve"], "name": "m"}
    document = spec(cloud={"model": own}, inferenceConfig={"sednaConfig": {"result": "text"}})
    document["spec"]["deploymentMode"] = "sdk"
    document["spec"]["edgeWorker"]["model"] = {**own, "image": "mine:2"}

    assert "ConfigMap/shop-cloud-engine" not in by_name(read(document))


def test_the_default_share_of_a_gpu_gives_way() -> None:
    plain = read(of_cloud("vllm", resource=GPU))
    own = read(of_cloud("vllm", resource=GPU, vllmConfig={"gpuMemoryUtilization": 0.5}))

    share = "--gpu_memory_utilization=0.9"
    assert share in service(plain, "shop-cloud")["containers"][0]["args"]
    assert share not in service(own, "shop-cloud")["containers"][0]["args"]


@pytest.mark.parametrize(
    ("document", "field", "mend"),
    [
        (
            of_cloud("vllm-server", resource=GPU, vllmConfig={"kvCacheGib": 2}),
            "spec.cloudWorker.inferenceConfig.vllmConfig.kvCacheGib",
            "kv_cache_memory_bytes",
        ),
        (
            of_cloud(
                "triton",
                {"image": "kserve-hem-digits-triton", "name": "digits-cloud"},
                tritonConfig={"transport": "grpc"},
            ),
            "spec.cloudWorker.inferenceConfig.tritonConfig",
            "leave it out",
        ),
        (
            edge_with(maxBatchSize=0),
            "spec.edgeWorker.inferenceConfig.huggingfaceConfig.maxBatchSize",
            "greater than or equal to 1",
        ),
        (
            edge_with(maxBatchSise=1),
            "spec.edgeWorker.inferenceConfig.huggingfaceConfig.maxBatchSise",
            "did you mean 'maxBatchSize'?",
        ),
    ],
)
def test_what_the_engine_does_not_take_is_an_error(document: Object, field: str, mend: str) -> None:
    made = read(document)

    (said,) = told(made, "error")
    assert said.startswith(f"{field}: ")
    assert mend in said
    assert not made.documents


@pytest.mark.slow
def test_hem_up_runs_it(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(edge_with(maxBatchSize=3, batching="plain")))

    with RunningHem(["-f", str(path)]) as running:
        words = psutil.Process(running.pids["shop-edge"]).cmdline()
        (file,) = [word.partition("=")[2] for word in words if word.startswith("--engine_config=")]
        assert yaml.safe_load(Path(file).read_text()) == {"batching": "plain", "max_batch_size": 3}
        assert running.ask("2 + 3?").status_code == 200


@pytest.mark.slow
def test_what_only_the_engine_finds_wrong_names_the_file(tmp_path: Path) -> None:
    triton = {"model": {"url": "grpc://127.0.0.1:1", "name": "m"}}
    block = config("triton", tritonConfig={"promptTemplate": "no place for it"})
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec(edge={**triton, **block})))

    result = hem("up", "-f", str(path), "--port", "0")
    assert result.returncode != 0
    assert "config.yaml: prompt_template 'no place for it': must contain {query}" in result.stderr


@pytest.mark.slow
def test_hem_up_tells_of_a_shells_variable_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(edge_with(maxBatchSize=3)))
    monkeypatch.setenv("PREDICTOR_MAX_BATCH_SIZE", "8")

    result = hem("up", "-f", str(path), "--port", "0")
    assert result.returncode == 2
    assert "contradicts the manifest of shop-edge (3)" in result.stderr
