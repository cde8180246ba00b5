# The verbs of the house. The build itself is CMake's: see CMakeLists.txt and CMakePresets.json.

PRESET ?= release
SECONDS_EACH ?= 30
MINUTES ?= 60
SEEDS ?= 1000
SOURCES = $(shell git ls-files '*.c' '*.h')

.PHONY: help build check unit cluster browser interop fuzz soak sim lives bench format lint tsan coverage \
	ui run clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

build: ## the programs (PRESET=release, debug, tsan, coverage or clang) in build/PRESET/bin
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target programs

check: ## everything that must be green before a change goes in
	./check

unit: ## unit tests with sanitizers, tests/tidy
	./check unit

cluster: ## real daemons, one short scenario each
	./check cluster

browser: ## a real Chromium against a real cluster
	./check browser

interop: ## programs that other people wrote against our protocols
	./check interop

fuzz: ## every fuzz target, SECONDS_EACH=30 each
	python3 tests/suites.py fuzz --fuzz-seconds $(SECONDS_EACH)

soak: ## many random lives of each kind, then the cluster scenarios again and again for MINUTES=60
	python3 tests/suites.py soak --minutes $(MINUTES)

sim: ## the control plane's rules in SEEDS=1000 random lives; SEED=7 repeats one and tells it
	cmake --preset debug
	cmake --build build/debug --target sync_sim_test
	$(if $(SEED),AQUIFER_SEED=$(SEED) AQUIFER_TRACE=1,AQUIFER_SEEDS=$(SEEDS)) \
		build/debug/test/sync_sim_test

lives: ## the storage's promises in SEEDS=1000 random lives, any call failing, bits flipped; SEED=7 repeats a life
	cmake --preset release
	cmake --build build/release --target crash_lives_test crash_sweep_test crash_flips_test
	$(if $(SEED),AQUIFER_SEED=$(SEED),AQUIFER_SEEDS=$(SEEDS)) build/release/test/crash_lives_test
	$(if $(SEED),,AQUIFER_EVERY=1 build/release/test/crash_sweep_test)
	$(if $(SEED),,AQUIFER_EVERY=10 build/release/test/crash_flips_test)

bench: ## every benchmark, the quick way, one JSON line per figure
	packaging/install-packages build run bench
	@benches=$$(find bench -maxdepth 1 -type f -executable 2>/dev/null | sort); \
	[ -n "$$benches" ] || echo "bench/ holds no benchmark yet"; \
	for bench in $$benches; do $$bench --quick || exit 1; done

format: ## clang-format over every C file
	clang-format -i $(SOURCES)

lint: ## clang-tidy and cppcheck over every C file
	cmake --preset debug
	clang-tidy -p build/debug --quiet $(filter %.c,$(SOURCES))
	cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		-I src -I src/lib --suppressions-list=tests/tidy/cppcheck.suppress $(filter src/%.c,$(SOURCES))

tsan: ## the unit tests under the thread sanitizer
	cmake --preset tsan
	cmake --build --preset tsan
	ctest --test-dir build/tsan --output-on-failure -E '^tidy'

coverage: ## the unit tests, and which lines they reach
	cmake --preset coverage
	cmake --build --preset coverage
	ctest --test-dir build/coverage --output-on-failure -E '^tidy'
	python3 tests/coverage.py build/coverage

ui: ## the web front end, in ui/dist
	packaging/build-ui

run: ## a cluster on this machine, until Ctrl-C
	./quickstart

clean: ## forgets everything that was built; never touches ./run
	rm -rf build ui/dist
