# Countersign. `make` lists what can be done; a target's help is its ## comment.

TOOL     := go tool -modfile=tools/go.mod
# Without cgo sqlc compiles in a third of the time, and generates the same.
SQLC     := CGO_ENABLED=0 $(TOOL) sqlc
# Writes schemas/ and asyncapi.yaml into a folder.
CONTRACT := go -C tools run ./contract
FUZZTIME ?= 10s

.PHONY: help run build test test-program test-simulation tools shots soak soak-storm bench bench-guard bench-record bench-peers figures plots cover fuzz fuzz-short generate check \
	format vet staticcheck deadcode generated tidy layers house openapi paths

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: ## everything in one process, and a day of documents through it; Ctrl-C ends it
	go run ./cmd/countersign dev --publish examples/day.jsonl

BIN ?= bin/countersign
build: ## bin/countersign, position-independent, with all symbols bound and read-only at the start
	go build -trimpath -buildmode=pie -ldflags '-linkmode=external -extldflags "-Wl,-z,relro,-z,now"' -o '$(BIN)' ./cmd/countersign

test: tools ## every test, with the race detector and in random order
	@$(MAKE) --no-print-directory -j2 test-program test-simulation
	go -C browser test -shuffle=on ./...

test-program: # most of the time one core is enough for it
	go test -race -shuffle=on -timeout 30m -tags failpoints ./...

test-simulation:
	SIM_SCHEDULES=3000 go test -count=1 -timeout 30m -run TestSimulation ./internal/sim

AXE := browser/node_modules/.package-lock.json
$(AXE): browser/package-lock.json
	npm --prefix browser ci --ignore-scripts --no-audit --no-fund

# promtool alone: to install its package would start a server.
PROMTOOL := tools/bin/promtool
$(PROMTOOL):
	@set -e; dir=$$(mktemp -d); apt-get update -qq; cd "$$dir"; apt-get download -qq prometheus; \
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool; \
		install -D usr/bin/promtool '$(CURDIR)/$@'; rm -r "$$dir"

tools: $(AXE) $(PROMTOOL) # programs that tests run, from Debian's packages where they are missing
	@command -v pdfsig >/dev/null && command -v pdftotext >/dev/null && command -v openssl >/dev/null || { \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends poppler-utils openssl; }
	@command -v $${CHROME:-chromium-headless-shell} >/dev/null || { \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium-headless-shell; }

shots: tools ## pictures in shots/: the signing page in every state and every email, on phone and desktop, light and dark
	mkdir -p shots
	SHOTS="$(CURDIR)/shots" go -C browser test -count=1 -run 'TestPage_Every|TestPage_SaysThatLinkHasExpired|TestPage_ShowsLetterWithoutTheLog|TestMail_EachKindIsAccessible' ./...

soak: soak-storm ## what takes long: soak-storm, and then simulated schedules until Ctrl-C, or SIM_SCHEDULES of them from SIM_FIRST on
	SIM_SCHEDULES=$${SIM_SCHEDULES:-0} go test -count=1 -timeout 0 -run TestSimulation -v ./internal/sim

soak-storm: ## 1,000 documents through a storm, a hostile upstream service for a minute, a mail server silent for ten minutes, a standby's takeover; 40 minutes at most
	HOSTILE_SECONDS=60 go test -tags failpoints,soak -count=1 -v -timeout 40m -run 'TestServe_SoakCrashes|TestServe_SoakStorm|TestServe_StalledMailServerLosesNothing|TestServe_FailingEmailsDelayNoOthers|TestServe_StandbyTakesOver|TestDeployNATS_Hostile' ./cmd/countersign

bench: ## the benchmarks that matter, as ratios to a calibration loop, and whole lives, to a naive loop; BENCH_DOCUMENTS=1000000 for a large store
	go run ./bench/ratios
	go run ./bench/guard -rounds 2 -file=

bench-guard: # whole lives against a naive loop: fails if they cost more than they may
	go run ./bench/guard

bench-record: # the ratio that bench-guard holds, after a change that is meant to move it
	go run ./bench/guard -record

BENCH ?= ../shared/bench
bench-peers: ## countersign and its peers from the folder BENCH on the same work, as ratios; takes an hour
	go run ./bench/peers -bench '$(BENCH)'

figures: # all figures of docs/performance.md, for an idle machine: two hours
	go run ./bench/guard -record
	BENCH_DOCUMENTS=$${BENCH_DOCUMENTS:-100000} go run ./bench/ratios -out bench/results/go.jsonl
	go run ./bench/peers -bench '$(BENCH)' -out bench/results/peers.jsonl
	$(MAKE) plots

plots: ## pictures in docs/images of the figures in bench/results
	go run ./bench/plots

cover: ## coverage.html: which lines the tests of the whole program run
	go test -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -html=coverage.out -o coverage.html
	@go tool cover -func=coverage.out | tail -n 1

fuzz: ## every fuzz test for FUZZTIME (10s)
	@set -e; for pkg in $$(go list ./...); do \
		for name in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; \
			go test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x $$pkg; \
		done; \
	done

# What reads bytes of strangers: events, forms, tokens, and a mail server's
# replies. Each as often as takes about 30 s: a number of times comes to its end on
# a busy machine too, where Go takes the end of a time for a failure (go.dev/issue/75804).
SHORT := ./events:FuzzDecode:40000x ./internal/api:FuzzHandler_Forms:20000x ./internal/ticket:FuzzVerify:500000x ./internal/mail:FuzzPoolSend_Dialogue:10000x ./internal/mail/report:FuzzRead:30000x

fuzz-short: # those that read what strangers send, 30 s each
	@set -e; for target in $(SHORT); do \
		set -- $$(echo "$$target" | tr : ' '); echo "$$1 $$2"; \
		go test -run '^$$' -fuzz "^$$2$$" -fuzztime "$$3" -fuzzminimizetime 50x "$$1"; \
	done

generate: ## everything that is made from something else
	$(SQLC) generate
	$(CONTRACT) "$(CURDIR)/docs"
	go generate ./...
	go test ./internal/config -run TestMarkdown_DocsHaveTheTable -update

check: format vet staticcheck deadcode generated tidy layers house openapi paths ## all that a machine can judge without running the tests
	@echo "check: clean"

format: # gofumpt
	@set -e; files=$$($(TOOL) gofumpt -l .); test -z "$$files" || { \
		printf 'not formatted; run %s gofumpt -w on these:\n%s\n' '$(TOOL)' "$$files"; exit 1; }

vet: # the program as it is, and as the tests crash it
	go vet ./...
	go vet -tags failpoints,soak ./...
	go -C tools vet ./...
	go -C browser vet ./...

staticcheck:
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags failpoints,soak ./...
	go -C tools tool staticcheck ./...

deadcode: # functions that neither the program nor a test reaches
	@set -e; dead=$$($(TOOL) deadcode -tags failpoints,soak -test ./...); test -z "$$dead" || { \
		printf 'nothing calls these:\n%s\n' "$$dead"; exit 1; }

generated: # what is generated is what would be generated now
	$(SQLC) diff
	@set -e; dir=$$(mktemp -d); trap 'rm -r "$$dir"' EXIT; $(CONTRACT) "$$dir"; \
		diff -ru docs/schemas "$$dir/schemas"; diff -u docs/asyncapi.yaml "$$dir/asyncapi.yaml"
	go test ./examples/... ./internal/config -run 'InStep|DocsHaveTheTable'

tidy:
	go mod tidy -diff
	go -C tools mod tidy -diff
	go -C browser mod tidy -diff

layers: # who imports whom; never from the cache, which does not see what go list reads
	go test -count=1 -run TestLayers .

house: # lengths, names, docs, words, sleeping tests, log keys; CONTRIBUTING.md has the reasons
	go test -count=1 ./internal/test/house

# The packages as package-lock.json has them; npm writes this file last.
REDOCLY := tools/node/node_modules
$(REDOCLY)/.package-lock.json: tools/node/package-lock.json
	npm --prefix tools/node ci --ignore-scripts --no-audit --no-fund

openapi: $(REDOCLY)/.package-lock.json # the contract of the REST API, by redocly's recommended rules; needs Node.js
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(REDOCLY)/.bin/redocly lint --extends recommended docs/openapi.yaml

paths: # nobody's home directory, in files of the repository
	@! git grep --untracked -nE '(^|[^A-Za-z0-9_.])/(work|root|home|Users)/' -- . ':!*.sum' || { \
		echo 'these name a path of somebody'"'"'s machine'; exit 1; }
