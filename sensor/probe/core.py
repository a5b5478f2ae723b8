# SPDX-License-Identifier: Apache-2.0
"""Loads the prebuilt CO-RE object with the system's libbpf.so.1, by ctypes: no compiler, no headers."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time
from pathlib import Path

from sensor.probe import BUILD, POLL_EVENTS, ProbeError, Receive, pins
from sensor.probe.budget import Budgets
from sensor.probe.contacts import Listeners
from sensor.probe.counters import COUNTERS
from sensor.probe.hooks import Best, Choice, Program
from sensor.probe.layout import EXEC_TEXTS, EXEC_TEXTS_LEN, MARK
from sensor.probe.libbpf import Log, fentry_refused, load_library, name, why
from sensor.probe.ordinary import OrdinaryLane
from sensor.probe.requests import Requests
from sensor.probe.ring import Ring


class _RefusedError(Exception):
    """The kernel does not take a hook's present way."""

    def __init__(self, purpose: str, what: str, code: int) -> None:
        super().__init__(f"{what}: {why(code)}")
        self.purpose = purpose
        self.reason = f"{what} {name(code)}"


_NO_SUCH_FUNCTION = frozenset({errno.ENOENT, errno.ESRCH})


def object_path() -> Path:
    """Where the object lies: NSENTRY_BPF_OBJECT, else where bpf/Makefile builds it."""
    return Path(os.environ.get("NSENTRY_BPF_OBJECT", BUILD / "sensor.bpf.o"))


class CoreProbe:
    """The programs of the prebuilt object, loaded and attached."""

    loader = "core"

    def __init__(
        self, reason: str, receive: Receive, best_hook: Best = "auto", folder: Path | None = None
    ) -> None:
        self.reason = reason
        self.hooks: dict[str, str] = {}
        self._links: list[int] = []
        self._programs: dict[str, int] = {}
        self._wanted: list[tuple[str, Program]] = []
        self._object = 0
        self._ring: Ring | None = None
        self._receive = receive
        self._folder = folder
        self._place: Path | None = None
        self._held: int | None = None
        self._pinned: dict[Path, int] = {}
        """Each pin with the descriptor of what it names."""
        self._pinned_maps: set[str] = set()
        self.left_behind = 0
        if folder is not None:
            self._place, self._held = pins.prepare(folder)
        # Without pins the programs and the map agree on 0.
        self._generation = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if folder else 0
        try:
            self._lib = load_library()
            self._log = Log(self._lib)
            self._load_best(Choice(best_hook))
            self._open_maps()
            self._take_turn()
        except ProbeError:
            self.close()
            raise

    def _load_best(self, choice: Choice) -> None:
        """Loads and attaches, each hook in the best way that the kernel takes. Raises ProbeError."""
        self._refuse_untried(choice)
        while True:
            try:
                self._open()
                self._load(choice)
                self._attach(choice)
            except _RefusedError as refused:
                self._unload()
                if not choice.refuse(refused.purpose, refused.reason):
                    raise ProbeError(f"a program could not be attached: {refused}") from refused
            else:
                self.hooks = choice.names()
                return

    def _refuse_untried(self, choice: Choice) -> None:
        choice.refuse_what_this_kernel_lacks()
        for purpose, way in list(choice.taken()):
            reason = fentry_refused(self._lib, way.programs[0].target) if way.kind == "fentry" else None
            if reason:
                choice.refuse(purpose, reason)

    def _open(self) -> None:
        path = object_path()
        if not path.exists():
            raise ProbeError(f"{path} is not built; run: make -C bpf")
        self._object = self._lib.bpf_object__open_file(str(path).encode(), None) or 0
        if not self._object:
            raise ProbeError(f"{path} is no BPF object; build it again: make -C bpf clean all")
        self._refuse_another_layout(path)
        self._programs = {}
        program = self._lib.bpf_object__next_program(self._object, None)
        while program:
            self._programs[self._lib.bpf_program__name(program).decode()] = program
            program = self._lib.bpf_object__next_program(self._object, program)
        if self._place:
            self._pin_maps(self._place)

    def _refuse_another_layout(self, path: Path) -> None:
        """An object of another version would be read as nonsense: entries as attempts, paths as argv."""
        for called, size in (("scratch", EXEC_TEXTS + EXEC_TEXTS_LEN), ("marks", MARK.size)):
            found = self._lib.bpf_object__find_map_by_name(self._object, called.encode())
            if not found or self._lib.bpf_map__value_size(found) != size:
                raise ProbeError(
                    f"{path} is of another version than this sensor; build it again: make -C bpf clean all"
                )

    def _pin_maps(self, place: Path) -> None:
        """Maps that are pinned already are taken over by the load, the others are pinned by it."""
        size = ctypes.c_size_t()
        found = self._lib.bpf_object__next_map(self._object, None)
        while found:
            called = self._lib.bpf_map__name(found).decode()
            if called == ".rodata.generation":
                value = self._lib.bpf_map__initial_value(found, ctypes.byref(size))
                ctypes.c_uint64.from_address(value).value = self._generation
            elif not self._lib.bpf_map__is_internal(found) and called not in {"scratch", "letter"}:
                self._lib.bpf_map__set_pin_path(found, str(place / called).encode())
                self._pinned_maps.add(called)
            found = self._lib.bpf_object__next_map(self._object, found)

    def _load(self, choice: Choice) -> None:
        for handle in self._programs.values():
            self._lib.bpf_program__set_autoload(handle, False)
        self._wanted = [
            (purpose, program)
            for purpose, way in choice.taken()
            for program in way.programs
            if self._set_target(purpose, program)
        ]
        for _, program in self._wanted:
            self._lib.bpf_program__set_autoload(self._programs[program.function], True)
        result = self._lib.bpf_object__load(self._object)
        if result:
            refused = self._log.refused_program()
            if refused and (purpose := choice.purpose_of(refused)):
                raise _RefusedError(purpose, refused, -result)
            raise ProbeError(f"the kernel refused the programs: {why(-result)}")

    def _set_target(self, purpose: str, program: Program) -> bool:
        """Whether the kernel has the function; only fentry and fexit need one before the load."""
        if program.kind not in {"fentry", "fexit"}:
            return True
        result = self._lib.bpf_program__set_attach_target(
            self._programs[program.function], 0, program.target.encode()
        )
        if result == 0:
            return True
        if program.optional and -result in _NO_SUCH_FUNCTION:
            return False
        raise _RefusedError(purpose, program.target, -result)

    def _attach(self, choice: Choice) -> None:
        attached: list[tuple[int, str, Program]] = []
        for purpose, program in self._wanted:
            link = self._link(program)
            if link:
                self._links.append(link)
                attached.append((link, purpose, program))
                choice.attached(purpose, program)
            elif not (program.optional and ctypes.get_errno() in _NO_SUCH_FUNCTION):
                raise _RefusedError(purpose, program.target, ctypes.get_errno())

        # Only now: were one of them refused, pins would keep those before it at work beside the next try's.
        for link, purpose, program in attached:
            self._pin_link(link, purpose, program)

    def _pin_link(self, link: int, purpose: str, program: Program) -> None:
        """Those of kprobes and tracepoints can be pinned since Linux 5.15: before, another way serves, or none."""
        if self._place is None:
            return
        called = f"{program.function}-{program.target.replace(':', '-')}"
        path = pins.link(self._place, self._generation, called)
        if self._lib.bpf_link__pin(link, str(path).encode()):
            code = ctypes.get_errno()
            for pinned in self._pinned:
                pinned.unlink(missing_ok=True)
            self._pinned.clear()
            raise _RefusedError(purpose, f"pinning {program.target}", code)
        self._pinned[path] = self._lib.bpf_link__fd(link)

    def _take_turn(self) -> None:
        """From now on ours are the programs that work; those of the sensor before go."""
        if self._folder is None or self._place is None:
            return
        self._pinned.update((self._place / called, self._map(called)) for called in self._pinned_maps)
        self._update(self._map("generation"), struct.pack("=I", 0), struct.pack("=Q", self._generation))
        try:
            self.left_behind = pins.retire(self._folder, self._generation, self._unread)
        except OSError as error:
            raise ProbeError(f"{self._folder} cannot be cleared: {error}") from error

    def _unread(self, path: Path) -> int:
        """Events in the ring that is pinned there, which is of a layout that is not ours. Raises OSError."""
        descriptor = self._lib.bpf_obj_get(str(path).encode())
        if descriptor < 0:
            return 0
        found: list[bytes] = []
        try:
            ring = Ring(descriptor)
            while ring.read(found.append, POLL_EVENTS):
                pass
            ring.close()
        finally:
            os.close(descriptor)
        return len(found)

    def _link(self, program: Program) -> int:
        handle = self._programs[program.function]
        if program.kind in {"kprobe", "kretprobe"}:
            returns = program.kind == "kretprobe"
            link = self._lib.bpf_program__attach_kprobe(handle, returns, program.target.encode())
        else:
            link = self._lib.bpf_program__attach(handle)
        return link or 0

    def _open_maps(self) -> None:
        try:
            self._ring = Ring(self._map("entries"))
            self.ordinary = OrdinaryLane(self._lib, self._map)
        except OSError as error:
            raise ProbeError(f"the ring cannot be read: {error}") from error
        if self._place:
            self.ordinary.begin_anew()
        self._counters = self._map("counters")
        self._released = self._map("released")
        self._mounts = self._map("mounts")
        self._inits = self._map("inits")
        self._cpus = self._lib.libbpf_num_possible_cpus()
        self.budget = Budgets(self._lib, self._map)
        self.listeners = Listeners(self._lib, self._map)
        self.requests = Requests(self._lib, self._map, self.listeners)

    def _map(self, called: str) -> int:
        return int(self._lib.bpf_object__find_map_fd_by_name(self._object, called.encode()))

    @property
    def kept_ring(self) -> Ring | None:
        """See Probe."""
        return self._ring if self._place else None

    def poll(self, timeout_ms: int) -> int:
        """See Probe."""
        ring = self._ring
        if ring is None:
            raise ProbeError("the probe is closed")
        # What the last call handed over is on disk by now: only then may the kernel have its room.
        ring.advance()
        ring.wait(timeout_ms)
        return ring.read(self._receive, POLL_EVENTS)

    def counters(self) -> dict[str, int]:
        """See Probe."""
        totals = {}
        values = (ctypes.c_uint64 * self._cpus)()
        for index, counter in enumerate(COUNTERS):
            key = ctypes.c_uint32(index)
            if self._lib.bpf_map_lookup_elem(self._counters, ctypes.byref(key), ctypes.byref(values)) == 0:
                totals[counter] = sum(values)
        return totals

    def release(self, cookie: int) -> None:
        """See Probe."""
        self._update(self._released, struct.pack("=Q", cookie), struct.pack("=I", 1))

    def know_init(self, mnt: int, init_pid: int) -> None:
        """See Probe."""
        self._update(self._mounts, struct.pack("=I", mnt), struct.pack("=I", init_pid))
        self._update(self._inits, struct.pack("=I", init_pid), struct.pack("=I", mnt))

    def forget_mount(self, mnt: int) -> None:
        """See Probe."""
        self._delete(self._mounts, struct.pack("=I", mnt))

    def _delete(self, fd: int, key: bytes) -> None:
        if self._lib.bpf_map_delete_elem(fd, key) and ctypes.get_errno() != errno.ENOENT:
            raise ProbeError(f"a map cannot be written: {why(ctypes.get_errno())}")

    def know_cgroup(self, cgroup: int, mnt: int) -> None:
        """See Probe."""
        self._update(self._map("cgroups"), struct.pack("=Q", cgroup), struct.pack("=I", mnt))

    def forget_cgroup(self, cgroup: int) -> None:
        """See Probe."""
        self._delete(self._map("cgroups"), struct.pack("=Q", cgroup))

    def know_root(self, device: int, mnt: int) -> None:
        """See Probe."""
        self._update(self._map("roots"), struct.pack("=I", device), struct.pack("=I", mnt))

    def forget_root(self, device: int) -> None:
        """See Probe."""
        self._delete(self._map("roots"), struct.pack("=I", device))

    def know_sensor(self, pid: int) -> None:
        """See Probe."""
        self._update(self._map("sensor"), struct.pack("=I", 0), struct.pack("=I", pid))

    def mark(self, tid: int, mark: bytes) -> None:
        """See Probe."""
        self._update(self._map("marks"), struct.pack("=I", tid), mark)

    def unmark(self, tid: int) -> None:
        """See Probe."""
        self._delete(self._map("marks"), struct.pack("=I", tid))

    def damage(self) -> list[str]:
        """See Probe."""
        if self._place is None:
            return []
        found = [f"{path.name} is not pinned any more" for path in self._pinned if not path.exists()]
        turn = ctypes.create_string_buffer(8)
        zero = struct.pack("=I", 0)
        self._lib.bpf_map_lookup_elem(self._map("generation"), zero, turn)
        if turn.raw != struct.pack("=Q", self._generation):
            found.append("the programs were put off duty")
        return found

    def mend(self) -> None:
        """See Probe."""
        if self._place is None:
            return
        self._update(self._map("generation"), struct.pack("=I", 0), struct.pack("=Q", self._generation))
        try:
            self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ProbeError(f"{self._place} cannot be made: {error.strerror}") from error
        for path, descriptor in self._pinned.items():
            if not path.exists() and self._lib.bpf_obj_pin(descriptor, str(path).encode()):
                raise ProbeError(f"{path} cannot be pinned: {why(ctypes.get_errno())}")

    def is_marked(self, tid: int) -> bool:
        """See Probe."""
        value = ctypes.create_string_buffer(MARK.size)
        if self._lib.bpf_map_lookup_elem(self._map("marks"), struct.pack("=I", tid), value):
            return False
        cookie, given_up = value.raw[:8], ctypes.create_string_buffer(4)
        return bool(self._lib.bpf_map_lookup_elem(self._released, cookie, given_up))

    def _update(self, fd: int, key: bytes, value: bytes) -> None:
        if self._lib.bpf_map_update_elem(fd, key, value, 0):
            raise ProbeError(f"a map cannot be written: {why(ctypes.get_errno())}")

    def close(self) -> None:
        """See Probe."""
        if self._ring:
            self._ring.advance()
            self._ring.close()
        self._ring = None
        if hasattr(self, "ordinary"):
            self.ordinary.close()
        self._unload()
        if self._held is not None:
            os.close(self._held)
        self._held = None

    def _unload(self) -> None:
        for link in self._links:
            self._lib.bpf_link__destroy(link)
        if self._object:
            self._lib.bpf_object__close(self._object)
        self._object = 0
        self._links = []
