#!/usr/bin/env python3
"""Counts test cases in a log of `meson test`.

usage: meson_counts.py LOG.json STATUS   (STATUS: what meson test ended with)

Prints a line for each test that was skipped, with its reason, then "PASSED FAILED SKIPPED". A cmocka
program counts as its cases, any other as one.

example: meson_counts.py build/debug/meson-logs/unit.json 0
"""
import json
import re
import sys

CASES = re.compile(r"^\[  (PASSED|FAILED|SKIPPED)\s*\] (?:.*: )?(\d+) test\(s\)", re.M)


def count(record):
    """(passed, failed, skipped) of one test program."""
    result = record["result"]
    text = record.get("stdout", "") + "\n" + record.get("stderr", "")
    cases = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for kind, number in CASES.findall(text):
        cases[kind] += int(number)
    good = result in ("OK", "EXPECTEDFAIL")
    if result == "SKIP":
        return 0, 0, max(1, cases["SKIPPED"])
    if sum(cases.values()) == 0:
        return (1, 0, 0) if good else (0, 1, 0)
    if not good:
        # It may have died with its cases uncounted.
        cases["FAILED"] = max(1, cases["FAILED"])
    return cases["PASSED"], cases["FAILED"], cases["SKIPPED"]


def reason(record):
    """The last thing a skipped test said."""
    lines = (record.get("stdout", "") + "\n" + record.get("stderr", "")).strip().splitlines()
    return lines[-1] if lines else "it gave no reason"


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    sums = [0, 0, 0]
    try:
        with open(sys.argv[1], encoding="utf-8") as log:
            records = [json.loads(line) for line in log if line.strip()]
    except FileNotFoundError:
        records = []
    for record in records:
        sums = [a + b for a, b in zip(sums, count(record))]
        if record["result"] == "SKIP":
            print(f"skip {record['name']}: {reason(record)}")
    if sys.argv[2] != "0" and sums[1] == 0:
        # meson itself failed: what it did not run did not pass.
        sums[1] = 1
    print(*sums)
    return 0


if __name__ == "__main__":
    sys.exit(main())
