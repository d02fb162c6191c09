"""`diegod api export`: whole, and in order."""

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from tests.unit.cli.conftest import Run


def test_the_exported_api_is_complete(run: Run, home: Path) -> None:
    result = run("api", "export", "out")
    assert result.status == 0
    files = [Path(line) for line in result.text.splitlines()]
    assert Path("out/diegod/v1/task.proto") in files
    assert all(file.stat().st_size > 0 for file in files)
    exported = FileDescriptorSet.FromString(Path("out/diegod-v1.binpb").read_bytes())
    pool = DescriptorPool()
    for file in exported.file:  # each after what it imports, or this fails
        pool.Add(file)
    assert pool.FindServiceByName("diegod.v1.TaskService").methods_by_name["Desire"]
    assert {f"out/{file.name}" for file in exported.file if "diegod" in file.name} == {
        str(file) for file in files if file.suffix == ".proto"
    }
