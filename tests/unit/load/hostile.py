"""Files made to break a reader. As a program: read each, tell what was found and what it cost."""

import json
import os
import resource

from meshctl.load import limits, read_yaml


def laughs(levels, width):
    lines = ["a0: &a0 [x]"]
    for level in range(1, levels):
        references = ", ".join([f"*a{level - 1}"] * width)
        lines.append(f"a{level}: &a{level} [{references}]")
    return "\n".join(lines).encode()


def nested_aliases(levels):
    """Each line is shallow, but all of them together are a tower."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{level}: &a{level} [[[*a{level - 1}]]]" for level in range(1, levels)]
    return "\n".join(lines).encode()


BIG = limits.FILE_BYTES - 100

# name: (how to make it, the slug it must end in)
CASES = {
    "billion laughs": (lambda: laughs(30, 10), "too-large"),
    "a tower of aliases": (lambda: nested_aliases(60), "too-large"),
    "100,000 aliases": (lambda: b"a: &a x\nb:\n" + b"- *a\n" * 100_000, "too-large"),
    "aliases of a long text": (lambda: b"a: &a " + b"x" * 60_000 + b"\nb:\n" + b"- *a\n" * 50, "too-large"),
    "100,000 undefined aliases": (lambda: b"- *a\n" * 100_000, "too-large"),
    "50,000 anchors": (lambda: b"".join(b"- &a%d x\n" % n for n in range(50_000)), None),
    "an anchor defined 100,000 times": (lambda: b"- &a x\n" * 100_000, "too-large"),
    "an anchor that holds itself": (lambda: b"a: &a [*a, *a]", "yaml-feature-refused"),
    "100,000 nested lists": (lambda: b"[" * 100_000, "too-large"),
    "nested lists, a whole file": (lambda: b"[" * BIG, "too-large"),
    "nested mappings": (lambda: b"{a: " * 100_000, "too-large"),
    "nested lists with line breaks": (lambda: b"[\n" * 100_000, "too-large"),
    "nested block lists": (lambda: b"- " * 100_000, "too-large"),
    "nested complex keys": (lambda: b"? " * 100_000, "too-large"),
    "nested by indentation": (lambda: b"".join(b" " * n + b"a:\n" for n in range(3_000)), "too-large"),
    "closing brackets": (lambda: b"]" * BIG, "yaml-syntax"),
    "a list of nothing": (lambda: b"[" + b"a," * (BIG // 2) + b"]", "too-large"),
    "a list of lists": (lambda: b"[" + b"[]," * (BIG // 3) + b"]", "too-large"),
    "a list of mappings": (lambda: b"[" + b"{}," * (BIG // 3) + b"]", "too-large"),
    "a list of nothing behind a comment": (
        lambda: b"#" * (BIG // 2) + b"\n[" + b"a," * (BIG // 4) + b"]",
        "too-large",
    ),
    "a list as dense as it may be": (lambda: b"[" + b"aaaaa," * (BIG // 6) + b"]", None),
    "texts in quotes as dense as they may be": (lambda: b"[" + b'"aaaa",' * (BIG // 7) + b"]", None),
    "keys as dense as they may be": (lambda: b"".join(b"k%06x: abc\n" % n for n in range(BIG // 13)), None),
    "mappings as dense as they may be": (lambda: b"[" + b"{abcdef: ghijkl}, " * (BIG // 18) + b"]", None),
    "empty block items": (lambda: b"-\n" * (BIG // 2), "too-large"),
    "the same key again and again": (lambda: b"a: b\n" * (BIG // 5), "too-large"),
    "a very long text": (lambda: b"a: " + b"x" * BIG, "too-large"),
    "a very long quoted text": (lambda: b'a: "' + b"x" * BIG + b'"', "too-large"),
    "a very long text of escapes": (lambda: b'a: "' + rb"\x41" * (BIG // 4) + b'"', "too-large"),
    "a very long text on many lines": (lambda: b"a: |\n" + b" x\n" * (BIG // 3), "too-large"),
    "a very long folded text": (lambda: b"a: >\n" + b" x\n" * (BIG // 3), "too-large"),
    "a very long plain text on many lines": (lambda: b"a:\n" + b" x\n" * (BIG // 3), "too-large"),
    "a very long key": (lambda: b"? " + b"k" * BIG + b"\n: v", "too-large"),
    "a long key without a question mark": (lambda: b"k" * 5_000 + b": v", "yaml-syntax"),
    "a very long comment": (lambda: b"#" * BIG, None),
    "only comments": (lambda: b"#\n" * (BIG // 2), None),
    "only blank lines": (lambda: b"\n" * BIG, None),
    "only spaces": (lambda: b" " * BIG, None),
    "only tabs": (lambda: b"\t" * BIG, "yaml-syntax"),
    "a very long tag": (lambda: b"a: !" + b"t" * BIG + b" x", "yaml-feature-refused"),
    "a very long anchor": (lambda: b"a: &" + b"t" * BIG + b" x", None),
    "a very long alias": (lambda: b"a: *" + b"t" * BIG + b" x", "yaml-syntax"),
    "100,000 tag directives": (
        lambda: b"".join(b"%%TAG !t%d! tag:x\n" % n for n in range(100_000)) + b"---\na: b",
        "yaml-feature-refused",
    ),
    "tag directives of a second document": (
        lambda: b"a: b\n...\n" + b"".join(b"%%TAG !t%d! tag:x\n" % n for n in range(100_000)) + b"---\n",
        "yaml-feature-refused",
    ),
    "100,000 documents": (lambda: b"---\n" * 100_000, "yaml-feature-refused"),
    "100,000 commas": (lambda: b"[" + b"," * 100_000, "yaml-syntax"),
    "100,000 question marks": (lambda: b"{" + b"?," * 100_000, "too-large"),
    "100,000 colons": (lambda: b": " * 100_000, "yaml-syntax"),
    "50 MB": (lambda: b"a: b\n" * 10_000_000, "too-large"),
    "zeros": (lambda: b"\0" * BIG, "hidden-character"),
    "a zero at the end": (lambda: b"a: b\n" * 800_000 + b"\0", "hidden-character"),
    "not UTF-8 at the end": (lambda: b"a: b\n" * 800_000 + b"\xff", "unreadable-file"),
    "UTF-16": (lambda: ("a: b\n" * 100_000).encode("utf-16"), "unreadable-file"),
    "UTF-16 without a mark": (lambda: ("a: b\n" * 100_000).encode("utf-16-le"), "hidden-character"),
    "a surrogate": (lambda: b"a: \xed\xa0\x80", "unreadable-file"),
    "beyond the last plane": (lambda: b"a: \xf4\x90\x80\x80", "unreadable-file"),
    "an overlong slash": (lambda: b"a: \xc0\xaf", "unreadable-file"),
    "a marked right-to-left override": (lambda: "a: \u202egpj".encode() * 10_000, "hidden-character"),
    "all planes": (lambda: b"a: " + "\U0001f980\u00e9".encode() * (BIG // 6), "too-large"),
}


def report_on(name):
    document = read_yaml(CASES[name][0](), "mesh.yaml")
    last = document.findings[-1] if document.findings else None
    longest = max((len(each.message) for each in document.findings), default=0)
    return {"name": name, "slug": last and last.slug, "longest": longest}


def main():
    """One line of JSON for each case, each read in a process of its own so that its cost is its own."""
    for name in CASES:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
            os.write(writer, json.dumps(report_on(name)).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            report = pipe.read()
        _, status, usage = os.wait4(child, 0)
        cost = {"status": status, "cpu": usage.ru_utime + usage.ru_stime, "megabytes": usage.ru_maxrss / 1024}
        print(json.dumps({"name": name, **json.loads(report or "{}"), **cost}), flush=True)


if __name__ == "__main__":
    main()
