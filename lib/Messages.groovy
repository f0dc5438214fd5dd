/** Messages at the end of a run. */
class Messages {

    /** List the paths of all results; `experiment` is a name, or null. */
    static String done(Object folder, String mlflowUri, Object project, String experiment) {
        def base = experiment ? "$folder/experiments/$experiment" : folder
        def lines = experiment ? [['table', "$base/table.md"], ['', "$base/table.csv"], ['figure', "$base/figure.svg"],
                                  ['', "$base/figure.png"], ['origin', "$base/experiment.json"]] : []
        if (new File("$base/report.html").exists()) {
            lines += [['report', "$base/report.html"], ['tables', "$base/comparison/"]]
        }
        if (new File("$base/models").exists()) lines << ['models', "$base/models/"]
        lines << ['records', "$folder/pipeline_info/"]
        if (new File("$base/report.html").exists()) {
            lines << ['MLflow', mlflowUri]
            if (mlflowUri.startsWith('sqlite:///')) {
                lines << ['', "to open it: ${Shell.word("$project/.venv/bin/python")} -m pocketnet.tracking.ui ${Shell.word(mlflowUri - 'sqlite:///')}"]
            }
        }
        (['', *verdicts("$base/comparison/comparison.json"), 'Done.'] + lines.collect { name, text -> "  ${name.padRight(9)} $text" }).join('\n') + '\n'
    }

    /** The verdicts of a comparison, a sentence each; empty without one. */
    private static List<String> verdicts(String file) {
        def path = new File(file)
        path.exists() ? (Json.parse(path.text).verdicts ?: []).collect { one -> "${one.title}." } : []
    }

    /** Advice after a failure. python/pocketnet/errors.py defines the exit codes of steps. `error` is Nextflow's own
        message, or null. */
    static String failed(Integer exitStatus, String error) {
        def again = 'Then start again with -resume; what is done is kept.'
        if (error in ['SIGINT', 'SIGTERM', 'SIGHUP']) {
            return "\nStopped from outside (${error == 'SIGINT' ? 'Ctrl-C' : error}): the running steps were ended. Start again with -resume; what is done is kept."
        }
        def hints = [2: 'The step was called wrongly: see its message above.',
                     3: 'The data cannot be used as it is: the message above names every file.',
                     4: 'It does not fit in device memory: see the message above for what would.',
                     5: 'A training diverged: see the message above for what to change in the plan.',
                     137: 'A job was killed, as a rule for memory (docs/slurm.md).',
                     140: 'A job came to its time limit more often than it may (docs/slurm.md).',
                     143: 'A job was cancelled, or stopped from outside more often than it may (docs/slurm.md).',
                     2147483647: 'A job was cancelled, or killed more often than it may: it left no exit code (docs/slurm.md).']
        "\n${hints[exitStatus] ?: 'A step failed: see its message above.'} $again"
    }
}
