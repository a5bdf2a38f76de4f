"""What is told of a validator that does not say yes."""

from __future__ import annotations

from meshctl.live.verify import Check, verify

BREAKING = """\
echo '[1][critical][assert] assert failure: inotify_fd_ >= 0. Details: increase max_user_instances'
echo '[1][error][envoy_bug] stacktrace for envoy bug'
echo '[1][critical][backtrace] #0: [0x7f]'
kill -ABRT $$
"""


def test_a_validator_that_breaks_down_is_no_refusal_and_its_stack_is_left_out(tmp_path):
    verdict = verify(Check("web", tmp_path, "sh", ("-c", BREAKING)))
    first, *others = verdict.output.splitlines()
    assert not verdict.ok
    assert first.startswith("sh broke down (Aborted)")
    assert others == [BREAKING.splitlines()[0].removeprefix("echo '").removesuffix("'")]


def test_a_refusal_is_told_as_it_is(tmp_path):
    verdict = verify(Check("web", tmp_path, "sh", ("-c", "echo no; exit 1")))
    assert (verdict.ok, verdict.output) == (False, "no\n")
