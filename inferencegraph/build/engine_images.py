"""The inference engines' images, each by a version; where a tag was seen stands beside it.

They are the defaults of the ServingRuntimes' images.yaml and of pods with an engine's own server.
"""

from collections.abc import Mapping
from typing import Final

# By engine, for NVIDIA's GPUs and for CPUs.
IMAGES: Final[Mapping[str, str]] = {
    "huggingface": "kserve/huggingfaceserver:v0.20.0-gpu",
    "llama-cpp": "ghcr.io/ggml-org/llama.cpp:server-b11176",  # public Terraform files
    "lmdeploy": "openmmlab/lmdeploy:v0.12.2-cu12.8",  # public Dockerfiles
    "ollama": "ollama/ollama:0.24.0",  # public compose files
    "ollama-gpu": "ollama/ollama:0.24.0",  # CUDA and Vulkan are in it: docs.ollama.com/docker
    "predictor": "kserve-hem-predictor:0.1.0",
    "sglang": "lmsysorg/sglang:v0.5.17",  # github.com/modal-projects/sglang
    "triton": "nvcr.io/nvidia/tritonserver:25.10-py3",
    "vllm": "vllm/vllm-openai:v0.32.0",
    "vllm-cpu": "vllm/vllm-openai-cpu:v0.32.0",
}

# By accelerator, then engine: where its vendor, or the engine, has another one.
OTHER_IMAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "amd": {
        # AMD's own: tests of vLLM on Radeon name it.
        "vllm": "rocm/vllm:rocm10.0.0_ubuntu24.04_py3.14_pytorch_2.12.0_vllm_0.27.0",
        # For MI300; MI350's ends in mi35x. From Liquid AI's guide.
        "sglang": "lmsysorg/sglang:v0.5.17-rocm720-mi30x",
        "ollama-gpu": "ollama/ollama:0.18.2-rocm",  # docs.ollama.com/docker; a guide's compose file
    },
    "ascend": {
        "vllm": "quay.io/ascend/vllm-ascend:v0.23.0",  # reports of runs on Atlas A2
        # LMDeploy's guide names no other tag.
        "lmdeploy": "crpi-4crprmm5baj1v8iv.cn-hangzhou.personal.cr.aliyuncs.com/"
        "lmdeploy_dlinfer/ascend:a2-latest",
    },
    # Cambricon gives its images to customers: put your registry's name and tag in.
    "cambricon": {"vllm": "registry.example.com/cambricon/vllm-mlu:latest"},
    "intel": {
        # SGLang's nightly release for Intel has no other tag.
        "sglang": "intel/sglang-dev:latest",
        "vllm": "vllm/vllm-openai-xpu:v0.30.0",  # public Dockerfiles
        "ollama-gpu": IMAGES["ollama-gpu"],
    },
}
