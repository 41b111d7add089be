"""What must not be in the tree: keys, certificates, names of hosts and places that are one machine's."""
import re

from tree import line_of

# Written in pieces, so that this file does not hold them.
PEM = "-" * 5 + "BEGIN "
HOSTS = [r"docker\.io", r"ghcr\.io", r"quay\.io", r"gcr\.io", r"mcr\.microsoft\.com", r"public\.ecr\.aws", r"registry\.\w+\.\w+",
         r"crates\.io", r"pypi\.org", r"npmjs\.org", r"proxy\.golang\.org", r"(?:deb|security|snapshot|ftp)\.debian\.org"]
PLACES = ["/wo" + r"rk/\w", "/ho" + r"me/\w", "/ro" + r"ot/\w"]


def texts(tree):
    for path in tree.paths:
        if not path.startswith("tests/tidy/") and tree.is_text(path):
            yield path, tree.read(path)


def matches(tree, pattern, what):
    for path, text in texts(tree):
        for m in re.finditer(pattern, text):
            yield path, line_of(text, m.start()), f"{what}: {m.group()}"


def check_hosts(tree):
    """no name of a package registry or mirror"""
    return matches(tree, r"(?<![\w.-])(?:[\w-]+\.)*(?:" + "|".join(HOSTS) + r")\b", "a host")


def check_places(tree):
    """no absolute path of one machine"""
    return matches(tree, r"(?<![\w.$})*/-])(?:" + "|".join(PLACES) + r")[\w/.-]*", "a place on one machine")


def check_keys(tree):
    """no key and no certificate"""
    for path in tree.files(".key", ".crt", ".pem", ".p12", ".pfx", ".der", ".csr"):
        yield path, 1, "looks like a key or a certificate by its name"
    # A marker with a body; programs that look for markers have none behind them.
    yield from matches(tree, re.escape(PEM) + r"[A-Z0-9 ]+-----\s*\n[A-Za-z0-9+/=]{40}", "PEM")
