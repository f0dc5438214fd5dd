"""Values of parameters as Nextflow may have them, by version and source: all become the schema's types.

The other classes in lib/ are tested here, too, because one start of Nextflow is enough for all.
"""

import hashlib
import json
import subprocess
import time

import pytest
from pocketnet import claims, outputs
from running import HOSTILE, LIMIT_SECONDS, REPOSITORY, clean_environment

SCRIPT = r"""
def together() {
    def text = '{"second": 1, "first": {"inner": [{"case": "a", "label": null}]}, ' +
               (0..40).collect { number -> "\"key$number\": $number" }.join(', ') + '}'
    def pool = java.util.concurrent.Executors.newFixedThreadPool(2)
    def seen = (1..5000).collectMany {
        def value = Json.parse(text)
        def barrier = new java.util.concurrent.CyclicBarrier(2)
        def read = { barrier.await(); (value + [:]).toString() }
        def reads = (1..2).collect { pool.submit(read as java.util.concurrent.Callable) }
        reads*.get()
    }
    pool.shutdown()
    seen.toSet()
}

workflow {
    def PUBLISHED = new groovy.json.JsonSlurper().parse(file("${launchDir}/publish.json").toFile())
    def cases = new groovy.json.JsonSlurper().parse(file("${launchDir}/cases.json").toFile())
    def shell = [a: Shell.word("x.db' ; touch PWN"), b: Shell.word('plain/path.1')]
    println 'ANSWER ' + groovy.json.JsonOutput.toJson([
        json: together(), shell: shell, escaped: [PathNames.escapeAll(), nextflow.util.Escape.path('%s')][1],
        clone: PathNames.unusableClone(java.nio.file.Path.of('/clone $(date)')) + PathNames.unusableClone(file('%s')) +
            PathNames.unusableStore(java.nio.file.Path.of('/a?b/x.db')) + PathNames.unusableStore(null),
        foreign: new Published(file("${launchDir}/results/demo")).problems(),
        published: PUBLISHED.collect { work, target ->
            try {
                [new Published(file("${launchDir}/made/demo")).place(file("${launchDir}/task"), work, target), null]
            } catch (IllegalStateException refused) {
                [null, refused.message]
            }
        },
        listings: [Inputs.listing(file("${launchDir}/results")), Inputs.listing(file("${launchDir}/made"))]*.listing,
        made: new Published(file("${launchDir}/made/demo")).problems(),
        nodes: [[1, 'local'], [2, 'slurm'], [2, 'local']].collect { count, executor ->
            Problems.nodes(count, executor, null) },
        claims: ['held', 'free/demo', 'free/demo', 'linked'].collect { name ->
            new Published(file("${launchDir}/claims/$name")).claim() },
        released: [new Published(file("${launchDir}/claims/free/demo"))].collect { one ->
            one.release(); [one.claim(), one.release()][0] },
        check: Arguments.words(labels: "-o x' \$(touch PWN)", folds: 5, patch: [], fold: [0, 1], no: false, yes: true),
        cases: cases.collect { raw ->
        def given = Parameters.of(raw, file('%s'))
        [given: given, problems: new Problems(file('%s')).of(given), folders: Containers.folders(given)*.toString(),
         store: Parameters.store(given), docker: Containers.docker(given, null),
         apptainer: Containers.apptainer(given, [request: 1])]
    }])
}
"""
MADE = {  # in the results, and whether the pipeline published it
    "report.html": "ours", "dataset/manifest.json": "changed", "models/unet-full/fold0/model.keras": "ours",
    "models/unet-full/fold0/.pocketnet-output.jsonl": "theirs", "models/unet-full/fold1/model.keras": "ours",
    "models/unet-full/fold1/note.txt": "theirs", "models/notes.txt": "theirs", "plan/plan.json": "torn",
    "predictions/unet-full/fold0/a.nii.gz": "theirs", "predictions/unet-full/fold0/b.nii.gz": "ours",
    "comparison/mine/metrics.csv": "theirs", "thesis.pdf": "theirs", "pipeline_info/params_1.json": "theirs",
    "profile/unet.json": "link"}
PUBLISH = {  # an output of a task, where it is published, and what stands in the way
    "report.html": ("report.html", None), "again.html": ("report.html", None),
    "manifest.json": ("dataset/manifest.json", "changed since it was published"),
    "model": ("models/unet-full/fold0", None), "model1": ("models/unet-full/fold1", "note.txt (not published"),
    "plan.json": ("plan/plan.json", None), "new.json": ("plan/splits.json", None),
    "a.nii.gz": ("predictions/unet-full/fold0/a.nii.gz", "a.nii.gz (not published"),
    "predictions/b.nii.gz": ("predictions/unet-full/fold0/b.nii.gz", None),
    "unet.json": ("profile/unet.json", "unet.json (a link)"), "comparison": ("comparison", "mine/metrics.csv")}
DEMO = {"dataset": "demo", "outdir": "results"}
SAME = {  # what means the same, each first as the pipeline sees it
    "help": [False, False, "false", "False", None],
    "skip_profile": [True, True, "true", "TRUE", " true "],
    "rematerialise": [False, False, "false"],
    "gpus": [0, 0, "0", None],
    "nodes": [1, 1, "1", None],
    "members": [2, 2, "2", "+2"],
    "cases_per_task": [3, 3, "3", " 3 "],
    "folds": [5, 5, "5", None],
    "fold": [[0, 2], [0, 2], ["0", "2"], "0,2", " 0, 2 "],
    "patch": [[64], 64, "64", [64], ["64"]],
    "width": [["pocket", "capped128"], "pocket,capped128", ["pocket", "capped128"]],
    "arch": [["unet"], "unet", ["unet"]],
    "seed": [99999999999, 99999999999, "99999999999"],
    "gpu_type": ["100", 100, "100"],
    "outdir": ["2024", 2024, "2024"],
    "max_memory": ["16.GB", "16.GB"],
}
WRONG = [  # parameter, value, words of the problem
    ("members", "two", "--members two: expected a whole number, not 'two'"),
    ("members", 2.5, "--members 2.5: expected a whole number"),
    ("members", True, "--members: a value is missing (expected: integer)"),
    ("members", "true", "--members: a value is missing (expected: integer)"),
    ("members", ["1", "2"], "--members 1,2: expected one integer, not a list"),
    ("outdir", "", "--outdir: a value is missing"),
    ("outdir", "true", "--outdir: a value is missing (expected: directory)"),
    ("skip_profile", "no", "--skip_profile no: expected true or false, not 'no'"),
    ("fold", ["0", "x"], "--fold 0,x: expected a whole number, not 'x'"),
    ("fold", ["0", 0], "--fold 0,0: an item is given twice"),
    ("fold", "7", "--fold 7: with --folds 5, folds are 0 to 4"),
    ("fold", {"a": 1}, "not a map"),
    ("width", [], "--width : expected at least 1 item."),
    ("width", ["pocket", "ful"], "'ful' is not valid. Did you mean full?"),
    ("input", "~/there/is/none", "/there/is/none: there is no such folder"),
]
REFUSED = [  # parameters, words of the problems
    ({"dataset": "hippocampos"}, ["Did you mean hippocampus?"]),
    ({"dataset": "hippocampus"}, ["--input is needed"]),
    ({"dataset": "hippocampus", "input": "nowhere"}, ["--input nowhere: there is no such folder."]),
    ({"dataset": "nowhere/mine.json"}, ["--dataset nowhere/mine.json: there is no such file."]),
    ({"dataset": "demo", "folds": "3", "fold": "1,3"}, ["with --folds 3, folds are 0 to 2"]),
    ({"dataset": "demo", "fold": "7", "splits": "nowhere.json"}, ["--splits nowhere.json: there is no such file."]),
    ({"dataset": "demo", "experiment": "saturation", "splits": "results/demo/mine.txt"},
     ["--splits results/demo/mine.txt: --experiment saturation makes training sets of its own"]),
    ({"dataset": "demo", "mlflow_uri": "postgres://x"}, ["--mlflow_uri postgres://x: 'postgres://x' is not valid"]),
    ({"dataset": "demo", "mlflow_uri": "https://me:s3cret@tracking.example.org/ml"}, ["MLFLOW_TRACKING_PASSWORD"]),
    ({"dataset": "covidx", "input": "here", "experiment": "ablation", "width": "full", "training_sizes": "2",
      "members": "2"},
     ["an experiment has its own widths", "an experiment trains one network a fold",
      "--training_sizes is for --experiment saturation",
      "is not for a classification, which covidx is. Known for it: accuracy, profile, saturation"]),
]


def made_results(folder):
    """Results of an earlier run, with MADE's differences."""
    lines = []
    for name, state in MADE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "{" if state == "torn" else state
        path.symlink_to("/dev/null") if state == "link" else path.write_text(text)
        if state != "theirs":
            was = f"{state} before" if state in ("changed", "torn") else text
            lines.append({"file": name, "command": "pipeline", "sha256": hashlib.sha256(was.encode()).hexdigest(),
                          "bytes": len(was), "at": 1000 * time.time() - 1e6 * (state == "changed")})
    (folder / ".pocketnet-output.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{torn\n")


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """What the pipeline's classes make of every case, in one start of Nextflow."""
    folder = tmp_path_factory.mktemp("cast")
    cases = [DEMO | {name: value} for name, values in SAME.items() for value in values[1:]]
    cases += [DEMO | {name: value} for name, value, _ in WRONG]
    cases += [given for given, _ in REFUSED]
    cases += [DEMO | {"outdir": "~/O'Brien $(date)", "mlflow_uri": "sqlite:////else where/x.db"},
              DEMO | {"mlflow_uri": "sqlite:///here.db"}, DEMO | {"mlflow_uri": "https://tracking.example.org"},
              DEMO | {"plan": "$(touch PWN).json"}, DEMO | {"plan": "a*b.json"}, DEMO | {"input": "a\nb"}]
    for name in ("$(touch PWN).json", "a*b.json", "results/demo/report.html", "results/demo/mine.txt",
                 *(f"task/{name}" for name in PUBLISH if "." in name),
                 *(f"task/{name}/model.keras" for name in PUBLISH if "." not in name)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    made_results(folder / "made/demo")
    (folder / "publish.json").write_text(json.dumps([[name, place] for name, (place, _) in PUBLISH.items()]))
    (folder / "a\nb").mkdir()
    (folder / "here").mkdir()
    (folder / "results/demo/round").symlink_to(folder / "results")
    (folder / "cases.json").write_text(json.dumps(cases))
    name = HOSTILE.replace("'", "\\'").replace("$", "\\$")
    (folder / "main.nf").write_text(SCRIPT % (name, REPOSITORY, REPOSITORY, REPOSITORY))
    command = [REPOSITORY / "bin/nextflow", "run", "main.nf", "-lib", REPOSITORY / "lib"]
    (folder / "claims/linked").mkdir(parents=True)
    (folder / "claims/linked" / claims.LOCK).symlink_to(folder / "elsewhere")
    with outputs.writing("report"):
        outputs.check_files({folder / "claims/held/report.html": None})
        done = subprocess.run(command, cwd=folder, text=True, timeout=LIMIT_SECONDS, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              env=clean_environment({"HOME": "/home/planted", "NXF_HOME": str(folder / ".nextflow")}))
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert lines, done.stdout
    answer = json.loads(lines[0].removeprefix("ANSWER "))
    return answer | {"cases": list(zip(cases, answer["cases"], strict=True)), "folder": folder}


@pytest.mark.parametrize("name", SAME)
def test_numbers_booleans_and_lists_may_be_text(answer, name):
    seen = [found for raw, found in answer["cases"] if raw.keys() == {*DEMO, name} and raw[name] in SAME[name][1:]]
    assert len(seen) >= len(SAME[name]) - 1
    for found in seen:
        assert found["given"][name] == SAME[name][0] and type(found["given"][name]) is type(SAME[name][0])
        assert found["problems"] == []


@pytest.mark.parametrize("name, value, words", WRONG)
def test_what_is_not_of_its_type_is_named(answer, name, value, words):
    problems = next(found["problems"] for raw, found in answer["cases"]
                    if name in raw and raw[name] == value and type(raw[name]) is type(value))
    assert len(problems) == 1 and words in problems[0]


@pytest.mark.parametrize("given, words", REFUSED, ids=[words[0] for _, words in REFUSED])
def test_what_cannot_be_is_refused_with_what_to_do(answer, given, words):
    (problems,) = [found["problems"] for raw, found in answer["cases"] if raw == given]
    for problem in words:
        assert any(problem in line for line in problems), problems
    assert "s3cret" not in str(problems)


def test_containers_are_given_the_folders_that_tasks_write_to(answer):
    both, here, server = [found for _, found in answer["cases"]][-6:-3]
    home = both["folders"][0].removesuffix("/O'Brien $(date)")
    assert home != both["folders"][0] and both["folders"][1] == "/else where"
    quoted = f"'{home}/O'\\''Brien $(date)'"
    assert both["apptainer"] == f"--bind {quoted} --bind '/else where' --nv"
    bound = quoted[:-1] + ":" + quoted[1:]
    assert both["docker"] == f"-u $(id -u):$(id -g) -v {bound} -v '/else where:/else where'"
    assert here["store"] == f"sqlite:///{answer['folder']}/here.db"
    assert server["store"] == "https://tracking.example.org" and server["folders"] == [f"{answer['folder']}/results"]


def test_several_nodes_need_slurm(answer):
    one, on_slurm, (problem,) = answer["nodes"]
    assert one == on_slurm == []
    assert "--nodes 2: only SLURM starts a training on several nodes: add slurm to -profile" in problem


def test_a_word_of_a_script_is_one_word(answer):
    said = subprocess.run(["bash", "-c", f"printf '%s\\n' {answer['shell']['a']} {answer['shell']['b']}"], text=True,
                          capture_output=True, check=True).stdout
    assert said.splitlines() == ["x.db' ; touch PWN", "plain/path.1"]


def test_nextflow_escapes_a_path_with_any_character_but_two(answer):
    said = subprocess.run(["bash", "-c", f"printf %s {answer['escaped']}"], text=True, capture_output=True, check=True)
    assert said.stdout == HOSTILE
    dollar, star, line = [found["problems"] for _, found in answer["cases"]][-3:]
    assert dollar == []
    for (problem,) in (star, line):
        assert "cannot pass on a path with * or a line break" in problem


def test_a_clone_and_a_store_whose_path_means_something_else_are_refused(answer):
    clone, store = answer["clone"]
    assert "/clone $(date)" in clone and "/a?b/x.db" in store


def test_an_output_folder_with_other_peoples_results_is_refused(answer):
    (problem,) = answer["foreign"]
    assert "report.html (not published by the pipeline)" in problem and "mine.txt" not in problem


def test_results_of_a_run_may_be_replaced_and_nothing_beside_them(answer):
    """Whole folders count with every file in them, because Nextflow replaces them whole."""
    (problem,) = answer["made"]
    named = {name.strip().split(" (")[0] for name in problem.split("/made/demo has ")[1].split(", which")[0].split(",")}
    assert named == {"dataset/manifest.json", "models/unet-full/fold1/note.txt", "comparison/mine/metrics.csv",
                     "predictions/unet-full/fold0/a.nii.gz", "profile/unet.json"}


def test_of_two_runs_with_one_output_folder_the_second_is_warned(answer):
    """While a command or another run writes there; not after it, and not for a lock file that is a link."""
    held, free, again, linked = answer["claims"]
    for found, name in ((held, "held"), (again, "free/demo")):
        assert len(found) == 1 and "Another run or command writes to" in found[0] and f"claims/{name} now" in found[0]
    assert free == linked == [] and answer["released"] == [[]]
    assert not list((answer["folder"] / "claims/free").rglob(claims.LOCK))
    assert not (answer["folder"] / "elsewhere").exists()


@pytest.mark.parametrize("output", PUBLISH)
def test_nothing_is_published_over_what_the_pipeline_did_not_publish(answer, output):
    place, obstacle = PUBLISH[output]
    published, refused = answer["published"][list(PUBLISH).index(output)]
    if obstacle:
        assert published is None and obstacle in refused and "-resume" in refused
    else:
        assert (published, refused) == (place.split("/")[-1], None)
    lines = (answer["folder"] / "made/demo/.pocketnet-output.jsonl").read_text().splitlines()
    recorded = {json.loads(line)["file"] for line in lines if hashlib.sha256(b"{}").hexdigest() in line}
    assert any(name.startswith(place) for name in recorded) != bool(obstacle)


def test_two_operators_that_read_the_same_json_see_all_of_it(answer):
    (seen,) = answer["json"]
    assert seen.startswith("[second:1, first:[inner:[[case:a, label:null]]], key0:0,")


def test_a_folder_with_links_in_a_circle_is_listed(answer):
    assert len(set(answer["listings"])) == 2 and all(len(listing) == 64 for listing in answer["listings"])


def test_options_are_words_of_a_script(answer):
    command = ["bash", "-c", f"printf '%s\\n' {answer['check']}"]
    said = subprocess.run(command, text=True, capture_output=True, check=True)
    assert said.stdout.splitlines() == ["--labels=-o x' $(touch PWN)", "--folds=5", "--fold=0,1", "--yes"]
