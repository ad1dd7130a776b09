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
demo: build ## A server and a camera with sound and clock, until Ctrl-C (PORT=8080)
	@exec samples/demo.sh $(target)/release/kinora

.PHONY: build
build: setup-demo web/dist/index.html ## The server with the web app in it: target/release/kinora
	$(call step,building the server)
	@cargo build --release --locked --bin kinora

.PHONY: test
test: setup-test test-format test-web test-lint test-doc test-rust test-fuzz ## Everything: what CI runs
	$(call step,all tests passed)

.PHONY: check
check: web/dist/index.html test-format ## The fast inner loop: formatting, lints, unit tests, architecture
	$(call step,web: types and unit tests)
	@cd web && npm run --silent check && npm run --silent test
	$(call step,clippy)
	@cargo clippy --workspace --all-targets --quiet -- -D warnings
	$(call step,Rust unit tests and architecture)
	@$(rust_tests) --workspace --lib --bins --test architecture --test openapi

.PHONY: bench
bench: setup-bench web/dist/index.html ## What cameras cost, how soon media is durable, how soon a killed server is back (BENCH=ingest ARGS="--seconds 60")
	@cargo build --release --locked --bin kinora
	@cargo build --release --locked --bin kinora-bench
	@for name in $(or $(BENCH),ingest recovery); do \
		$(target)/release/kinora-bench $$name --server $(target)/release/kinora $(ARGS); \
	done

.PHONY: faults
faults: setup-test web/dist/index.html ## Kills, power cuts, failing disks, broken protocols: a table of what was lost
	@printf '| scenario | runs | acks held | compared | outcome |\n'
	@{ cargo test --quiet --package kinora-store --test store -- --nocapture seeds:: power:: kill:: damage::; \
		KINORA_POWER_CUTS=$(or $(CUTS),20) cargo test --quiet --test power -- --nocapture --test-threads 1; \
		cargo test --quiet --test crash -- --nocapture; } | sed -nE 's/^[^|]*(\| .* \|)$$/\1/p'

.PHONY: soak
soak: ## The store simulated, each seed another story (SEEDS=20000, SEED=0 the first)
	@cargo test --quiet --package kinora-store --test store -- --ignored --exact seeds::soak --nocapture

.PHONY: fuzz
fuzz: fuzz-build ## Hostile media for a long time (FUZZ_SECONDS=600 for each target)
	@$(MAKE) --no-print-directory fuzz-run FUZZ_SECONDS=$(or $(FUZZ_SECONDS),600)

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

# libFuzzer needs the compiler's coverage instrumentation, which stable Rust has; so there is no
# cargo-fuzz to build. The flags are those that it would pass.
fuzz_host := $(shell rustc -vV | sed -n 's/^host: //p')
fuzz_flags := --cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 \
	-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
fuzz_targets := $(basename $(notdir $(wildcard tests/fuzz/targets/*.rs)))

.PHONY: fuzz-build
fuzz-build:
	$(call step,fuzz targets)
	@RUSTFLAGS="$(fuzz_flags)" cargo build --quiet --release --locked --manifest-path tests/fuzz/Cargo.toml \
		--target $(fuzz_host) --target-dir $(target)/fuzz

# What a target finds, it leaves in tests/fuzz/artifacts; clips of the other tests are its seeds.
.PHONY: fuzz-run
fuzz-run:
	@mkdir -p tests/fuzz/artifacts target/clips
	@for name in $(fuzz_targets); do \
		mkdir -p tests/fuzz/corpus/$$name; \
		log=$(target)/fuzz/$$name.log; \
		printf 'fuzzing %s for %s s: ' $$name $(FUZZ_SECONDS); \
		$(target)/fuzz/$(fuzz_host)/release/$$name -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -rss_limit_mb=1024 \
			-timeout=10 -print_final_stats=1 -artifact_prefix=tests/fuzz/artifacts/$$name- \
			tests/fuzz/corpus/$$name target/clips >$$log 2>&1 || { echo failed; tail -n 60 $$log; exit 1; }; \
		sed -nE 's/^stat::number_of_executed_units: +/inputs tried: /p' $$log; \
	done

# Long enough to see that the targets work and that nothing shallow is wrong.
.PHONY: test-fuzz
test-fuzz: fuzz-build
	@$(MAKE) --no-print-directory fuzz-run FUZZ_SECONDS=$(or $(FUZZ_SECONDS),20)
