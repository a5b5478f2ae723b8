# SPDX-License-Identifier: Apache-2.0
"""The contract between sensor and controller: what an event is, and how a batch of them is packed.

Nothing but the standard library and msgpack is imported here, because both sides import this package.
The sensor builds plain dicts of these types; the controller validates bytes against the same types.

Conventions
    time    nanoseconds since the Unix epoch, UTC, by the host's clock.
    mono    nanoseconds since the host booted (CLOCK_BOOTTIME): the order of events on one host.
    caps    a capability mask as /proc/PID/status prints it: 16 lower-case hex digits.
    None    not known. `missing` then says of the dotted path whether it is "pending" (an `update` event
            may still complete it) or "unknown" (it was not learned in time and never will be).
    text    everything that a container can choose is bounded here and may hold any character, control
            characters included; bytes that are not UTF-8 stand as backslash escapes. Show it escaped.
"""

from __future__ import annotations

from sensor.wire.bounds import (
    MAX_ADDRESSES,
    MAX_ANCESTRY,
    MAX_ARGS,
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_CLIENTS,
    MAX_DIFFERENCE,
    MAX_SETTINGS,
    MAX_TEXT,
    VERSION,
)
from sensor.wire.events import (
    EVENT_TYPES,
    Activity,
    AgentNote,
    Attempt,
    Command,
    Configuration,
    Connection,
    Contact,
    Entry,
    Escape,
    Event,
    Exit,
    Loss,
    Record,
    SessionEnd,
    Start,
    Stop,
    Update,
)
from sensor.wire.files import FileOf, FileState, HostFile
from sensor.wire.messages import (
    Ack,
    Batch,
    Enrolled,
    Enrolment,
    Heartbeat,
    Host,
    Incompatible,
    Malformed,
    pack,
    pack_batch,
    unpack,
)
from sensor.wire.parts import (
    NAMESPACES,
    Ancestor,
    Container,
    Login,
    Means,
    Missing,
    Mount,
    Pod,
    Process,
    Reach,
    RecordSource,
    Request,
    Runtime,
    Settings,
    Verdict,
)
from sensor.wire.people import Caller, Client, Opener, Principal, PrincipalKind, Sure
from sensor.wire.text import printable
from sensor.wire.token import MAX_TOKEN_TEXT, TOKEN_PREFIX, decode_token, encode_token

__all__ = [
    "EVENT_TYPES",
    "MAX_ADDRESSES",
    "MAX_ANCESTRY",
    "MAX_ARGS",
    "MAX_BATCH_BYTES",
    "MAX_BATCH_EVENTS",
    "MAX_CLIENTS",
    "MAX_DIFFERENCE",
    "MAX_SETTINGS",
    "MAX_TEXT",
    "MAX_TOKEN_TEXT",
    "NAMESPACES",
    "TOKEN_PREFIX",
    "VERSION",
    "Ack",
    "Activity",
    "AgentNote",
    "Ancestor",
    "Attempt",
    "Batch",
    "Caller",
    "Client",
    "Command",
    "Configuration",
    "Connection",
    "Contact",
    "Container",
    "Enrolled",
    "Enrolment",
    "Entry",
    "Escape",
    "Event",
    "Exit",
    "FileOf",
    "FileState",
    "Heartbeat",
    "Host",
    "HostFile",
    "Incompatible",
    "Login",
    "Loss",
    "Malformed",
    "Means",
    "Missing",
    "Mount",
    "Opener",
    "Pod",
    "Principal",
    "PrincipalKind",
    "Process",
    "Reach",
    "Record",
    "RecordSource",
    "Request",
    "Runtime",
    "SessionEnd",
    "Settings",
    "Start",
    "Stop",
    "Sure",
    "Update",
    "Verdict",
    "decode_token",
    "encode_token",
    "pack",
    "pack_batch",
    "printable",
    "unpack",
]
