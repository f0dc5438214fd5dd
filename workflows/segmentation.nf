// The way of the data: a folder of scans to trained and compared segmentation networks.

include { CHECK      } from '../modules/check'
include { PLAN       } from '../modules/plan'
include { PREPROCESS } from '../modules/preprocess'
include { PROFILE    } from '../modules/profile'
include { TRAIN      } from '../modules/train'
include { INFER      } from '../modules/infer'
include { EVALUATE   } from '../modules/evaluate'
include { COMPARE    } from '../modules/compare'
include { REPORT     } from '../modules/report'
include { COLLECT    } from '../modules/collect'

// What goes into a task as text on one line instead of as a file counts by its content: a step that ran
// again and came to the same answer repeats nothing after it.
def oneLine(file) {
    file.readLines()*.trim().join(' ')
}

def parse(file) {
    new groovy.json.JsonSlurper().parse(file)
}

// The manifest with only some of its cases, in batches: a list of [batch number, JSON text].
def batches(manifest, cases, size) {
    def parts = manifest.cases.findAll { item -> item.case in cases }.collate(size)
    parts.withIndex().collect { part, number -> [number, groovy.json.JsonOutput.toJson(manifest + [cases: part])] }
}

// What a training needs by its profile, in whole GiB with a margin; so coarse that measuring again changes nothing.
def memoryGib(profile) {
    def needs = parse(profile).configurations.collect { configuration ->
        [configuration.predicted, configuration.measured]*.host_memory_mib*.toDouble().findAll().max()
    }
    Math.ceil(needs.max() * 1.3 / 1024 + 1) as int
}

workflow SEGMENTATION {
    take:
    dataset         // value: the dataset's name
    preset          // value: its preset file, or an empty list for a name in conf/datasets.json
    input           // value channel: the dataset's folder
    listing         // value: stands for the folder's content
    networks        // channel: [id, arch, width], a map a network
    folds           // value: the numbers of the folds to train, empty for all
    cases_per_task  // value: a number
    edited          // value: a plan to use instead of a new one, or an empty list
    skip_profile    // value: true or false
    mlflow_uri      // value: where the runs are tracked
    code            // value channel: the checksum of each step's code, a map

    main:
    CHECK(dataset, preset, input, listing, code.map { hash -> hash.check })
    PLAN(dataset, CHECK.out.manifest, CHECK.out.fingerprint, edited, code.map { hash -> hash.plan })
    manifest = CHECK.out.manifest.map { file -> parse(file) }
    plan     = PLAN.out.plan.map { file -> oneLine(file) }
    splits   = PLAN.out.splits.map { file -> oneLine(file) }

    // PREPROCESS in batches of cases, with only what it needs of the plan
    preprocessing = PLAN.out.plan.map { file -> groovy.json.JsonOutput.toJson(parse(file).subMap('preprocessing')) }
    manifest
        .flatMap { all -> batches(all, all.cases*.case, cases_per_task) }
        .map { batch, text -> [[id: "${dataset}, batch ${batch}", batch: batch], text] }
        .set { cases }  // channel: [meta, manifest text]
    PREPROCESS(cases, preprocessing, input, code.map { hash -> hash.preprocess })
    stores = PREPROCESS.out.stores.collect(sort: { folder -> folder.name })

    // PROFILE each network; TRAIN each network on each fold
    PROFILE(networks.filter { !skip_profile }.combine(plan), code.map { hash -> hash.profile })
    profiles = PROFILE.out.profile.map { meta, file -> file }.collect(sort: { file -> file.name }).ifEmpty([])
    fold_cases = PLAN.out.splits
        .flatMap { file -> parse(file).folds }
        .filter { split -> !folds || split.fold in folds }
        .map { split -> [split.fold, split.test] }  // channel: [fold, names of its test cases]
    networks
        .map { meta -> [meta, 0] }
        .filter { skip_profile }
        .mix(PROFILE.out.profile.map { meta, file -> [meta, memoryGib(file)] })
        .combine(fold_cases.map { fold, test -> fold })
        .map { meta, memory, fold -> [meta + [id: "${meta.id}-fold${fold}", fold: fold], memory] }
        .set { trainings }  // channel: [meta, GiB of memory, 0 when not known]
    TRAIN(trainings, plan, splits, stores, code.map { hash -> hash.train })

    // INFER each fold's test cases, in batches; EVALUATE model by model
    TRAIN.out.model
        .map { meta, model -> [meta.fold, meta, model] }
        .combine(fold_cases, by: 0)
        .combine(manifest.map { all -> [all] })
        .set { models }  // channel: [fold, meta, model, names of its test cases, manifest]
    models
        .flatMap { fold, meta, model, test, all ->
            def parts = batches(all, test, cases_per_task)
            parts.collect { batch, text -> [meta + [batch: batch, batches: parts.size()], model, text] }
        }
        .set { scans }  // channel: [meta, model, manifest text]
    INFER(scans, input, code.map { hash -> hash.infer })
    INFER.out.predictions
        .map { meta, files -> [groupKey(meta.id, meta.batches), files] }
        .groupTuple()
        .map { id, files -> [id.toString(), files.flatten().sort { file -> file.name }] }
        .set { predictions }  // channel: [id, files]
    models
        .map { fold, meta, model, test, all -> [meta.id, meta, model, batches(all, test, test.size())[0][1]] }
        .join(predictions)
        .map { id, meta, model, text, files -> [meta, model, files, text] }
        .set { predicted }  // channel: [meta, model, predictions, manifest text]
    EVALUATE(predicted, input, code.map { hash -> hash.evaluate })

    // COMPARE, REPORT and COLLECT see everything, in an order that does not depend on which task ended first
    all_models  = TRAIN.out.model.map { meta, folder -> folder }.collect(sort: { folder -> folder.name })
    evaluations = EVALUATE.out.evaluation.map { meta, folder -> folder }.collect(sort: { folder -> folder.name })
    COMPARE(dataset, evaluations, code.map { hash -> hash.compare })
    REPORT(dataset, COMPARE.out.comparison, all_models, evaluations, profiles, code.map { hash -> hash.report })
    COLLECT(dataset, COMPARE.out.comparison, all_models, evaluations, REPORT.out.report, mlflow_uri,
            code.map { hash -> hash.collect })

    emit:
    report = REPORT.out.report  // channel: report.html
    done   = COLLECT.out.done   // channel: true
}
