# Every target has its line in `make help`. The two that matter first: make run, make test.
#
# Variables given on the command line reach the programs: make run DATABASE_URL=postgres://… LISTEN_ADDR=127.0.0.1:9000

SHELL := /bin/sh
.DEFAULT_GOAL := help

GO ?= go
GO_WANTED := $(shell sed -n 's/^go //p' go.mod)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/kitshub/kitshub/internal/cli.version=$(VERSION)
BUILD := CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -ldflags "$(LDFLAGS)"

PKG ?= ./...# which packages: make test PKG=./internal/store
TESTFLAGS ?=# more flags for go test: make test TESTFLAGS=-v
DEMO_ARGS ?=# make demo DEMO_ARGS="--customers 500"
PROOF_KILLS ?= 300
PROOF_MOVES ?= 100000
BENCH ?= .

# The packages whose faults would be races: state, work, and what is shared between requests.
CORE := ./internal/hub/... ./internal/store/... ./internal/jobs/... ./internal/events/... ./internal/web/... ./internal/app/...

# What a developer has set for a hub of theirs must not reach the tests.
HERMETIC := env -u DATABASE_URL -u TENANT_DATABASE_URL -u DATA_DIR -u ENCRYPTION_KEY -u APP_ENV -u LISTEN_ADDR -u PUBLIC_URL -u CATALOG_DIR
TOOLS := bin/tools
GO_DIRS := cmd internal scripts

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: build ## build and start the hub (SQLite in ./data unless DATABASE_URL says otherwise)
	@exec bin/kitshub serve

.PHONY: build
build: need-go ## build bin/kitshub
	@$(BUILD) -o bin/kitshub ./cmd/kitshub

.PHONY: demo
demo: build ## sign up customers at a throwaway hub and verify every database (DEMO_ARGS)
	@bin/kitshub demo $(DEMO_ARGS)

.PHONY: check
check: need-go fmt-check vet lint arch test gen-check ## all that must hold before a commit: format, vet, lint, architecture, tests, goldens

.PHONY: test
test: need-go $(TOOLS)/gotest ## run all tests on both engines; installs what they need (PKG, TESTFLAGS)
	@scripts/setup
	@$(HERMETIC) $(TOOLS)/with-postgres -file $(TOOLS)/gotest $(TESTFLAGS) $(PKG)

.PHONY: race
race: need-go $(TOOLS)/gotest ## run the core packages' tests with the race detector (needs a C compiler)
	@scripts/setup cc postgres
	@$(HERMETIC) CGO_ENABLED=1 $(TOOLS)/with-postgres -file $(TOOLS)/gotest -race $(TESTFLAGS) $(CORE)

.PHONY: arch
arch: need-go ## check the architecture's rules alone
	@$(GO) test ./internal/archtest/...

.PHONY: vet
vet: need-go ## go vet
	@$(GO) vet $(PKG)
	@$(GO) vet -tags sabotage $(PKG) # the planted bugs have to compile too

.PHONY: lint
lint: need-go $(TOOLS)/golangci-lint ## golangci-lint, pinned in tools/go.mod
	@$(TOOLS)/golangci-lint run $(PKG)

.PHONY: fmt
fmt: need-go $(TOOLS)/golangci-lint ## format the code with gofumpt
	@$(TOOLS)/gofumpt -w $(GO_DIRS)

.PHONY: fmt-check
fmt-check: need-go $(TOOLS)/golangci-lint
	@bad=$$($(TOOLS)/gofumpt -l $(GO_DIRS)); [ -z "$$bad" ] || { echo "not formatted; run make fmt:"; echo "$$bad"; exit 1; }

.PHONY: gen
gen: need-go ## write generated files and goldens anew; look at the difference before you commit it
	@$(GO) generate ./...

.PHONY: gen-check
gen-check: need-go
	@scripts/gen-check

.PHONY: bench
bench: need-go $(TOOLS)/gotest ## run the benchmarks, and the figures of the line small with their baselines (BENCH is a pattern)
	@scripts/setup postgres
	@$(HERMETIC) $(TOOLS)/with-postgres -durable $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

.PHONY: load
load: build ## bring 500 customers through the main job and print time and memory
	@bin/kitshub demo --customers 500 $(DEMO_ARGS)

.PHONY: proof
proof: build ## show the promised figures on both engines (PROOF_KILLS)
	@$(BUILD) -o bin/proof ./cmd/proof
	@scripts/setup postgres
	bin/proof kill9 -engine sqlite -n $(PROOF_KILLS)
	bin/proof kill9 -engine postgres -n $(PROOF_KILLS)
	bin/proof golden-copy
	bin/proof handover -n 100
	bin/proof burst -n 200
	bin/proof cross-connect -n 50
	bin/proof orphans -n 100
	bin/proof worker-kill -n 100
	bin/proof place
	bin/proof place-http
	bin/proof place-model -n $(PROOF_MOVES)
	bin/proof index-start
	bin/proof forecast
	bin/proof streams -engine sqlite
	bin/proof streams -engine postgres

.PHONY: proof-sabotage
proof-sabotage: build ## show that each proof finds the bug planted for it
	@$(BUILD) -o bin/proof ./cmd/proof
	@scripts/proof-sabotage

.PHONY: vuln
vuln: need-go ## look the dependencies up in Go's vulnerability database (needs the network)
	@cd tools && $(GO) build -o ../$(TOOLS)/ golang.org/x/vuln/cmd/govulncheck
	@$(TOOLS)/govulncheck ./...

.PHONY: clean
clean: ## remove what was built (never ./data)
	@rm -rf bin dist

# Linters are built once from tools/go.mod, which is apart so that they are no dependencies of the hub.
$(TOOLS)/golangci-lint: tools/go.mod tools/go.sum
	@echo "building the pinned linters (once, a few minutes)" >&2
	@cd tools && $(GO) build -trimpath -ldflags "-s -w" -o ../$(TOOLS)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint mvdan.cc/gofumpt
	@touch $@

# Our own helpers are a second's work; go knows itself whether there is anything to do.
.PHONY: $(TOOLS)/gotest
$(TOOLS)/gotest:
	@$(GO) build -o $(TOOLS)/ ./scripts/with-postgres ./scripts/gotest

# A Go of 1.21 or later fetches the version that go.mod names by itself, unless told not to.
.PHONY: need-go
need-go:
	@command -v $(GO) >/dev/null 2>&1 || { echo "This needs Go $(GO_WANTED) or newer, and there is no go on PATH: install it from Go's download page." >&2; exit 1; }
	@have=$$($(GO) env GOVERSION) || exit 1; have=$${have#go}; \
	[ "$$(printf '%s\n' "$(GO_WANTED)" "$$have" | sort -V | head -n 1)" = "$(GO_WANTED)" ] || \
	{ echo "This needs Go $(GO_WANTED) or newer, and $(GO) is $$have: install a newer one from Go's download page." >&2; exit 1; }
