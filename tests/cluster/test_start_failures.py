"""What keeps a role or a command from starting: one clear line, the right status, nothing on stdout.

The rows of product.md's table that are about a host.
"""
# ruff: noqa: E501 - a table of exact lines, one row a line

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import situations as s
from tests.cluster.roles import Site, new_site, refused_start
from tests.cluster.situations import Stage
from tests.cluster.terminal import PROGRAM, Done, new_terminal

FAILED, USAGE, NOT_CURABLE = 1, 2, 78
ROOT = pytest.mark.root

Situation = Callable[[Stage], list[str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Certificates and a store, made once; every case gets a copy of the store."""
    site = new_site(new_terminal(tmp_path_factory.mktemp("failures") / "home"))
    site.add("bbs", "bbs-1")
    site.furnish()
    site.init_stores()
    site.add("cell", "cell-1")
    site.add("brain", "brain-1")
    site.issue("bbs", "bbs-2", site.folder / "tls-2")
    site.furnish()
    return site


@pytest.fixture
def stage(made: Site) -> Iterator[Stage]:
    """As it was made, whatever the case before did to it."""
    aside = made.folder / "aside"
    shutil.copytree(made.nodes["bbs-1"].folder, aside)
    with contextlib.ExitStack() as undo:
        undo.callback(made.furnish)
        undo.callback(shutil.copytree, aside, made.nodes["bbs-1"].folder)
        undo.callback(shutil.rmtree, made.nodes["bbs-1"].folder)
        yield Stage(made, undo, {})
    shutil.rmtree(aside)


DAMAGED = (
    r"the store in {{data}}/store is damaged \({}\)\. It is not served: move {{data}}/store away and "
    r"replace this member with `diegod bbs join ADDRESS --replace`; .+"
)

#: situation, status, what stderr says; {holder} and {port} are the situation's
CASES = [
    (s.folder_in_use, FAILED, r"data folder {data} is in use by pid {holder} \(started \d\d:\d\d\)\. .+"),
    (s.folder_without_a_store, NOT_CURABLE, r"the folder \S+/new/store .+ `diegod bbs init` .+"),
    (s.folder_of_another_member, NOT_CURABLE, r"the store in {data}/store belongs to the member 'bbs-1', not to 'bbs-2'.*"),
    (s.folder_of_another_cluster, NOT_CURABLE, r"the store in {data}/store belongs to the cluster \"prod\", not to \"staging\".*"),
    (s.folder_that_is_a_file, NOT_CURABLE, r"data folder \S+/a-file can't be used \(.+\)\. .+"),
    (s.birth_twice, FAILED, r"{data}/store is not empty: .+"),
    (s.store_emptied, NOT_CURABLE, r"the folder {data}/store is empty: `diegod bbs init` .+"),
    (s.store_without_its_data, NOT_CURABLE, r"the folder {data}/store (holds no store|is empty).*: `diegod bbs init` .+"),
    (s.store_of_no_bytes, NOT_CURABLE, DAMAGED.format(r"the file is cut short, .+")),
    (s.store_cut_to_a_page, NOT_CURABLE, DAMAGED.format(r"the file is cut short, .+")),
    (s.store_cut_by_a_byte, NOT_CURABLE, DAMAGED.format(r".*cut short.*")),
    (s.store_of_rubbish, NOT_CURABLE, DAMAGED.format(r"meta page 0 is none: this is no file of ours")),
    (s.store_that_is_a_folder, NOT_CURABLE, r"{data}/store/data\.mdb can't be read \(Is a directory\): .+"),
    (s.store_with_a_wrong_byte, NOT_CURABLE, r"the store in {data}/store can't be read: a value in meta has a wrong checksum: .+"),
    (s.store_of_a_later_format, NOT_CURABLE, r"the store in {data}/store can't be read: a value in meta has format 3, this version reads format 2: .+ later version of diegod"),
    (s.store_born_in_a_later_format, NOT_CURABLE, r"the store has format 3, this version reads format 2: run the version of diegod that wrote it"),
    (s.store_in_quarantine, NOT_CURABLE, r"the store in {data}/store is quarantined: at 2027-01-15T08:00:00\+00:00 its state at entry 3000 .+ `diegod bbs join ADDRESS --replace`"),
    (s.store_with_a_folder_for_a_lock, NOT_CURABLE, r"the store can't open {data}/store: .+: Is a directory\. .+ lock\.mdb may be removed .+"),
    (s.port_in_use, FAILED, r"port {port} is in use by pid {holder} \(.+\)\. .+"),
    (s.raft_port_in_use, FAILED, r"port {port} is in use by pid {holder} \(.+\)\. .+"),
    (s.cell_port_in_use, FAILED, r"port {port} is in use by pid {holder} \(.+\)\. .+"),
    (s.brain_port_in_use, FAILED, r"port {port} is in use by pid {holder} \(.+\)\. .+"),
    (s.address_of_another_machine, FAILED, r".*192\.0\.2\.1.*"),
    (s.backend_unknown, NOT_CURABLE, r"there is no backend runk; there is: .+"),
    (s.backend_of_another_release, NOT_CURABLE, r".*docker.*not in this release.*"),
    (s.strategy_unknown, USAGE, r'there is no placement strategy "sprad"\. Installed are: .*spread.*'),
    (s.certificate_missing, NOT_CURABLE, r"your certificate \S+/nothing/bbs\.crt .+"),
    (s.certificate_of_another_node, NOT_CURABLE, r"the certificate \S+ is of bbs/bbs-2, and this node is bbs-1\. .+"),
    (s.certificate_of_another_ca, NOT_CURABLE, r"your certificate \S+ is of another CA .+"),
    (s.key_of_another_certificate, NOT_CURABLE, r"the key \S+ does not match your certificate .+"),
    (s.certificate_that_is_rubbish, NOT_CURABLE, r".*bbs\.crt.+"),
    (s.settings_missing, USAGE, r"\S+/nowhere\.toml does not exist, .+ diegod config check FILE\. .+ diegod dev"),
    (s.settings_not_toml, USAGE, r"{config}:1 not TOML: .+"),
    (s.role_unknown, USAGE, r'--role: "cel" is not one of bbs, brain, cell\. Did you mean cell\?'),
    (s.role_with_a_command, USAGE, r'--role .+ can\'t stand with a command \("task"\).*'),
    (s.flag_unknown, USAGE, r"no such option: --rol.*"),
    (s.flag_of_a_command_unknown, USAGE, r"no such option: --nonsense.*"),
    (s.command_unknown, USAGE, r'there is no command "taks"\. Did you mean "task"\?'),
    (s.no_cluster, USAGE, r"no cluster given and no context\. Start one here: diegod dev\. Or: diegod context add"),
    (s.home_unwritable, FAILED, r".*/proc/home.*"),
    (s.dev_backend_unknown, USAGE, r'there is no backend "runk"\. Installed are: .+'),
    (s.dev_members_even, USAGE, r".*2: a cluster has 1, 3 or 5 members.*"),
    pytest.param(s.folder_read_only, NOT_CURABLE, r"data folder \S+/read-only can't be used \(.*[Rr]ead-only.*\)\. .+", marks=ROOT),
    pytest.param(s.folder_full, FAILED, r"data folder \S+/full can't be used \(.*[Nn]o space.*\)\. .+", marks=ROOT),
    pytest.param(s.folder_full_around_a_store, FAILED, r"the store can't .*[Nn]o space.* \(in \S+/store\)\. .+", marks=ROOT),
    pytest.param(s.folder_full_at_birth, FAILED, r".*[Nn]o space.*", marks=ROOT),
    pytest.param(s.folder_full_for_a_cell, FAILED, r"data folder \S+ can't be used \(.*[Nn]o space.*\)\. .+", marks=ROOT),
    pytest.param(s.runc_missing, NOT_CURABLE, r"not found in PATH: runc\. .+ diegod doctor", marks=ROOT),
    pytest.param(s.runc_useless, NOT_CURABLE, r"cell cell-1 can't run containers: .*operation not permitted \(clone\).* diegod doctor", marks=ROOT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("situation", "status", "line"), CASES, ids=lambda value: getattr(value, "__name__", "")
)
def test_one_clear_line(stage: Stage, situation: Situation, status: int, line: str) -> None:
    done = refusal(stage, situation(stage))
    expected = line.format(
        data=re.escape(str(stage.member.data)),
        config=re.escape(str(stage.member.config)),
        holder=stage.environ.get("HOLDER"),
        port=stage.environ.get("PORT"),
    )
    assert done.status == status, done.shown
    assert re.fullmatch(f"diegod: {expected}\n", done.err), done.shown
    assert done.stdout == b""


def refusal(stage: Stage, arguments: list[str]) -> Done:
    """What `diegod ARGUMENTS…` comes to, or a whole command line."""
    terminal = stage.site.terminal.with_environ(**stage.environ)
    whole = arguments if arguments[0] == "unshare" else [str(PROGRAM), *arguments]
    return refused_start(terminal, whole)


def test_all_faults_of_the_settings_at_once(stage: Stage) -> None:
    done = refusal(stage, s.settings_with_three_faults(stage))
    assert (done.status, done.stdout) == (USAGE, b""), done.shown
    lines = done.err.splitlines()
    assert len(lines) == 3, done.shown
    file = re.escape(str(stage.member.config))
    assert any(
        re.fullmatch(rf"diegod: {file}:\d+ \[bbs\] prt: unknown; .+port.*", e) for e in lines
    )
    assert any(re.fullmatch(rf"diegod: {file}:\d+ \[node\] zone: .+", each) for each in lines)
    assert any(re.fullmatch(rf"diegod: {file}:\d+ \[node\] bind: .+", each) for each in lines)
