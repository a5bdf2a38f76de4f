"""Options and rules that hold for every test."""

import os

import pytest

REAL_PROXIES = {"behaviour", "proxies"}
"""Folders of tests that measure the time and the chance of several processes, while other tests do the same."""

# Tests know nothing of each other; tests/cli/test_cache.py switches it on.
os.environ["MESHCTL_NO_CACHE"] = "1"

SOAK = "MESHCTL_SOAK_SECONDS" in os.environ
"""A soak looks for what is rare: nothing is repeated there."""

MOST_REPEATED = 5
"""Of a run. More is no chance: something is slower than it was, or a fault that only sometimes shows."""


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failed test")


@pytest.fixture(scope="session")
def update_golden(request):
    """Whether this run rewrites the golden files (`make golden`)."""
    return request.config.getoption("--update-golden")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    return fail_if_skipped((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return fail_if_skipped((yield), collector.config)


def fail_if_skipped(report, config):
    """With --no-skips nothing is left out unseen: the reason of the skip becomes the failure."""
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped and not expected_to_fail and config.getoption("--no-skips"):
        report.outcome = "failed"
        path, line, reason = report.longrepr
        report.longrepr = f"{path}:{line}: skipped, which `make test` does not allow: {reason}"
    return report


TOLD = "told"
"""The property by which a test says what it did, for the end of the run: `record_property(TOLD, "…")`."""


def pytest_terminal_summary(terminalreporter):
    """What tests that ran long did, also where they ran in another process."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.stats.get(outcome, [])]
    for report in reports:
        for name, text in report.user_properties:
            if name == TOLD and report.when == "call":
                terminalreporter.write_line(text)
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_line(f"repeated: {report.nodeid}\n{report.longreprtext}", yellow=True)


def pytest_collection_modifyitems(config, items):
    """The test that takes all of `SECONDS` begins first, beside which the others run."""
    items.sort(key=lambda item: "lasting" not in item.keywords)
    for item in items:
        if REAL_PROXIES.intersection(item.path.relative_to(config.rootpath).parts) and not SOAK:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """A run in which many tests passed only at the second attempt has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    repeated = len(reporter.stats.get("rerun", [])) if reporter else 0
    if repeated > MOST_REPEATED and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"\n{repeated} tests had to be repeated, and {MOST_REPEATED} may be", red=True)
