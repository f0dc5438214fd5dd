/** What the pipeline does differently by task. pocketnet/contracts/tasks.py has the tasks themselves. */
class Tasks {

    /** The task of a preset or a manifest that names none. */
    static final String DEFAULT = 'segmentation'

    /** By task: `casesPerJob`, how many cases one job of PREPROCESS or INFER takes; `pictured`, whether PICTURE draws the
        dataset; `oneTable`, whether the predictions for a fold are one table, which one job writes. */
    private static final Map<String, Map> RULES = [
        segmentation:   [casesPerJob: 20, pictured: true, oneTable: false],
        classification: [casesPerJob: 1000, pictured: false, oneTable: true],
    ]
    /** Most jobs for all cases of a dataset, about. */
    private static final int MOST_JOBS = 500

    /** Cases for each job: the wanted number, or if it is null, the task's, or more if the dataset is large. */
    static int casesPerJob(Integer wanted, Map manifest) {
        wanted ?: Math.max(of(manifest).casesPerJob as int, manifest.cases.size().intdiv(MOST_JOBS))
    }

    /** Cases for each job of INFER, of `count` test cases; `wanted` as in `casesPerJob`. */
    static int casesPerInference(Integer wanted, Map manifest, int count) {
        of(manifest).oneTable ? count : casesPerJob(wanted, manifest)
    }

    /** Whether PICTURE draws the dataset. */
    static boolean pictured(Map manifest) { of(manifest).pictured }

    private static Map of(Map manifest) { RULES[manifest.task ?: DEFAULT] }
}
