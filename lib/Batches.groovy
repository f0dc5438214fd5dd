import java.nio.file.Path

/** The batches of cases that pocket-plan has made: batches.json, with manifests that count by their content. */
class Batches {

    /** A folder of batches as a map: `cases`, their number; `preprocess`, a list of manifests; and `folds`, a list of maps
        with `fold`, `manifest` of all test cases, and `batches`, each with its `manifest` and the list `infer` of those
        of its smaller parts. */
    static Map of(Path folder) {
        def index = Json.parse(folder.resolve('batches.json').text)
        def found = { name -> Contents.of(folder.resolve(name)) }
        [cases: index.cases, preprocess: index.preprocess.collect(found), folds: index.folds.collect { fold ->
            [fold: fold.fold, manifest: found(fold.manifest), batches: fold.batches.collect { batch ->
                [manifest: found(batch.manifest), infer: batch.infer.collect(found)]
            }]
        }]
    }

    /** Cases per task that pocket-plan chooses for few cases, and how many times as many an evaluation handles. */
    static final int CASES = 20, TIMES = 10

    /** Whether an evaluation may have parts: each of its cases has two files or more. Those of a stub run always have. */
    static boolean joined(Map given, int files, boolean stub) {
        stub || files > 2 * TIMES * ((given.cases_per_task ?: CASES) as int)
    }

    /** The batches of cases in a folder of `pocket-check --batches`, a list of [number, file]. */
    static List<List> listed(Path folder) {
        folder.toFile().list().findAll { name -> name ==~ /batch-\d+\.json/ }.sort().collect { name ->
            [(name =~ /\d+/)[0] as int, Contents.of(folder.resolve(name))]
        }
    }

    /** What to predict of a fold, a list of [numbers, manifest]. `part` is the number of the batch that evaluates it, of
        `parts`; `batch` its own number in the fold, and `batches` how many there are in its part. */
    static List<List> scans(Map fold) {
        def numbered = fold.batches.withIndex().collectMany { one, part ->
            one.infer.collect { manifest -> [[part: part, parts: fold.batches.size(), batches: one.infer.size()], manifest] }
        }
        numbered.withIndex().collect { scan, batch -> [scan[0] + [batch: batch], scan[1]] }
    }

    /** The second of each pair, sorted by the first, a number. */
    static List inOrder(List<List> numbered) { numbered.sort(false) { one -> one[0] }.collect { one -> one[1] } }
}
