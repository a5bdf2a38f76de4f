"""What the subset lets through means the same to RE2 and to PCRE2, and neither needs long for it.

PCRE2 is asked as the proxies ask it: through the library that HAProxy and NGINX link, with its default limits.
"""

from __future__ import annotations

import ctypes
import re

import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshctl.spec.regex import fault

LONG = 8000
NO_MATCH, MATCH_LIMIT = -1, -47


class Pcre:
    """libpcre2-8, as much of it as a proxy uses."""

    def __init__(self):
        self._library = ctypes.CDLL("libpcre2-8.so.0")
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._compile = self._function(
            "compile", pointer, ctypes.c_char_p, size, ctypes.c_uint32, *[ctypes.c_char_p] * 2, pointer
        )
        self._jit = self._function("jit_compile", ctypes.c_int, pointer, ctypes.c_uint32)
        self._free = self._function("code_free", None, pointer)
        self._match = self._function(
            "match", ctypes.c_int, pointer, ctypes.c_char_p, size, size, ctypes.c_uint32, pointer, pointer
        )
        data = self._function("match_data_create", pointer, ctypes.c_uint32, pointer)
        self._data = data(30, None)

    def _function(self, name, result, *arguments):
        function = getattr(self._library, f"pcre2_{name}_8")
        function.restype, function.argtypes = result, arguments
        return function

    def results(self, pattern, texts, *, jit=True):
        """Of each text what pcre2_match says; None where the pattern does not compile."""
        whole = f"^(?:{pattern})$".encode()
        error, offset = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
        code = self._compile(whole, len(whole), 0, error, offset, None)
        if not code:
            return None
        if jit:
            assert self._jit(code, 1) == 0
        found = [self._match(code, each, len(each), 0, 0, self._data, None) for each in texts]
        self._free(code)
        return found


PCRE = Pcre()

ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "/",
        "-",
        ".",
        r"\.",
        r"\d",
        r"\w",
        r"\W",
        "[a-b]",
        "[^/]",
        "[ab-]",
        r"[\w.]",
        r"[^\d]",
        "1",
        " ",
    ]
)
REPEATS = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{0,2}", "{1,}", "{1,3}"])
PATTERNS = st.recursive(
    st.tuples(ATOMS, REPEATS).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: f"({'|'.join(each)})"),
        inner.map(lambda each: f"(?:{each})?"),
    ),
    max_leaves=12,
)
COMPETING = st.lists(
    st.sampled_from(
        ["[ab]+", "[^/]*", ".*", "a*", "a{1,900}", "(?:a|ab)?", "[ab]?", "/", "-", "a", "(a|b|ab)"]
    ),
    min_size=2,
    max_size=9,
).map(lambda parts: f"/b/{''.join(parts)}b/")
HOSTILE = st.text(alphabet=r"ab1/.-\()[]{}|*+?^$,:=!<>PQEsdwDWnxz ", min_size=1, max_size=14)
TEXTS = st.text(alphabet="ab1/.-_ é", max_size=8)


@settings(max_examples=600, deadline=None)
@given(st.one_of(PATTERNS, HOSTILE), st.lists(TEXTS, max_size=8))
@example("(a|ab)(c|bcd)?", ["abcd", "ac", "abc"])
@example(r"[\]a]", ["]", "\\"])
@example(r"[a\-z]", ["-", "m"])
@example("a|", ["", "a"])
@example(r"\Qa*\E", ["a*", "aa"])
@example("(?i)a", ["A"])
def test_what_is_let_through_means_the_same_to_all(pattern, texts):
    if fault(pattern):
        return
    ascii_texts = [each for each in texts if each.isascii()]
    expected = [re2.fullmatch(pattern, each) is not None for each in ascii_texts]
    found = PCRE.results(pattern, [each.encode() for each in ascii_texts])
    assert found is not None
    assert [each >= 0 for each in found] == expected
    assert [re.fullmatch(pattern, each, re.ASCII) is not None for each in ascii_texts] == expected


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(PATTERNS, COMPETING),
    st.lists(st.sampled_from(["a", "b", "ab", "/a", "a/", "1", ".-"]), min_size=2, max_size=3, unique=True),
    st.sampled_from(["/b/", "/", "a1"]),
)
@example("/[a-z]+b/.*", ["a"], "/b/")
@example("/.*/items/.*", ["/items/"], "/")
@example("(?:aa|a)?" * 8 + "b", ["a"], "b")
def test_what_is_let_through_is_answered_on_long_texts_too(pattern, units, around):
    if fault(pattern):
        return
    long = [f"{around}{each * (LONG // len(each))}".encode() for each in units]
    texts = [*long, *(each + b"!" for each in long), *(each + around.encode() for each in long)]
    for jit in (True, False):
        assert MATCH_LIMIT not in (PCRE.results(pattern, texts, jit=jit) or ())


COSTLY = [
    ("/.*a.*ab/", b"/b/" + b"a" * LONG),
    ("/b/[a-z]+[a-z]+[a-z]+b/", b"/b/" + b"a" * LONG),
    ("/b/[a-z]{1,500}[a-z]{1,500}[a-z]{1,500}[a-z]{1,500}b/", b"/b/" + b"a" * LONG),
    ("/b/" + "[a-z]?" * 40 + "b/", b"/b/" + b"a" * LONG),
    ("/b/" + "(?:a|aa)?" * 40 + "b/", b"/b/" + b"a" * LONG),
]


@pytest.mark.parametrize(("pattern", "text"), COSTLY, ids=[each for each, _ in COSTLY])
def test_what_pcre_gives_up_on_is_refused(pattern, text):
    assert PCRE.results(pattern, [text], jit=False) == [MATCH_LIMIT]
    assert fault(pattern)


USUAL = [
    "/items/[0-9]+", "/[^/]+/items/[^/]+", r"/files/.*\.(png|jpe?g|gif)", "/v[0-9]{1,3}(?:/.*)?", "/api/.*/items/.*",
    r"[\w.]+@[a-z]+\.[a-z]{2,3}", "/(de|en|fr)(/.*)?", "/[a-z]{2}-[A-Z]{2}/?", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"Bearer [A-Za-z0-9_.-]+", "colou?r", ".*", "(GET|HEAD)", r"/a\+b",
]  # fmt: skip


@pytest.mark.parametrize("pattern", USUAL)
def test_what_people_write_is_let_through(pattern):
    assert fault(pattern) == ""


REFUSED = [
    ("(a)*", "a group is repeated"), ("(?i)a", "flags"), ("(?=a)", "look-around"), (r"(a)\1", "left out"),
    (r"\bfoo", "left out"), ("^/a", "whole text"), ("a$", "whole text"), ("a**", "repeated"), ("a+?", "repeated"),
    ("[a", "not closed"), ("(a", "missing )"), ("a{1001}", "1000"), ("a{,3}", "brace"), ("*a", ""), (r"\Qa\E", "left out"),
    ("[]a]", ""), ("[[:alpha:]]", "inside a class"), ("a\\", "backslash"), (r"\x41", "left out"), ("[z-a]", ""),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "words"), REFUSED)
def test_what_is_refused_is_told_why(pattern, words):
    assert fault(pattern)
    assert words in fault(pattern)
