.DEFAULT_GOAL := help
.PHONY: help build test race bench soak fuzz generate lint fmt cross ci

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build ./cavra-runtime
	go build -trimpath -o cavra-runtime ./cmd/cavra-runtime

test: ## Run every test, as the README says
	go test ./...

race: ## Run every test under the race detector (needs a C compiler)
	go test -race ./...

bench: ## Run the benchmarks; the ratios are what to read
	go test -run '^$$' -bench . ./...

soak: ## Run a million requests with reloads and hostile ones; it fails where anything grows
	go test -run '^$$' -bench Soak -benchtime 1000000x -timeout 30m ./cmd/cavra-runtime

FUZZTIME ?= 30s
fuzz: ## Run each fuzz target for FUZZTIME
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg || exit 1; \
		done; \
	done

generate: ## Write the Go types of enforcement.proto and the schema of policies anew
	go generate ./...

fmt: ## Format the code
	gofmt -w .

lint: ## Run go vet, and golangci-lint where it is installed
	go vet ./...
	cd tools && go vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: skipped"; fi

cross: ## Check that everything builds on the other systems
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...

ci: ## What a change must pass
	bash .ci/run
