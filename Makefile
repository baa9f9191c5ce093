# seisproc: everything a developer types. `make demo` and `make test` set up what they need first.
PYTHON ?= python3
UV := .tools/bin/uv
BIN := .venv/bin
PACKAGES := benchmarks seisproc seisproc_alerts seisproc_core seisproc_denoise seisproc_geometry seisproc_joblib seisproc_jobstore seisproc_numba \
            seisproc_processes seisproc_qc seisproc_ray seisproc_seg2 seisproc_segy seisproc_signal seisproc_terminal seisproc_velocity \
            seisproc_zarr
# With Rust 1.88 or newer the native SEG-Y reader is built; without it the slower NumPy reader does its work.
CARGO := $(shell cargo --version 2>/dev/null | awk '{split($$2, v, "."); if (v[1] > 1 || v[2] >= 88) print "cargo"}')
NATIVE := $(if $(CARGO),--extra native)
SYNC = $(UV) sync --quiet --locked --compile-bytecode --python $(PYTHON) $(NATIVE)

export UV_PYTHON_DOWNLOADS = never
export UV_PROJECT_ENVIRONMENT = .venv
# uv does not read pip's configuration: hand on a mirror and a certificate that pip was told about.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

.PHONY: help setup setup-all demo test check unit native-test bench docs lock clean

help:
	@echo "make demo    set up, then model a 2-D line and process it to a stack"
	@echo "make test    set up, then run every check and test"
	@echo "make check   linter, formatter, import contracts, type checker"
	@echo "make bench   the benchmark table"
	@echo "make docs    the documentation, into docs/_build"

$(UV):
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

setup: $(UV)
	@$(if $(CARGO),,echo "No Rust 1.88 or newer found: using the NumPy SEG-Y reader instead of the native one.")
	$(SYNC) --inexact

# Ray, which is large, is only installed where everything is tested or measured.
setup-all: setup
	$(SYNC) --extra ray

demo: setup
	$(BIN)/seisproc demo

test: check native-test unit

check: setup-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(if $(CARGO),$(BIN)/lint-imports,@echo "native package not built: import contracts, which name it, are not checked")
	$(BIN)/mypy $(addprefix -p ,$(PACKAGES))

native-test:
	$(if $(CARGO),cd native/segy && cargo test --quiet --locked,@echo "cargo not found: tests of the Rust crate are not run")

# Many tests wait, for a disk or a process: two at a time take little more than half as long. Those of Ray, which keep
# the whole machine busy, follow one another.
unit: setup-all
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup

bench: setup
	$(SYNC) --extra ray --group bench
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/python docs/build.py

lock: $(UV)
	$(UV) lock --python $(PYTHON)

clean:
	rm -rf .venv .tools native/segy/target docs/_build docs/reference seisproc-demo
