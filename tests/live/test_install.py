"""What the installation of the servers does without installing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from oauthmail.sandbox.live.install import main, missing_packages, services_kept_stopped


def test_packages_without_their_file_are_missing(tmp_path: Path) -> None:
    assert missing_packages({"there": tmp_path, "absent": tmp_path / "absent"}) == ["absent"]


def test_nothing_is_done_where_nothing_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (main({"there": tmp_path}, "other tests"), "other tests" in capsys.readouterr().out) == (0, True)


def test_no_service_starts_during_an_installation(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with services_kept_stopped(policy):
        assert (policy.read_text(), policy.stat().st_mode & 0o111) == ("#!/bin/sh\nexit 101\n", 0o111)
    assert list(tmp_path.iterdir()) == []


def test_the_policy_of_before_comes_back_after_an_installation(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("before")
    with services_kept_stopped(policy):
        assert policy.read_text() != "before"
    assert ([path.name for path in tmp_path.iterdir()], policy.read_text()) == (["policy-rc.d"], "before")
