# `make` lists what there is.

CARGO ?= cargo
FEATURES = --features reelhook-cli/failpoints,$(shell scripts/features.sh)

.DEFAULT_GOAL := help
.PHONY: help demo build models test check sbom fuzz bench docs clean

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

models: ## Bring the model of people for `remove_background` into target/models, once.
	@scripts/models.sh

demo: ## Build quickly, then show a job and its webhooks from end to end. ARGS="..." is passed on.
	@test -x target/demo/reelhook || echo "Building Reelhook: 5 to 8 minutes on two cores. The demo that follows takes 10 seconds."
	@scripts/need.sh cc ffmpeg
	@scripts/need.sh nasm || true
	$(CARGO) build --profile demo --no-default-features --bin reelhook --features "$$(scripts/features.sh)"
	@scripts/models.sh target/demo/reelhook
	REELHOOK_MEDIA_MODELS=$(CURDIR)/target/models target/demo/reelhook demo $(ARGS)

build: ## Build the release, target/release/reelhook: 15 minutes on two cores.
	@scripts/need.sh cc
	@scripts/need.sh nasm || true
	$(CARGO) build --release --bin reelhook --features "$$(scripts/features.sh)"

test: ## Install what the tests need, then run them all.
	@scripts/setup-tests.sh
	@scripts/test.sh

check: ## Formatting, lints and dependencies; what warns, fails.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets $(FEATURES) -- -D warnings
	@scripts/check-supply.py

sbom: ## Write target/sbom.json: what the program is made of, as CycloneDX.
	@mkdir -p target
	@scripts/sbom.py > target/sbom.json
	@echo target/sbom.json

fuzz: ## Feed the parsers with made-up bytes for a minute each. ARGS="TARGET SECONDS" for one of them.
	@scripts/fuzz.sh $(ARGS)

bench: ## Measure the release build and write docs/benchmarks.md.
	@scripts/need.sh cc ffmpeg nasm
	@scripts/bench.sh $(ARGS)

docs: ## Write the generated pages anew: settings, states, errors, media.
	@scripts/docs.sh

clean: ## Remove what was built.
	$(CARGO) clean
