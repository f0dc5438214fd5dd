#!/usr/bin/env nextflow
// PocketNet Suite. Parameters in, workflows out; `nextflow run main.nf --help` explains the parameters.

include { DEMO      } from './modules/demo'
include { VERSIONS  } from './modules/versions'
include { POCKETNET } from './workflows/pocketnet'

workflow {
    main:
    // All that follows reads the parameters here; configuration reads them as `ext.given` (conf/base.config).
    def given    = Parameters.of(params, projectDir)
    def problems = Run.problems(given, projectDir, workflow)
    if (given.help) {
        println Schema.of(projectDir).help()
    } else if (problems) {
        Parameters.discardRecords(given)
        error "These parameters cannot be used:\n  - ${problems.join('\n  - ')}\nSee: nextflow run main.nf --help"
    } else {
        Run.prepare(given, projectDir, workflow)

        VERSIONS(nextflow.version.toString(), file("${projectDir}/python"))
        def code = VERSIONS.out.json.map { json -> Json.parse(json.text).code }

        def data  = Inputs.folder(given)
        def files = data ? Inputs.listing(data) : [listing: 'made', many: false, count: 2 * given.demo_cases]
        if (!data) {
            DEMO(code.map { hash -> hash.demo })
        }
        POCKETNET(
            Inputs.name(given),
            Inputs.preset(given) ?: [],
            data ? channel.value(data) : DEMO.out.data,
            files.listing,
            Selection.of(given, projectDir),
            given.fold ?: [],
            files.many || given.cases_per_check != null,
            Tasks.pictured(Inputs.entry(given, projectDir)),
            Batches.joined(given, files.count, workflow.stubRun),
            given.cases_per_check ?: 'auto',
            given.cases_per_task ?: 'auto',
            given.plan ? java.nio.file.Path.of(given.plan).toAbsolutePath() : [],
            given.splits ? java.nio.file.Path.of(given.splits).toAbsolutePath() : [],
            given.skip_profile,
            Parameters.store(given),
            code,
        )

        workflow.onComplete = {
            Run.ended(given, projectDir, workflow)
        }
    }
}
