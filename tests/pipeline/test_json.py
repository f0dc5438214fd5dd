"""What the pipeline reads of JSON may be read by several operators at the same time."""

import subprocess

from running import LIMIT_SECONDS, REPOSITORY, clean_environment

SCRIPT = r"""
workflow {
    def text = '{"second": 1, "first": {"inner": [{"case": "a", "label": null}]}, ' +
               (0..40).collect { number -> "\"key$number\": $number" }.join(', ') + '}'
    def pool = java.util.concurrent.Executors.newFixedThreadPool(2)
    def seen = (1..5000).collectMany {
        def value = Json.parse(text)
        def together = new java.util.concurrent.CyclicBarrier(2)
        def read = { together.await(); (value + [:]).toString() }
        def reads = (1..2).collect { pool.submit(read as java.util.concurrent.Callable) }
        reads*.get()
    }
    pool.shutdown()
    def whole = seen[0].startsWith('[second:1, first:[inner:[[case:a, label:null]]], key0:0,')
    println "seen: ${seen.toSet().size()} $whole"
}
"""


def test_two_operators_that_read_the_same_json_see_all_of_it(tmp_path):
    (tmp_path / "main.nf").write_text(SCRIPT)
    command = [REPOSITORY / "bin/nextflow", "run", "main.nf", "-lib", REPOSITORY / "lib", "-ansi-log", "false"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment({}), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=LIMIT_SECONDS)
    assert "seen: 1 true" in done.stdout, done.stdout
