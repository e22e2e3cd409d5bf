"""What a disk may hold after a power cut, at moments of a log that dm-log-writes has made: all that was written before
a flush, and of what came after it nothing, some, the latter half, or all. From each of them the next run has to come to
the same end."""

import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SECTOR = 512


def read_log(path):
    """The log's file, and its entries: sector, sectors, flags, where the bytes are, the mark's name."""
    log = open(path, "rb")
    magic, _, count, size = struct.unpack("<QQQI", log.read(28))
    assert magic == 0x6A736677736872, "this is no log of dm-log-writes"
    entries, at = [], size
    for _ in range(count):
        log.seek(at)
        sector, sectors, flags, length = struct.unpack("<QQQQ", log.read(32))
        mark = log.read(length).rstrip(b"\0").decode() if flags & MARK else None
        at += size
        entries.append((sector, sectors, flags, at, mark))
        if not flags & (DISCARD | MARK):
            at += sectors * SECTOR
    return log, entries


class Trial:
    def __init__(self, program, work, file_system, sync):
        self.program, self.work, self.file_system, self.sync = program, work, file_system, sync
        self.log, self.entries = read_log(f"{work}/log")
        self.failures, self.incomplete, self.again = 0, 0, []
        self.whole = None

    def call(self, db, *words):
        manifest = os.path.join(os.path.dirname(os.path.abspath(__file__)), "workflow.toml")
        ended = subprocess.run(
            [self.program, *words, "-manifest", manifest, "-db", db], capture_output=True, text=True
        )
        return ended.returncode, ended.stdout + ended.stderr

    def write(self, disk, number):
        sector, sectors, flags, at, _ = self.entries[number]
        if flags & MARK or not sectors:
            return
        self.log.seek(at)
        whole = bytes(sectors * SECTOR) if flags & DISCARD else self.log.read(sectors * SECTOR)
        os.pwrite(disk, whole, sector * SECTOR)

    def results(self, db):
        folder = f"{self.work}/results"
        shutil.rmtree(folder, ignore_errors=True)
        status, said = self.call(db, "export", "--to", folder)
        assert status == 0, said
        files = (os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
        return {os.path.relpath(path, folder): hashlib.sha256(open(path, "rb").read()).hexdigest() for path in files}

    def fails(self, when, what):
        print(f"FAILED  {when}: {what}")
        self.failures += 1

    def go_on(self, db, when, has_ended):
        status, said = self.call(db, "verify") if os.path.exists(f"{db}/db") else (0, "")
        if status and self.sync == "commit":
            self.fails(when, f"verify: {said}")
        self.incomplete += status != 0
        status, said = self.call(db, "-run")
        if status:
            return self.fails(when, said)
        line = next(line for line in said.splitlines() if line.startswith("runset") and " run, " in line)
        ran = int(line.split(" run, ")[0].split()[-1])
        self.again.append(ran)
        if ran and has_ended and self.sync != "lazy":
            self.fails(when, f"a run that had ended ran again: {line}")
        if self.results(db) != self.whole:
            self.fails(when, "the results are other ones")
        status, said = self.call(db, "verify")
        if status:
            self.fails(when, f"verify after the run: {said}")

    def all(self, count):
        self.call(f"{self.work}/whole", "-run")
        self.whole = self.results(f"{self.work}/whole")
        assert self.whole
        marks = {entry[4]: number for number, entry in enumerate(self.entries) if entry[4]}
        flushes = [number for number, entry in enumerate(self.entries) if entry[2] & (FLUSH | FUA)]
        flushes = [number for number in flushes if number > marks["begin"]]
        luck = random.Random(1)
        shutil.copyfile(f"{self.work}/base", f"{self.work}/sure")
        sure, done = os.open(f"{self.work}/sure", os.O_RDWR), 0
        chosen = sorted(luck.sample(flushes, min(count, len(flushes))))
        for trial, flush in enumerate(chosen):
            while done <= flush:
                self.write(sure, done)
                done += 1
            # A disk of its own name each time: whoever has a copy of the mounts may hold the one before.
            disk, mounted = f"{self.work}/disk{trial}", f"{self.work}/mnt"
            subprocess.run(["cp", "--sparse=always", f"{self.work}/sure", disk], check=True)
            later = [number for number in flushes if number > flush]
            between = range(flush + 1, later[0] if later else len(self.entries))
            kind = ["nothing", "some", "all", "the latter half"][trial % 4]
            opened = os.open(disk, os.O_RDWR)
            for number in between:
                late = number - flush > len(between) / 2
                if {"nothing": False, "some": luck.random() < 0.5, "all": True}.get(kind, late):
                    self.write(opened, number)
            os.close(opened)
            when = f"behind entry {flush}, {kind} of {len(between)}"
            options = "loop,nouuid" if self.file_system == "xfs" else "loop"
            subprocess.run(["mount", "-t", self.file_system, "-o", options, disk, mounted], check=True)
            try:
                self.go_on(f"{mounted}/db", when, flush > marks["ran"])
            finally:
                subprocess.run(["umount", mounted], check=True)
                os.unlink(disk)
        print(
            f"{self.file_system}, -sync {self.sync}: {len(chosen)} moments of {len(flushes)}, {self.failures} failed; the db "
            f"was incomplete before the next run in {self.incomplete}; up to {max(self.again)} tasks ran again"
        )
        return not self.failures and max(self.again) > 0


program, work, file_system, sync, count = sys.argv[1:]
sys.exit(not Trial(program, work, file_system, sync).all(int(count)))
