# SPDX-License-Identifier: Apache-2.0
"""What the controller raises for people to read: each message says what is wrong and what to do.

    ControllerError
    |-- ConfigurationError          exit code 78: something has to be set up or set right first
    |   |-- settings.SettingsError
    |   |-- initialise.NotInitialisedError
    |   |-- pki.PkiError
    |   `-- store.migrate.SchemaError
    `-- OperationError              exit code 1: it did not work this time
        |-- server.ServeError
        `-- store.engine.StoreError

`ingest.refusal.RefusedError` is not among them: it is an answer to a sensor.
"""

from __future__ import annotations


class ControllerError(Exception):
    """Any of them."""


class ConfigurationError(ControllerError):
    """Something has to be set up, or set right, first."""


class OperationError(ControllerError):
    """It did not work this time."""
