#!/usr/bin/env nextflow
// PocketNet Suite. Parameters in, workflows out; `nextflow run main.nf --help` explains the parameters.

include { DEMO      } from './modules/demo'
include { VERSIONS  } from './modules/versions'
include { POCKETNET } from './workflows/pocketnet'

workflow {
    main:
    parameters = new Parameters(projectDir)
    problems   = parameters.problems(params) + Parameters.missingImage(workflow.container)
    if (params.help) {
        println parameters.help()
    } else if (problems) {
        parameters.discardTrace(params)
        error "These parameters cannot be used:\n  - ${problems.join('\n  - ')}\nSee: nextflow run main.nf --help"
    } else {
        folder     = file(params.results)
        mlflow_uri = params.mlflow_uri ?: "sqlite:///${file(params.outdir)}/mlflow/mlflow.db"
        parameters.save(params, folder)

        VERSIONS(nextflow.version.toString(), file("${projectDir}/python"))
        code = VERSIONS.out.json.map { json -> Json.parse(json.text).code }

        data = Inputs.folder(params)
        if (!data) {
            DEMO(code.map { hash -> hash.demo })
        }
        POCKETNET(
            folder.name,
            Inputs.preset(params) ?: [],
            data ? Channel.value(data) : DEMO.out.data,
            data ? Inputs.listing(data) : 'made',
            Selection.of(params, projectDir),
            Parameters.items(params.fold)*.toInteger(),
            params.cases_per_task,
            params.plan ? file(params.plan) : [],
            params.skip_profile,
            mlflow_uri,
            code,
        )

        workflow.onComplete = {
            println(workflow.success ? Messages.done(folder, mlflow_uri, projectDir, params.experiment) : Messages.failed(workflow.exitStatus))
        }
    }
}
