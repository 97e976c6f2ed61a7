# krustlet-wasi: a Kubernetes node that runs WebAssembly. `make help` lists the targets.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
K8S      := v1.36.3
TOOL     := $(GO) tool -modfile=hack/tools/go.mod
VERSIONS := k8s.io/component-base/version k8s.io/client-go/pkg/version

# Programs are compiled without debugging data, which would cost a tenth of the time. This holds for
# all programs, so that the agent and the control plane share compiled packages: 900, as far as their
# modules have the same versions.
COMPILE := -gcflags=all=-dwarf=false

# Every component of the control plane reports the release from which it was built.
CLUSTER_FLAGS := $(COMPILE) -ldflags '-s -w $(foreach p,$(VERSIONS),-X $(p).gitVersion=$(K8S) -X $(p).gitMajor=1 -X $(p).gitMinor=36 -X $(p).gitTreeState=clean -X $(p).gitCommit=unknown)'

# The engine is the library that `make engine` has built. If it does not exist, the engine is
# wasmtime-go's library. Go does not notice when the library changes, so the library's key is an
# argument of the linker.
ENGINE_KEY  = $(shell cat bin/engine/key 2>/dev/null)
ENGINE_TAG  = $(if $(ENGINE_KEY),-tags engine)
LDFLAGS     = -s -w -X main.version=$(VERSION) -X main.engineKey=$(ENGINE_KEY)

.DEFAULT_GOAL := help
.PHONY: help build engine cluster metrics-server coredns test demo lint bench nodeconformance clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

build: ## the agent: bin/krustlet-wasi
	@echo "== building bin/krustlet-wasi"
	@hack/build.sh bin/krustlet-wasi $(COMPILE) $(ENGINE_TAG) -ldflags '$(LDFLAGS)' ./cmd/krustlet-wasi
	@echo "== $$(bin/krustlet-wasi --version)$(if $(ENGINE_KEY),, [wasmtime-go's library: to try things out; make engine builds the one for production])"

engine: ## the engine's supported library: bin/engine (needs cargo and cmake; 10 minutes the first time, on 2 cores)
	@hack/engine/build.sh bin/engine

cluster: ## a real control plane and kubectl: bin/cluster (5 minutes the first time, on 2 cores)
	@echo "== building bin/cluster"
	@cd hack/cluster && ../build.sh ../../bin/cluster $(CLUSTER_FLAGS) .

metrics-server: ## the program that kubectl top asks: bin/metrics-server
	@echo "== building bin/metrics-server"
	@cd hack/metricsserver && ../build.sh ../../bin/metrics-server $(COMPILE) -ldflags '-s -w' .

coredns: ## the name server of clusters: bin/coredns (1 minute the first time, on 2 cores)
	@echo "== building bin/coredns"
	@cd hack/coredns && ../build.sh ../../bin/coredns $(COMPILE) -ldflags '-s -w' .

test: build cluster metrics-server coredns ## every test, on a real control plane, with the engine that make build links
	@echo "== testing"
	$(GO) test $(ENGINE_TAG) -ldflags '$(LDFLAGS)' -race -timeout 20m ./...
	cd hack/cluster && $(GO) test -race -timeout 10m ./controlplane

demo: build ## a program in WebAssembly here, then as a pod on a real cluster, step by step
	@hack/demo/program.sh
	@$(MAKE) --no-print-directory cluster
	@hack/build.sh bin/demo $(COMPILE) ./hack/demo
	@bin/demo

lint: ## gofmt, go vet, golangci-lint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run: gofmt -w ."; exit 1; }
	$(GO) vet ./...
	$(TOOL) golangci-lint run --allow-parallel-runners ./...

bench: cluster ## how fast pods start and guests run: hack/bench/doc.go explains the rows
	$(GO) test -run '^$$' -bench . -benchtime 5s -timeout 20m ./hack/bench
	$(GO) test -run '^$$' -bench . -timeout 15m ./runtime/wasmtime ./runtime/wasi/preview1 ./runtime/logfile

nodeconformance: build cluster coredns ## Kubernetes' own node tests on this node, half an hour; docs/conformance.md has the result
	cd hack/nodeconformance/suite && $(GO) test -c $(CLUSTER_FLAGS) -o ../../../bin/e2e.test . && \
		$(GO) build -o ../../../bin/ginkgo github.com/onsi/ginkgo/v2/ginkgo
	cd hack/nodeconformance/guest && GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o ../../../bin/e2e.wasm .
	$(GO) run ./hack/nodeconformance

clean: ## remove what was built; Go's build cache stays
	rm -rf bin
