# The two commands that matter: `make demo` shows it, `make test` proves it.
# Both install what the machine lacks, after saying what and why (.ci/install).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# A Node.js of our own comes first if .ci/install had to bring one.
export PATH := $(CURDIR)/target/tools/node/bin:$(PATH)
export CARGO_TERM_COLOR ?= auto

step = @printf '\n==> %s\n' "$(1)"
# nextest where it is installed; the same tests either way.
rust_tests := $(if $(shell command -v cargo-nextest),cargo nextest run,cargo test)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: test
test: setup-test test-format test-lint test-doc test-rust ## Everything: what CI runs
	$(call step,all tests passed)

.PHONY: check
check: test-format ## The fast inner loop: formatting, lints, Rust tests
	$(call step,clippy)
	@cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(call step,tests)
	@$(rust_tests) --workspace

.PHONY: bench
bench: setup-bench ## One table of what 10, 50 and 200 cameras cost (ARGS="--streams 50 --seconds 60")
	@cargo build --release --locked --bin kinora -p kinora-bench --bin kinora-bench
	@target/release/kinora-bench ingest $(ARGS)

.PHONY: setup-test setup-demo setup-bench
setup-test setup-demo setup-bench: setup-%:
	@.ci/install $*

.PHONY: test-format
test-format:
	$(call step,formatting)
	@cargo fmt --all --check

.PHONY: test-lint
test-lint:
	$(call step,clippy)
	@cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: test-rust
test-rust:
	$(call step,Rust tests)
	@$(rust_tests) --workspace --locked

.PHONY: test-doc
test-doc:
	$(call step,documentation)
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	@cargo test --workspace --doc --locked --quiet
