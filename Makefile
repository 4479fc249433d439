# `make demo` and `make test` work from a fresh clone with Python 3.11 or newer, git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# uv separates the places to look for wheels by commas, pip by spaces.
comma := ,
space := $(subst ,, )
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
endif
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

INSTALL := install --quiet --constraint constraints.txt --editable '.[test]'

.PHONY: demo test lint clean

demo: $(STAMP)
	@$(BIN)/gnnseg demo

test: lint
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(STAMP)
	@$(BIN)/ruff check
	@$(BIN)/lint-imports
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist demo-output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gnnseg needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo 'Installing gnnseg and what it needs into $(VENV)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet uv || true
	@$(BIN)/python -m uv pip $(INSTALL) --python $(BIN)/python || \
	  { echo "uv could not install the project: trying pip"; $(BIN)/python -m pip $(INSTALL); }
	@touch $@
