# The two commands that matter: `make demo` shows it, `make test` proves it.
# Both install what the machine lacks, after saying what and why (.ci/install).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# A Node.js of our own comes first if .ci/install had to bring one.
export PATH := $(CURDIR)/target/tools/node/bin:$(PATH)
# It trusts whom the machine trusts, so that a company's own mirror works.
export NODE_EXTRA_CA_CERTS ?= $(wildcard /etc/ssl/certs/ca-certificates.crt)
export CARGO_TERM_COLOR ?= auto
# Where `make demo` listens.
export PORT ?= 8080

target := $(or $(CARGO_TARGET_DIR),target)
step = @printf '\n==> %s\n' "$(1)"
# nextest where it is installed; the same tests either way.
rust_tests := $(if $(shell command -v cargo-nextest),cargo nextest run,cargo test)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: demo
demo: setup-demo web/dist/index.html ## A server and a camera with sound and clock, until Ctrl-C (PORT=8080)
	$(call step,building the server)
	@cargo build --release --locked --bin kinora
	@exec samples/demo.sh $(target)/release/kinora

.PHONY: test
test: setup-test test-format test-web test-lint test-doc test-rust ## Everything: what CI runs
	$(call step,all tests passed)

.PHONY: check
check: web/dist/index.html test-format ## The fast inner loop: formatting, lints and tests of what changed
	$(call step,web: types and unit tests)
	@cd web && npm run --silent check && npm run --silent test
	$(call step,clippy)
	@cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(call step,Rust tests)
	@$(rust_tests) --workspace

.PHONY: bench
bench: setup-bench web/dist/index.html ## One table of what 10, 50 and 200 cameras cost (ARGS="--streams 50 --seconds 60")
	@cargo build --release --locked -p kinora -p kinora-bench
	@$(target)/release/kinora-bench ingest --server $(target)/release/kinora $(ARGS)

# What the targets above are made of.

.PHONY: setup-test setup-demo setup-bench
setup-test setup-demo setup-bench: setup-%:
	@.ci/install $*

.PHONY: test-format
test-format:
	$(call step,formatting)
	@cargo fmt --all --check

.PHONY: test-web
test-web: web/node_modules/.package-lock.json
	$(call step,web: types)
	@cd web && npm run --silent check
	$(call step,web: lint and formatting)
	@cd web && npm run --silent lint && npm run --silent format:check
	$(call step,web: unit tests)
	@cd web && npm run --silent test
	$(call step,web: build within its size budget)
	@cd web && npm run --silent build

.PHONY: test-lint
test-lint: web/dist/index.html
	$(call step,clippy)
	@cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: test-doc
test-doc: web/dist/index.html
	$(call step,documentation)
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	@cargo test --workspace --doc --locked --quiet

.PHONY: test-rust
test-rust: web/dist/index.html
	$(call step,Rust tests)
	@$(rust_tests) --workspace --locked

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	$(call step,web: installing packages)
	@cd web && npm ci --no-audit --no-fund
	@touch $@

# The binary carries the web app, so it comes first.
web/dist/index.html: web/node_modules/.package-lock.json $(shell find web/src web/public web/index.html web/*.ts web/*.js -type f)
	$(call step,web: building the app)
	@cd web && npm run --silent build
	@touch $@
