"""Compares what is read of Parquet files with what pyarrow wrote, in every combination, and damages files by the thousand.

    python Scripts/compare/parquet.py TRAINER FOLDER [--damaged 2000] [--seed 1] [--columns "swift test --skip-build"]

Every file in FOLDER has a column of each type; files differ by encoding, codec, version and size of pages, size of row groups,
nulls and checksums. `trainer tokenize --text` has to print the texts that went in, by a tokenizer whose tokens are bytes. With
--columns that command runs the test that reads all columns of all files by ParquetFile.rows (the package's folder is the current
one). What is not read has to be refused by name, with exit code 2. Then bytes are flipped, cut out, put in and overwritten: texts
or an error in a sentence are fine, a crash or a hang (20 s) is not. Needs pyarrow. Exit code 1 where anything differed.
"""

import argparse
import collections
import concurrent.futures
import datetime
import decimal
import itertools
import json
import os
import random
import re
import shlex
import struct
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

parser = argparse.ArgumentParser()
parser.add_argument("trainer", type=Path)
parser.add_argument("folder", type=Path)
parser.add_argument("--damaged", type=int, default=2000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--columns")
options = parser.parse_args()
options.folder.mkdir(parents=True, exist_ok=True)
ROWS = 150
dice = random.Random(options.seed)
failures = []


def fail(what):
    failures.append(what)
    if len(failures) <= 20:
        print("FAILED", what, flush=True)


# MARK: A tokenizer whose tokens are bytes


def byte_alphabet():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in shown]
    return [chr(b) for b in shown] + [chr(256 + i) for i in range(len(others))]


level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
tokenizer = options.folder / "tokenizer.json"
tokenizer.write_text(
    json.dumps(
        {
            "version": "1.0",
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": level,
            "post_processor": None,
            "decoder": level,
            "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(byte_alphabet())}, "merges": []},
        }
    )
)


def run(path, *arguments):
    command = [options.trainer, "tokenize", tokenizer, path, *arguments]
    environment = dict(os.environ, SWIFT_BACKTRACE="enable=no")
    try:
        return subprocess.run(command, capture_output=True, timeout=20, env=environment)
    except subprocess.TimeoutExpired:
        return None


# MARK: What is written


def a_text():
    kind = dice.randrange(6)
    if kind == 0:
        return ""
    if kind == 1:
        return dice.choice(["same", "again and again", "가나다"])
    letters = "ab \n\té가🙂\x00"
    return dice.choice(["", "common beginning "]) + "".join(dice.choices(letters, k=dice.choice([3, 20, 300])))


def whole(bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return lambda: dice.choice([low, high, dice.randint(low, high), min(dice.randrange(9), high)])


def real():
    return dice.choice([0.0, -0.0, float("inf"), 1e-40, dice.uniform(-1e9, 1e9)])


makers = {"string": (pa.string(), a_text), "large": (pa.large_string(), a_text)}
makers["binary"] = (pa.binary(), lambda: a_text().encode())
makers["any_bytes"] = (pa.binary(), lambda: dice.randbytes(dice.randrange(9)))
for bits in [8, 16, 32, 64]:
    makers[f"int{bits}"] = (getattr(pa, f"int{bits}")(), whole(bits, True))
    makers[f"uint{bits}"] = (getattr(pa, f"uint{bits}")(), whole(bits, False))
makers |= {"float": (pa.float32(), real), "double": (pa.float64(), real)}
makers["flag"] = (pa.bool_(), lambda: dice.random() < 0.7)
makers |= {"day": (pa.date32(), whole(16, True)), "clock": (pa.time64("us"), whole(32, False))}
makers |= {f"at_{unit}": (pa.timestamp(unit), whole(48, True)) for unit in ["ms", "us", "ns"]}


def a_table(nulls):
    columns, fields = [], []
    for name, (kind, make) in makers.items():
        values = [make() for _ in range(ROWS)]
        if nulls in ("some", "all"):
            values = [None if nulls == "all" or dice.random() < 0.3 else v for v in values]
        fields.append(pa.field(name, kind, nullable=nulls != "required"))
        columns.append(pa.array(values, kind))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def told(value):
    """A value as the test has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    if isinstance(value, str):
        value = value.encode()
    return "x" + value.hex() if isinstance(value, bytes) else str(value)


def values_of(table, name):
    column = table[name].combine_chunks()
    if pa.types.is_temporal(column.type):
        column = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return column.to_pylist()


numbers = {n: "DELTA_BINARY_PACKED" for n in makers if n.startswith(("int", "uint", "at_", "day", "clock"))}
texts = ["string", "large", "binary", "any_bytes"]
encodings = {
    "plain": dict(use_dictionary=False),
    "dictionary": dict(use_dictionary=True),
    "small-dictionary": dict(use_dictionary=True, dictionary_pagesize_limit=400),
    "lengths": dict(use_dictionary=False, column_encoding=numbers | {n: "DELTA_LENGTH_BYTE_ARRAY" for n in texts}),
    "bytes": dict(use_dictionary=False, column_encoding=numbers | {n: "DELTA_BYTE_ARRAY" for n in texts}),
    "runs": dict(use_dictionary=False, column_encoding={"flag": "RLE"}),
}
combinations = list(
    itertools.product(
        encodings,
        ["none", "snappy", "gzip", "zstd"],
        ["1.0", "2.0"],
        [64, 2000, 1 << 20],
        [7, 64, 1000],
        ["required", "no", "some", "all"],
    )
)


def write(number, combination):
    encoding, codec, version, page, group, nulls = combination
    table = tables[nulls]
    path = options.folder / f"{number}.parquet"
    pq.write_table(
        table,
        path,
        compression=codec,
        data_page_version=version,
        data_page_size=page,
        row_group_size=group,
        write_batch_size=5 if page < 1000 else 1024,
        write_page_checksum=number % 2 == 0,
        store_schema=number % 3 == 0,
        **encodings[encoding],
    )
    return path


def check_texts(job):
    number, combination = job
    path, nulls = paths[number], combination[-1]
    name = texts[number % 3]
    expected = [v.decode() if isinstance(v, bytes) else v for v in values_of(tables[nulls], name) if v is not None]
    result = run(path, "--text", "--text-key", name, *(["--skip-bad-lines"] if nulls in ("some", "all") else []))
    if result is None or result.returncode not in (0, 2):
        return f"{path} {combination} {name}: {result}"
    if nulls == "all":
        return (
            None if b"is null" in result.stderr and result.returncode == 2 else f"{path} {combination}: {result.stderr}"
        )
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return None if found == expected else f"{path} {combination} {name}: {result.stderr.decode()[:300]}"


def workers(job, jobs):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(job, jobs))


start = time.time()
tables = {nulls: a_table(nulls) for nulls in ["required", "no", "some", "all"]}
for nulls, table in tables.items():
    content = {n: [told(v) for v in values_of(table, n)] for n in makers}
    (options.folder / f"{nulls}.json").write_text(json.dumps(content))
paths = {n: write(n, c) for n, c in enumerate(combinations)}
(options.folder / "files.json").write_text(
    json.dumps({str(path.name): combinations[n][-1] for n, path in paths.items()})
)
for problem in filter(None, workers(check_texts, enumerate(combinations))):
    fail(problem)
print(
    f"{len(paths)} files, texts by trainer tokenize: {len(failures)} differ ({time.time() - start:.0f} s)", flush=True
)

if options.columns:
    command = [*shlex.split(options.columns), "--filter", "ParquetFileTests/everyFileOfAFolder"]
    done = subprocess.run(
        command, env=dict(os.environ, PARQUET_FOLDER=str(options.folder.resolve())), capture_output=True
    )
    text = (done.stdout + done.stderr).decode()
    summary = re.search(r"\d+ values of \d+ columns in \d+ files", text)
    if done.returncode or not summary:
        fail(f"columns: {text[-2000:]}")
    else:
        print(f"{summary.group(0)} by ParquetFile.rows: equal", flush=True)

# MARK: What is refused

small = pa.table(
    {
        "text": ["a", "b"],
        "list": [["a"], []],
        "struct": [{"a": "b", "c": ["d"]}, {"a": "e", "c": []}],
        "map": pa.array([[("a", "b")], []], pa.map_(pa.string(), pa.string())),
        "decimal": [decimal.Decimal("1.50"), decimal.Decimal("2.25")],
        "half": pa.array([1.5, 2], pa.float16()),
        "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
        "int": [1, 2],
        "double": [1.5, 2.5],
        "flag": [True, False],
        "at": [datetime.datetime(2020, 1, 1)] * 2,
    }
)
refused = [
    ({}, name, words)
    for name, words in [
        ("list", "is a list"),
        ("struct", "a structure of struct.a"),
        ("struct.c", "is a list"),
        ("map", "is a list"),
        ("decimal", "DECIMAL"),
        ("half", "FLOAT16"),
        ("fixed", "FIXED_LEN_BYTE_ARRAY"),
        ("int", "INT64"),
        ("flag", "BOOLEAN"),
        ("double", "DOUBLE"),
        ("at", "INT64"),
        ("none", 'expected "none"'),
    ]
]
refused += [({"compression": c}, "text", n) for c, n in [("brotli", "BROTLI"), ("lz4", "LZ4_RAW")]]
refused += [({"use_deprecated_int96_timestamps": True}, "at", "INT96")]
refused += [
    ({"use_dictionary": False, "column_encoding": {"fixed": "BYTE_STREAM_SPLIT"}}, "fixed", "FIXED_LEN_BYTE_ARRAY")
]
count = 0
for more, name, words in refused:
    for version in ["1.0", "2.0"]:
        path = options.folder / "refused.parquet"
        pq.write_table(small, path, data_page_version=version, **more)
        result = run(path, "--text-key", name, "--skip-bad-lines")
        count += 1
        if result is None or result.returncode != 2 or words.encode() not in result.stderr:
            fail(f"{more} {name}: {result}")
        elif more == {} and run(path, "--text").stdout != b'"a"\n"b"\n':
            fail(f"text beside {name}")
print(f"{count} refused by name", flush=True)

# MARK: What is damaged


def changed(data, dice):
    data = bytearray(data)
    # The description and the heads of pages are a small part of a file.
    size = int.from_bytes(data[-8:-4], "little") + 8

    def somewhere():
        kind = dice.randrange(4)
        if kind == 0:
            return len(data) - 1 - dice.randrange(min(size, len(data)))
        return min(4 + dice.randrange(40), len(data) - 1) if kind == 1 else dice.randrange(len(data))

    kind = dice.randrange(8)
    if kind == 0:
        data[somewhere()] ^= 1 << dice.randrange(8)
    elif kind <= 2:
        for _ in range(dice.randint(1, 6)):
            data[somewhere()] = dice.choice([dice.randrange(256), 0, 0xFF, 0x7F, 0x80, 1])
    elif kind == 3:
        at = somewhere()
        data[at : at + 5] = dice.choice([b"\xff\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10"])
    elif kind == 4:
        at = somewhere()
        del data[at : at + dice.choice([1, 2, 4, 16, 100])]
    elif kind == 5:
        at = somewhere()
        data[at:at] = dice.randbytes(dice.choice([1, 2, 4, 16, 100]))
    elif kind == 6:
        del data[dice.randrange(len(data)) :]
        if dice.random() < 0.5:
            data += dice.choice([b"PAR1", b"\x10\x00\x00\x00PAR1", b"\xff\xff\xff\xffPAR1", bytes(20)])
    else:
        at, source, n = somewhere(), somewhere(), dice.choice([4, 8, 64, 256])
        part = data[source : source + n][: len(data) - at]
        data[at : at + len(part)] = part
    return bytes(data)


def damage(number):
    dice = random.Random(f"{options.seed}/{number}")
    original = dice.randrange(len(combinations))
    nulls = combinations[original][-1]
    data = changed(paths[original].read_bytes(), dice)
    path = options.folder / f"damaged-{number}.parquet"
    path.write_bytes(data)
    result = run(path, "--text", "--text-key", "string", *(["--skip-bad-lines"] if nulls != "required" else []))
    if (
        result is None
        or result.returncode not in (0, 2)
        or (result.returncode == 2 and path.name.encode() not in result.stderr)
    ):
        return "failure", f"{path} (of {original}, {combinations[original]}): {result}"
    path.unlink()
    if result.returncode == 2:
        return "refused", re.sub(r"\d+", "N", result.stderr.decode().split(path.name, 1)[-1])[:80]
    expected = [v for v in values_of(tables[nulls], "string") if v is not None]
    same = [json.loads(line) for line in result.stdout.splitlines()] == expected
    return ("unharmed" if same else "other texts, " + ("with" if original % 2 == 0 else "without") + " checksums"), ""


outcomes, reasons = collections.Counter(), set()
for outcome, reason in workers(damage, range(options.damaged)):
    outcomes[outcome] += 1
    reasons.add(reason) if outcome == "refused" else None
    if outcome == "failure":
        fail(reason)
print(
    f"{options.damaged} damaged files: {dict(outcomes)}, {len(reasons)} kinds of errors ({time.time() - start:.0f} s)"
)
sys.exit(1 if failures else 0)
