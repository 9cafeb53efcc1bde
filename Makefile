# What this project does, a word each. `make test` works on a fresh Debian 12 or Ubuntu machine with only Swift.

SWIFT ?= swift

.PHONY: demo build test test-torch bench lint format setup clean

# A tiny model grown and taught Korean, from base to healed, in about three minutes after the build.
demo: build
	Scripts/demo/run

# The two commands, at full speed: .build/release/surgery and .build/release/trainer.
build: setup
	$(SWIFT) build -c release

test: setup
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build

# The same jobs by PyTorch's engine as by ours; sets up a virtual environment of about 6 GB unless one is named.
TORCH_PYTHON ?= .build/torch/bin/python

test-torch: build $(if $(filter .build/torch/%,$(TORCH_PYTHON)),.build/torch/installed)
	$(TORCH_PYTHON) -m pytest -q -rP Tests/Worker

# It counts as installed only when everything is there.
.build/torch/installed: Sources/Trainer/Cluster/requirements.txt
	python3 -m venv .build/torch
	.build/torch/bin/pip install -q -r $< pytest==9.2.0
	touch $@

# The benchmarks, beside the committed figures; some minutes, and the machine should be idle.
bench: build
	Benchmarks/run

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests

# The system libraries; takes no time when they are there.
setup:
	@Scripts/setup

clean:
	$(SWIFT) package clean
