"""Folders of containers, and logs that outlive them."""

import os
from pathlib import Path

from diegod.cellruntime.directories import STORY_BYTES_MAX, FileDirectories
from tests.unit.cellruntime.test_records import at_once

DAY_S = 24 * 3600.0


def directories(data: Path, total_bytes_max: int = 1000) -> FileDirectories:
    return FileDirectories(data, at_once, total_bytes_max=total_bytes_max)


async def test_a_log_outlives_its_container_and_what_is_still_written_to_it(
    tmp_path: Path,
) -> None:
    disk = directories(tmp_path)
    folder = await disk.make("t-job-7")
    assert disk.log_path("t-job-7") is None
    with (folder / "container.log").open("ab", buffering=0) as log:
        log.write(b"first\n")
        assert disk.log_path("t-job-7") == folder / "container.log"
        await disk.keep_log("t-job-7")
        log.write(b"last\n")
    (folder / "other").write_text("x")
    await disk.discard("t-job-7")
    assert not folder.exists()
    kept = disk.log_path("t-job-7")
    assert kept is not None
    assert kept.read_bytes() == b"first\nlast\n"


async def test_a_log_is_kept_even_when_only_discard_was_reached(tmp_path: Path) -> None:
    disk = directories(tmp_path)
    (await disk.make("l-i9") / "container.log").write_bytes(b"x")
    await disk.discard("l-i9")
    await disk.discard("l-i9")
    await disk.keep_log("l-i9")
    assert disk.log_path("l-i9") == tmp_path / "logs" / "l-i9.log"


async def test_handles_with_output_are_found_here_and_gone(tmp_path: Path) -> None:
    disk = directories(tmp_path)
    for handle in ("t-job-7", "t-job-9", "t-jobs-3"):
        (await disk.make(handle) / "container.log").write_bytes(b"x")
    await disk.make("t-job-11")  # has said nothing
    await disk.discard("t-job-7")
    assert disk.logged_handles("t-job-") == ["t-job-7", "t-job-9"]


async def test_logs_go_by_age_and_by_total_size(tmp_path: Path) -> None:
    disk = directories(tmp_path, total_bytes_max=250)
    now = 10 * DAY_S
    for age_h, handle in enumerate(("t-a-1", "t-b-2", "t-c-3")):
        (await disk.make(handle) / "container.log").write_bytes(b"x" * 100)
        await disk.discard(handle)
        path = disk.log_path(handle)
        assert path is not None
        os.utime(path, (now - age_h * 3600, now - age_h * 3600))
    await disk.prune(now)
    assert disk.logged_handles("t-") == ["t-a-1", "t-b-2"]
    await disk.prune(now + DAY_S - 1800)
    assert disk.logged_handles("t-") == ["t-a-1"]
    await disk.prune(now + DAY_S + 1)
    assert disk.logged_handles("t-") == []


async def test_a_story_is_kept_as_long_as_the_log_it_is_about(tmp_path: Path) -> None:
    disk = directories(tmp_path)
    now = 10 * DAY_S
    (await disk.make("t-a-1") / "container.log").write_bytes(b"x" * 100)
    await disk.tell("t-a-1", b"started\n")
    await disk.discard("t-a-1")
    await disk.tell("t-a-1", b"destroyed\n")
    story, log = disk.story_path("t-a-1"), disk.log_path("t-a-1")
    assert story is not None
    assert log is not None
    assert story.read_bytes() == b"started\ndestroyed\n"
    os.utime(log, (now, now))
    os.utime(story, (now + 60, now + 60))
    await disk.prune(now + DAY_S - 1)
    assert disk.story_path("t-a-1") == story
    await disk.prune(now + DAY_S + 1)
    assert disk.story_path("t-a-1") is None
    assert disk.logged_handles("t-") == []


async def test_a_story_without_a_log_goes_by_its_own_age_and_not_before_its_container(
    tmp_path: Path,
) -> None:
    disk = directories(tmp_path)
    now = 10 * DAY_S
    for handle in ("t-gone-1", "t-here-2"):
        await disk.make(handle)
        await disk.tell(handle, b"preparing\n")
        os.utime(tmp_path / f"stories/{handle}.log", (now, now))
    await disk.discard("t-gone-1")
    await disk.prune(now + DAY_S + 1)
    assert disk.logged_handles("t-") == ["t-here-2"]


async def test_a_story_is_bounded_and_never_changes_what_was_read(tmp_path: Path) -> None:
    disk = directories(tmp_path)
    line = b"x" * 999 + b"\n"
    for _ in range(200):
        await disk.tell("l-i9", line)
    path = disk.story_path("l-i9")
    assert path is not None
    assert path.read_bytes() == line * (STORY_BYTES_MAX // len(line))
