# Everything slow to make is kept outside of the checkout, in $(CACHE).
CACHE ?= $(or $(KPEXEC_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kpexec)
export KPEXEC_CACHE := $(CACHE)
export CARGO_TARGET_DIR ?= $(CACHE)/target
MUSL := x86_64-unknown-linux-musl

.DEFAULT_GOAL := help

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# cargo tells two checkouts that share a target folder apart by the dates of their files alone.
checkout:
	@mkdir -p $(CARGO_TARGET_DIR)
	@test "$$(cat $(CARGO_TARGET_DIR)/checkout 2>/dev/null)" = "$(CURDIR)" || \
		{ find . -name '*.rs' -exec touch {} + && echo "$(CURDIR)" > $(CARGO_TARGET_DIR)/checkout; }

setup: checkout ## Install and build what the tests need (as root; quick when all is there)
	@tests/setup.sh

build: checkout ## Build cnsenter and kpexec, static, as the tests use them
	cargo build --release --target $(MUSL) -p cnsenter -p kpexec

test: setup build ## All tests: unit tests, and every suite on real runtimes (as root)
	cargo test --workspace --no-fail-fast

clients: setup build ## kpexec for Windows (tested under Wine) and macOS (compiled); installs more (as root)
	@tests/clients.sh

demo: setup build ## Show what kpexec is for, on a cluster of its own (as root; leaves nothing behind)
	@cargo run --quiet -p kpexec-tests --bin demo

demo-node: ## Show cnsenter alone, on a container of its own (as root; leaves nothing behind)
	@tests/demo-node.sh

demo-shell: setup build ## A shell beside that cluster, with kubectl and kpexec (as root; leaves nothing behind)
	@cargo run --quiet -p kpexec-tests --bin demo-shell

# The advisories are a database on github.com; where that cannot be had, lint says so and goes on.
lint: checkout ## Formatting, clippy for both architectures, and the dependencies' licenses, sources and advisories
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p cnsenter --target aarch64-unknown-linux-musl -- -D warnings
	@set -e; PATH="$(CACHE)/cargo/bin:$$PATH"; \
	command -v cargo-deny >/dev/null || cargo install --locked --root $(CACHE)/cargo cargo-deny; \
	cargo deny check --hide-inclusion-graph licenses bans sources; \
	if cargo deny fetch db 2>/dev/null; then cargo deny check --hide-inclusion-graph advisories; \
	else echo "lint: WARNING: the advisory database cannot be fetched: advisories were not checked" >&2; fi

# What is shipped is the same bytes wherever it is built: no path of this machine is in it.
CARGO_FOLDER := $(or $(CARGO_HOME),$(HOME)/.cargo)
NO_PATHS := $(foreach p,$(CARGO_FOLDER)=/cargo $(CARGO_TARGET_DIR)=/target $(CURDIR)=/kpexec,"--remap-path-prefix=$(p)",)
# One package at a time: the dependencies of another one would have features in it.
dist_build = cargo build --profile dist -p $(1) $(addprefix --target=,$(2)) \
	--config 'target."cfg(target_env = \"musl\")".rustflags=[$(NO_PATHS)]'

dist: checkout ## The static binaries that are shipped
	$(call dist_build,cnsenter,$(MUSL))
	$(call dist_build,kpexec,$(MUSL))
	@mkdir -p $(CACHE)/dist
	install -m 755 $(addprefix $(CARGO_TARGET_DIR)/$(MUSL)/dist/,cnsenter kpexec) $(CACHE)/dist
	@ls -l $(addprefix $(CACHE)/dist/,cnsenter kpexec)

IMAGE_TARGETS := $(MUSL) aarch64-unknown-linux-musl
image: checkout ## The image of nodepause, for amd64 and arm64, as archives for ctr, docker and skopeo
	$(call dist_build,cnsenter,$(IMAGE_TARGETS))
	@mkdir -p $(CACHE)/dist
	cargo run --quiet --release -p kpexec-image -- $(CACHE)/dist \
		$(foreach target,$(IMAGE_TARGETS),$(CARGO_TARGET_DIR)/$(target)/dist/cnsenter)
	@cd $(CACHE)/dist && sha256sum nodepause-*.tar

bench: export CNSENTER = $(CACHE)/dist/cnsenter
bench: export KPEXEC = $(CACHE)/dist/kpexec
bench: setup dist ## Speed and size beside nsenter, runc, ctr, script, kubectl and ssh; PARTS="cluster ssh" measures kpexec alone
	cargo build --release -p kpexec-tests --bins
	$(CARGO_TARGET_DIR)/release/bench $(PARTS)

FUZZ_SECONDS ?= 60
fuzz: ## Fuzz every parser of what containers and daemons write, FUZZ_SECONDS each
	cnsenter/fuzz/run.sh $(FUZZ_SECONDS)

man: checkout ## The man pages, into $(CACHE)/dist/man
	cargo run --quiet -p cnsenter --example man -- $(CACHE)/dist/man
	@ls $(CACHE)/dist/man

clean: ## Remove the builds; what setup made is kept
	cargo clean

.PHONY: help checkout setup build test clients demo demo-node demo-shell lint dist image bench fuzz man clean
