/** What a run says when it ends. */
class Messages {

    /** Where everything is. */
    static String done(Object folder, String mlflowUri, Object project) {
        """
        Done.
          report    $folder/report.html
          tables    $folder/comparison/
          models    $folder/models/
          records   $folder/pipeline_info/
          MLflow    $mlflowUri
                    ${mlflowUri.startsWith('http') ? '' : "to open it: $project/.venv/bin/mlflow ui --host 127.0.0.1 --backend-store-uri $mlflowUri"}
        """.stripIndent().replaceAll(/\n\s*\n$/, '\n')
    }

    /** What to do about a failure: what a step's exit code means stands in python/pocketnet/errors.py. */
    static String failed(Integer exitStatus) {
        def hints = [2: 'The step was called wrongly: see its message above.',
                     3: 'The data cannot be used as it is: the message above names every file.',
                     4: 'It does not fit in device memory: see the message above for what would.']
        "\n${hints[exitStatus] ?: 'A step failed: see its message above.'} Then start again with -resume; what is done is kept."
    }
}
