# The three commands: up, demo, test. Everything is made inside this folder: .venv/, build/, var/.
# What they need beyond make is installed by apt where it is missing (Debian 12; as root).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PYTHON := $(BIN)/python
# The venv sees Debian's packages for bcc's sake. What stands in a user's own folder must not get in.
export PYTHONNOUSERSITE := 1

RUN_PACKAGES := python3-venv python3-bpfcc libbpf1 libbpf-dev bpftool clang
# Where the kernel confines by AppArmor, dockerd does not start a container without its parser.
APPARMOR := $(if $(filter Y,$(file </sys/module/apparmor/parameters/enabled)),apparmor)
DEMO_PACKAGES := docker.io iproute2 iptables busybox-static $(APPARMOR)
# qemu-system-x86: the kernels of other releases run in an emulated computer, over this machine's own files.
TEST_PACKAGES := $(DEMO_PACKAGES) openssh-server openssh-client tmux qemu-system-x86 crun podman conmon chromium clang-format git containernetworking-plugins systemd gcc libc6-dev mmdebstrap rpm man-db e2fsprogs qemu-utils shellcheck vagrant vagrant-libvirt

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- the three commands ---

.PHONY: up demo test
up: setup ## controller and sensor on this host: the dashboard's address, then each alert as a line
	@exec $(PYTHON) -m vagrant.local up

demo: apt-demo setup ## the same with a container and two visits; leaves nothing behind
	@exec $(PYTHON) -m vagrant.local demo

# The emulated kernels take as long as half of all others, mostly on one processor: both go at once.
test: apt-test setup-dev lint types imports c-format detections ## everything that can be tested on this machine
	@exec $(PYTHON) -m tests

# --- single parts of the test run ---

.PHONY: lint types imports c-format detections format test-vm kubernetes test-kubernetes packages bench
lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy

imports: setup-dev
	$(BIN)/lint-imports --no-logo --no-cache

c-format:
	clang-format --dry-run -Werror $$(git ls-files --cached --others --exclude-standard 'bpf/*.[ch]')

detections: setup
	$(BIN)/nsentry-controller detections test

format: setup-dev ## put Python and C into the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	clang-format -i $$(git ls-files --cached --others --exclude-standard 'bpf/*.[ch]')

test-vm: apt-test setup-dev ## emulated computers: each kernel by both loaders, the packages under systemd; writes the table of docs/kernels.md
	VM_LOADERS="core bcc" $(BIN)/pytest tests/vm tests/packages/boot.py || failed=$$?; $(PYTHON) -m tests.vm.table && exit $${failed:-0}

# Where what is built once is kept, for all clones.
KUBERNETES_CACHE = $(or $(NSENTRY_CACHE),$(HOME)/.cache/nsentry)/kubernetes-1.20
KUBERNETES_PACKAGES := golang-1.19-go rsync dpkg-dev etcd-server

kubernetes: apt-test setup-dev ## the programs of a Kubernetes, for test-kubernetes and the lab; builds them the first time
	$(call apt,$(KUBERNETES_PACKAGES))
	tests/kubernetes/build.sh "$(KUBERNETES_CACHE)" $(PYTHON)

test-kubernetes: kubernetes ## a real Kubernetes: users, audit by webhook and log
	NSENTRY_TEST_KUBERNETES=1 $(BIN)/pytest tests/kubernetes

packages: setup-dev ## deb and rpm of sensor and controller, into build/packages
	@$(PYTHON) -m vagrant.packages

bench: apt-demo setup-dev ## the benchmarks, as ratios of one run
	$(PYTHON) -m tests.bench

# --- what has to be there first ---

# $(call apt,PACKAGES): installs those that are missing. The package lists are fetched only if what is
# there does not do: a machine that has everything needs no network. Debian starts the daemon of a new docker.io
# on a machine with systemd; nobody asked for that one, and the lab has its own.
define apt
@missing=(); \
for package in $(1); do \
	[ "$$(dpkg-query -W -f '$${db:Status-Status}' "$$package" 2>/dev/null)" = installed ] || missing+=("$$package"); \
done; \
if [ $${#missing[@]} -gt 0 ]; then \
	if [ "$$(id -u)" != 0 ]; then \
		echo "missing: $${missing[*]}. Run this as root, or: sudo apt-get install $${missing[*]}" >&2; exit 77; \
	fi; \
	echo "Installing $${missing[*]}"; \
	export DEBIAN_FRONTEND=noninteractive; \
	get() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$$@" </dev/null; }; \
	add() { get install --no-install-recommends -y "$${missing[@]}"; }; \
	mkdir -p build; \
	add >build/apt.log 2>&1 || { get update && add; } >>build/apt.log 2>&1 || { cat build/apt.log >&2; exit 1; }; \
	if [[ " $${missing[*]} " = *" docker.io "* && -d /run/systemd/system ]]; then \
		systemctl disable --now docker.socket docker.service containerd.service >>build/apt.log 2>&1 || \
			echo "the daemon of the new docker.io runs on: systemctl disable --now docker" >&2; \
	fi; \
fi
endef

.PHONY: apt apt-demo apt-test setup setup-dev bpf
apt:
	$(call apt,$(RUN_PACKAGES))

apt-demo: apt
	$(call apt,$(DEMO_PACKAGES))

apt-test: apt
	$(call apt,$(TEST_PACKAGES))

setup: apt .venv/run.stamp bpf
setup-dev: setup .venv/dev.stamp

.venv/bin/python:
	/usr/bin/python3 -m venv --system-site-packages .venv

# pip checks each package against the lock's digests; the project itself is linked into the venv, not copied.
.venv/run.stamp: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing the Python packages of requirements.lock"
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@echo "Installing the Python packages of requirements-dev.lock"
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

bpf:
	@if [ -r /sys/kernel/btf/vmlinux ]; then $(MAKE) -s -C bpf; else \
		echo "This kernel has no BTF (/sys/kernel/btf/vmlinux): no BPF program can be built or loaded here" >&2; fi

# --- keeping house ---

.PHONY: lock docs clean
PIP_COMPILE = build/lock/bin/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --build-deps-for editable --extra controller

lock: apt ## pin the dependencies of pyproject.toml anew, with digests
	/usr/bin/python3 -m venv build/lock
	build/lock/bin/pip install -qq --disable-pip-version-check pip-tools
	$(PIP_COMPILE) --upgrade --output-file requirements.lock pyproject.toml
	$(PIP_COMPILE) --upgrade --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	/usr/bin/python3 -m tests.house.lock requirements.lock requirements-dev.lock

docs: setup ## write the command line reference anew
	$(PYTHON) -m tests.house.reference

clean: ## remove what was built; keeps var/, where events and alerts are
	rm -rf build .venv
