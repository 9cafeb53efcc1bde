"""Changes bytes of HDF5 files, thousands of times, and looks for changes that surgery does not survive.

usage: swift build --sanitize=address --scratch-path .build-address --product surgery
       python Scripts/compare/hdf5_mutations.py .build-address/debug/surgery Tests/FormatsTests/Fixtures/HDF5 \
           --rounds 2000 --seed 1 [--keep DIR]

Every round takes one of the files, changes it in one way (bits, bytes, fields of sizes and addresses, a piece left out,
a piece copied elsewhere), mostly where the file says how it is built and not in its numbers, makes the checksums right
again in three of four, and has `surgery convert` read all of it. A model or an error in a sentence is fine. A crash, a
report of the address sanitizer, ten seconds or a gibibyte are not: the round's number, the file and the innermost frames
are printed, the file is kept, and the exit status is 1. The same seed makes the same changes. Needs numpy.
"""

import argparse
import collections
import concurrent.futures
import glob
import os
import random
import re
import shutil
import subprocess
import tempfile

import numpy as np

MARKS = [b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN",
         b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EADB", b"EASB", b"\x89HDF"]
FIELDS = [0, 1, 2, 3, 7, 8, 0x10, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
          0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 8, (1 << 64) - 1]


def lookup3(data, counts):
    """The checksums of the first n bytes, for all n of an array at once."""
    words = np.zeros((max(counts) + 24) // 12 * 12, np.uint8)
    words[:len(data[:max(counts)])] = np.frombuffer(data[:max(counts)], np.uint8)
    counts = np.asarray(counts, np.uint32)
    a = b = c = None
    start = np.uint32(0xDEADBEEF) + counts
    a, b, c = start.copy(), start.copy(), start.copy()
    rot = lambda x, k: (x << np.uint32(k)) | (x >> np.uint32(32 - k))
    for place in range(0, len(words), 12):
        block = words[place:place + 12]
        left = counts.astype(np.int64) - place
        on = left > 0
        if not on.any():
            break
        # Bytes behind a prefix's end count as zero.
        lanes = np.where(np.arange(12)[None, :] < left[:, None], block[None, :], 0).astype(np.uint32)
        w = [lanes[:, i] | lanes[:, i + 1] << 8 | lanes[:, i + 2] << 16 | lanes[:, i + 3] << 24 for i in (0, 4, 8)]
        x, y, z = a + w[0], b + w[1], c + w[2]
        last = on & (left <= 12)
        # mix
        p, q, r = x.copy(), y.copy(), z.copy()
        p -= r; p ^= rot(r, 4); r += q
        q -= p; q ^= rot(p, 6); p += r
        r -= q; r ^= rot(q, 8); q += p
        p -= r; p ^= rot(r, 16); r += q
        q -= p; q ^= rot(p, 19); p += r
        r -= q; r ^= rot(q, 4); q += p
        # final
        z ^= y; z -= rot(y, 14)
        x ^= z; x -= rot(z, 11)
        y ^= x; y -= rot(x, 25)
        z ^= y; z -= rot(y, 16)
        x ^= z; x -= rot(z, 4)
        y ^= x; y -= rot(x, 14)
        z ^= y; z -= rot(y, 24)
        a = np.where(on, np.where(last, x, p), a)
        b = np.where(on, np.where(last, y, q), b)
        c = np.where(on, np.where(last, z, r), c)
    return c


class Original:
    """A file to change, and where it says how it is built."""

    def __init__(self, path):
        self.path = path
        self.data = open(path, "rb").read()
        places = [m.start() for mark in MARKS for m in re.finditer(re.escape(mark), self.data)]
        # Version 1 headers have no mark: those that symbol tables name, and the root's.
        for node in [m.start() for m in re.finditer(b"SNOD", self.data)]:
            for index in range(int.from_bytes(self.data[node + 6:node + 8], "little")):
                at = node + 8 + 40 * index + 8
                places.append(int.from_bytes(self.data[at:at + 8], "little"))
        if self.data[8] < 2:
            places.append(int.from_bytes(self.data[64:72], "little"))
        self.places = sorted(p for p in set(places) if p < len(self.data))
        self.sums = [found for place in self.places if (found := self.checksum(place))]

    def checksum(self, place):
        """What a checksum covers, and where it stands; None where there is none."""
        mark = self.data[place:place + 4]
        if mark not in (b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN", b"FAHD", b"FADB",
                        b"EAHD", b"EAIB", b"EADB", b"EASB", b"\x89HDF") or mark == b"\x89HDF" and self.data[8] < 2:
            return None
        if mark == b"FHDB":
            for size in (512, 1024, 2048, 4096):
                data = bytearray(self.data[place:place + size])
                data[17:21] = bytes(4)
                if lookup3(bytes(data), [len(data)])[0] == int.from_bytes(self.data[place + 17:place + 21], "little"):
                    return place, size, 17
            return None
        counts = np.arange(8, min(8192, len(self.data) - place - 4))
        if not len(counts):
            return None
        stored = np.array([int.from_bytes(self.data[place + n:place + n + 4], "little") for n in counts], np.uint32)
        hits = np.flatnonzero(lookup3(self.data[place:place + 8192], counts) == stored)
        return (place, int(counts[hits[0]]), int(counts[hits[0]])) if len(hits) else None

    def repaired(self, data):
        """The same with right checksums."""
        data = bytearray(data)
        for place, size, at in self.sums:
            if place + max(size, at + 4) > len(data):
                continue
            part = bytearray(data[place:place + size])
            if at < size:
                part[at:at + 4] = bytes(4)
            data[place + at:place + at + 4] = int(lookup3(bytes(part), [size])[0]).to_bytes(4, "little")
        return bytes(data)

    def changed(self, dice):
        data = bytearray(self.data)

        def somewhere():
            if dice.random() < 0.1:
                return dice.randrange(len(data))
            place = dice.choice(self.places) + int(dice.expovariate(1 / dice.choice([16, 64, 256])))
            return min(place, len(data) - 1)

        kind = dice.randrange(10)
        if kind == 0:
            at = somewhere()
            data[at] ^= 1 << dice.randrange(8)
        elif kind <= 3:
            for _ in range(dice.randint(1, 8)):
                data[somewhere()] = dice.choice([dice.randrange(256), 0, 0xFF, 0x7F, 0x80, 1])
        elif kind <= 6:
            for _ in range(dice.randint(1, 2)):
                size = dice.choice([1, 2, 4, 8])
                at = somewhere() & ~(size - 1) if dice.random() < 0.7 else somewhere()
                at = min(at, len(data) - size)
                old = int.from_bytes(data[at:at + size], "little")
                new = dice.choice([dice.choice(FIELDS), old + dice.randint(-9, 9), len(data) - dice.randrange(64),
                                   dice.choice(self.places), old << dice.randint(1, 8), old >> dice.randint(1, 8)])
                data[at:at + size] = (new % (1 << 8 * size)).to_bytes(size, "little")
        elif kind == 7:
            at, count = somewhere(), dice.choice([1, 4, 8, 16, 64, 512])
            del data[at:at + count]
            if dice.random() < 0.5:
                data += bytes(len(self.data) - len(data))
        elif kind == 8:
            at, count = somewhere(), dice.choice([2, 4, 8, 16, 64, 256])
            data[at:at + count] = bytes([dice.choice([0, 0xFF])]) * min(count, len(data) - at)
        else:
            at, source, count = somewhere(), somewhere(), dice.choice([4, 8, 16, 64, 256])
            part = data[source:source + count][:len(data) - at]
            data[at:at + len(part)] = part
        return self.repaired(data) if dice.random() < 0.75 else bytes(data)


def frames(report):
    """What went wrong, and where: the first frames that are no sanitizer's."""
    kind = re.search(r"AddressSanitizer: ([\w-]+)|hard rss limit|Fatal error: ([^\n]*)", report)
    names = [m for m in re.findall(r"#\d+ 0x\w+ in (\S+)", report) if not m.startswith(("__asan", "__interceptor"))]
    names = [n for n in names if n not in ("memcpy", "memmove", "strlen", "strdup", "strcmp", "malloc", "realloc")]
    return (kind.group(0) if kind else "no report") + ": " + " < ".join(names[:4])


def attempt(job):
    number, original, seed, options = job
    data = original.changed(random.Random(f"{seed}/{number}"))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = f"{folder}/changed.h5"
        with open(path, "wb") as file:
            file.write(data)
        environment = dict(os.environ, SWIFT_BACKTRACE="enable=no", ASAN_OPTIONS="detect_leaks=0:exitcode=99:"
                           "hard_rss_limit_mb=1024:detect_stack_use_after_return=0")
        command = [options.surgery, "convert", path, "--to", "safetensors", "-o", f"{folder}/out"]
        try:
            run = subprocess.run(command, capture_output=True, timeout=10, env=environment)
        except subprocess.TimeoutExpired:
            return number, original, data, "hang", ""
        report = run.stderr.decode(errors="replace")
        if run.returncode in (0, 1, 2) and "AddressSanitizer" not in report:
            return number, original, data, None, "model" if run.returncode == 0 else report
        return number, original, data, f"status {run.returncode}, {frames(report)}", report


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("surgery")
    parser.add_argument("fixtures", nargs="+")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", default="mutations")
    options = parser.parse_args()
    paths = sorted(p for f in options.fixtures for p in ([f] if os.path.isfile(f) else glob.glob(f"{f}/**/*.h5", recursive=True)))
    originals = [Original(path) for path in paths]
    found, models, reasons = collections.defaultdict(list), 0, collections.Counter()
    jobs = ((n, originals[n % len(originals)], options.seed, options) for n in range(options.rounds))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for number, original, data, failure, report in pool.map(attempt, jobs):
            if failure:
                os.makedirs(options.keep, exist_ok=True)
                kept = f"{options.keep}/{options.seed}-{number}.h5"
                with open(kept, "wb") as file:
                    file.write(data)
                if failure not in found:
                    print(f"round {number}, {os.path.basename(original.path)}, kept as {kept}: {failure}", flush=True)
                found[failure].append(number)
            elif report == "model":
                models += 1
            else:
                reasons[re.sub(r"\S*changed.h5\S*|\d+", "", report)[:90].strip()] += 1
    print(f"{options.rounds} changes of {len(originals)} files, seed {options.seed}: {models} models, "
          f"{sum(reasons.values())} errors of {len(reasons)} kinds, {sum(map(len, found.values()))} failures")
    for failure, rounds in sorted(found.items(), key=lambda item: -len(item[1])):
        print(f"{len(rounds):6} {failure}")
    raise SystemExit(1 if found else 0)


main()
