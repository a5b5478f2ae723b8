# SPDX-License-Identifier: Apache-2.0
"""Where a command line says that it connects to, and what is known of some places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.detect.rule import Event

# What stands before the host ("http://user@", "TCP:") and after it must not be able to hold another one.
_LOOPBACK: Final = re.compile(
    r"(?:\w+://|(?i:tcp|udp|ssl|openssl)[\w-]*:)?(?:[^/@]*@)?"
    r"(?:localhost|127(?:\.\d+){3}|\[?::1\]?)(?:[:/,][^@]*)?"
)
_NO_PLACE: Final = re.compile(r"\d+|/dev/null")


def only_loopback(arguments: Sequence[str]) -> bool:
    """Whether every operand names the loopback (beside numbers and /dev/null), and at least one does.

    A hint that may lower a severity, not proof: options can lead elsewhere (`--resolve`, `--proxy=`).
    """
    operands = [each for each in arguments if not each.startswith("-") and not _NO_PLACE.fullmatch(each)]
    return bool(operands) and all(map(_LOOPBACK.fullmatch, operands))


METADATA: Final = {
    "169.254.169.254": "the metadata service of this cloud (AWS, Azure, Google, OpenStack)",
    "fd00:ec2::254": "the metadata service of AWS by IPv6",
    "fd20:ce::254": "the metadata service of Google by IPv6",
    "169.254.170.2": "the credentials of an ECS task",
    "169.254.170.23": "the credentials of an EKS pod",
    "fd00:ec2::23": "the credentials of an EKS pod by IPv6",
    "100.100.100.200": "the metadata service of Alibaba Cloud",
    "192.0.0.192": "the metadata service of Oracle Cloud",
}
"""Addresses that hand a workload the credentials of its machine, by their providers' documents."""


@dataclass(frozen=True, slots=True)
class Api:
    """An API that orders containers about. `sure`: hardly anything else listens on that port."""

    label: str
    sure: bool


APIS: Final = {
    2375: Api("Docker's API without TLS", sure=True),
    2376: Api("Docker's API over TLS", sure=True),
    6443: Api("the Kubernetes API", sure=True),
    10250: Api("the kubelet's API", sure=True),
    10255: Api("the kubelet's read-only API", sure=True),
    2379: Api("etcd's API", sure=False),
    2380: Api("etcd's port for its peers", sure=False),
}
"""TCP ports by the documents of Docker, Kubernetes ("Ports and Protocols") and etcd."""
KUBERNETES_SERVICES: Final = frozenset(
    {
        "10.96.0.1",  # kubeadm, kind, minikube
        "10.43.0.1",  # k3s, RKE2
        "10.152.183.1",  # MicroK8s
        "10.100.0.1",  # EKS
        "172.20.0.1",  # EKS, where the nodes are in 10.0.0.0/8
        "172.30.0.1",  # OpenShift
        "10.0.0.1",  # AKS
    }
)
"""The service `kubernetes` has the first address of a cluster's service network: these by default. Port 443."""


def api(event: Event) -> Api | None:
    """Which API a "connect" over TCP leads to, by its port; on 443 by the address, from a pod alone."""
    if event["protocol"] not in {"tcp", None} or event["port"] is None:
        return None
    pod = (event.get("container") or {}).get("pod")
    if event["port"] == 443 and pod is not None and event["address"] in KUBERNETES_SERVICES:
        return APIS[6443]
    return APIS.get(event["port"])


def label(event: Event) -> str | None:
    """What is known of the far end of a connection, for people; None of a place as any other."""
    if event["what"] == "listen":
        return None
    known = api(event) if event["what"] == "connect" else None
    if known is not None:
        return known.label
    if event["address"] in METADATA and event["what"] == "connect":
        return METADATA[event["address"]]
    return "names (DNS)" if event["port"] == 53 else None


def is_loopback(address: str) -> bool:
    """Whether only the same network namespace is reached there. ValueError: it is no address."""
    return ip_address(address).is_loopback
