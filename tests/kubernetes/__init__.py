# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes under the whole of nsentry: `make test-kubernetes`, not part of `make test`."""
