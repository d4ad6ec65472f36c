"""Becomes a program under those restrictions of a systemd unit that the kernel keeps for a process: limits,
capabilities, no new privileges, system calls and their arguments. What a unit says of directories needs a manager.

    confined.py UNIT PROGRAM [ARGUMENT]...
"""

import ctypes
import errno
import os
import re
import resource
import socket
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
ALLOW, NOT_EQUAL, EQUAL, MASKED = 0x7FFF0000, 1, 4, 7
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
NAMESPACES = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x00000080]
LIMITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def read(unit):
    """The settings of [Service], each with all its values; those that this program knows and no others are kept."""
    settings = {}
    with open(unit, encoding="utf-8") as lines:
        for line in lines:
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith("#"):
                settings.setdefault(name, []).append(value)
    return settings


def refuse(number):
    return 0x00050000 | number


class Compare(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Filter:
    """A filter of libseccomp, with which systemd makes its own."""

    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p

    def __init__(self, otherwise):
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(otherwise)))

    def rule(self, action, call, *comparisons):
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        if number == -1:
            return  # systemd names calls of all architectures and kernels
        array = (Compare * len(comparisons))(*comparisons)
        done = self.library.seccomp_rule_add_array(
            self.context, ctypes.c_uint32(action), number, len(comparisons), array)
        # those of other architectures cannot be compared here
        if done not in (0, -errno.EDOM, -errno.EINVAL):
            raise OSError(-done, call)

    def load(self):
        done = self.library.seccomp_load(self.context)
        if done:
            raise OSError(-done, "seccomp_load")


def calls(names):
    """System calls of systemd's sets and single ones."""
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        listed = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], check=True,
                                capture_output=True, text=True).stdout
        lines = [line.strip() for line in listed.splitlines()[1:]]
        found |= calls(line for line in lines if line and not line.startswith("#"))
    return found


def call_filter(settings):
    allowed = calls(["@default"])
    for value in settings["SystemCallFilter"]:
        names = calls(value.lstrip("~").split())
        allowed = allowed - names if value.startswith("~") else allowed | names
    number = getattr(errno, settings["SystemCallErrorNumber"][0])
    made = Filter(refuse(number))
    for call in sorted(allowed):
        made.rule(ALLOW, call)
    return made


def argument_filter(settings):
    made = Filter(ALLOW)
    on = lambda name: settings.get(name) == ["yes"]
    refused = refuse(errno.EPERM)
    masked = lambda argument, bits: Compare(argument, MASKED, bits, bits)
    if on("MemoryDenyWriteExecute"):
        made.rule(refused, "mmap", masked(2, PROT_EXEC | PROT_WRITE))
        for call in ["mprotect", "pkey_mprotect"]:
            made.rule(refused, call, masked(2, PROT_EXEC))
        made.rule(refused, "shmat", masked(2, SHM_EXEC))
    if on("RestrictNamespaces"):
        for kind in NAMESPACES:
            made.rule(refused, "unshare", masked(0, kind))
            made.rule(refused, "clone", masked(0, kind))
        made.rule(refused, "setns")
        # whose arguments no filter sees
        made.rule(refuse(errno.ENOSYS), "clone3")
    if on("RestrictSUIDSGID"):
        for bit in [0o4000, 0o2000]:
            for call, argument in [("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2)]:
                made.rule(refused, call, masked(argument, bit))
    if on("RestrictRealtime"):
        made.rule(refused, "sched_setscheduler", Compare(1, NOT_EQUAL, 0, 0))
    if on("LockPersonality"):
        made.rule(refused, "personality", Compare(0, NOT_EQUAL, 0, 0))
    families = {int(getattr(socket, name)) for name in settings["RestrictAddressFamilies"][0].split()}
    for family in set(range(64)) - families:
        made.rule(refuse(errno.EAFNOSUPPORT), "socket", Compare(0, EQUAL, family, 0))
    return made


def limit(settings):
    for name, values in settings.items():
        kind = getattr(resource, "RLIMIT_" + name.removeprefix("Limit"), None)
        if not name.startswith("Limit") or kind is None:
            continue
        number, unit = re.fullmatch(r"(\d+)([KMG]?)", values[-1]).groups()
        most = int(number) * LIMITS.get(unit, 1)
        allowed = resource.getrlimit(kind)[1]
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(kind, (most, most))
    os.umask(int(settings["UMask"][0], 8))


def main():
    unit, *program = sys.argv[1:]
    settings = read(unit)
    filters = [argument_filter(settings), call_filter(settings)]
    limit(settings)
    control = ctypes.CDLL(None, use_errno=True).prctl
    if settings["CapabilityBoundingSet"] == [""] and os.geteuid() == 0:
        for capability in range(64):
            control(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if settings["NoNewPrivileges"] != ["yes"] or control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no new privileges")
    for made in filters:
        made.load()
    os.execv(program[0], program)


main()
