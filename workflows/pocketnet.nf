// The way of the data: a folder of scans to trained and compared networks, and the paper's experiments on it.
// Segmentation and classification go the same way: each step does what the manifest's and the plan's `task` says.

include { CHECK      } from '../modules/check'
include { PLAN       } from '../modules/plan'
include { PREPROCESS } from '../modules/preprocess'
include { PICTURE    } from '../modules/picture'
include { PROFILE    } from '../modules/profile'
include { PROFILE as MEASURE } from '../modules/profile'
include { TRAIN      } from '../modules/train'
include { ENSEMBLE   } from '../modules/ensemble'
include { PRUNING    } from './pruning'
include { INFER      } from '../modules/infer'
include { EVALUATE   } from '../modules/evaluate'
include { ACTIVATIONS } from '../modules/activations'
include { COMPARE    } from '../modules/compare'
include { REPORT     } from '../modules/report'
include { COLLECT    } from '../modules/collect'
include { EXPERIMENT } from '../modules/experiment'

// What goes into a task as text on one line instead of as a file counts by its content: a step that ran
// again and came to the same answer repeats nothing after it.
def oneLine(file) {
    file.readLines()*.trim().join(' ')
}

def parse(file) {
    Json.parse(file.text)
}

// The manifest with only some of its cases, in batches: a list of [batch number, JSON text].
def batches(manifest, cases, size) {
    def wanted = cases.toSet()  // to search a list for each of many cases would take time by their square
    def parts = manifest.cases.findAll { item -> item.case in wanted }.collate(size)
    parts.withIndex().collect { part, number -> [number, groovy.json.JsonOutput.toJson(manifest + [cases: part])] }
}

workflow POCKETNET {
    take:
    dataset         // value: the dataset's name
    preset          // value: its preset file, or an empty list for a name in conf/datasets.json
    input           // value channel: the dataset's folder
    listing         // value: stands for the folder's content
    selection       // value: which networks, and what an experiment does with them (lib/Selection.groovy)
    folds           // value: the numbers of the folds to train, empty for all
    cases_per_task  // value: a number, or null for one that suits the number of cases
    edited          // value: a plan to use instead of a new one, or an empty list
    given_splits    // value: folds to use instead of new ones, or an empty list
    skip_profile    // value: true or false
    mlflow_uri      // value: where the runs are tracked
    code            // value channel: the checksum of each step's code, a map

    main:
    CHECK(dataset, preset, input, listing, code.map { hash -> hash.check })
    PLAN(dataset, CHECK.out.manifest, CHECK.out.fingerprint, edited, given_splits, selection.experiment,
         Selection.planning(selection), selection.device_file, selection.start,
         code.map { hash -> hash.plan })
    manifest = CHECK.out.manifest.map { file -> parse(file) }
    plan     = PLAN.out.plan.map { file -> oneLine(file) }
    splits   = PLAN.out.splits.map { file -> oneLine(file) }
    PLAN.out.predicted
        .flatMap { file -> Selection.networks(parse(file).configurations) }
        .set { networks }  // channel: [id, arch, width], a map a network
    trained = networks.filter { !selection.measure }  // an experiment that only measures trains nothing

    // PREPROCESS in batches of cases, with only what it needs of the plan
    preprocessing = PLAN.out.plan.map { file -> groovy.json.JsonOutput.toJson(parse(file).subMap('preprocessing')) }
    manifest
        .filter { !selection.measure }
        .flatMap { all -> batches(all, all.cases*.case, Tasks.casesPerJob(cases_per_task, all)) }
        .map { batch, text -> [[id: "${dataset}, batch ${batch}", batch: batch], text] }
        .set { cases }  // channel: [meta, manifest text]
    PREPROCESS(cases, preprocessing, input, code.map { hash -> hash.preprocess })
    stores = PREPROCESS.out.stores.collect(sort: { folder -> folder.name })
    pictured_manifest = CHECK.out.manifest.filter { file -> Tasks.pictured(parse(file)) }
    PICTURE(dataset, pictured_manifest, CHECK.out.fingerprint, PLAN.out.plan, PLAN.out.splits, stores, input,
            code.map { hash -> hash.picture })

    // MEASURE each network of an experiment that measures; else PROFILE each one and TRAIN it on each fold
    networks
        .flatMap { network -> Selection.measured(selection, [network]) }
        .combine(plan)
        .set { measurements }  // channel: [meta with options, plan text]
    MEASURE(measurements, code.map { hash -> hash.profile })
    predictions = PLAN.out.predicted.map { file -> parse(file).configurations }  // value: what each network was predicted to need
    trained
        .filter { !skip_profile }
        .combine(predictions.map { all -> [Resources.predicted(all, 'train', selection)] })
        .map { meta, all -> meta + [memory: Resources.memoryGib(all[meta.id])] }
        .combine(plan)
        .set { profiled }  // channel: [meta with GiB of memory, plan text]
    PROFILE(profiled, code.map { hash -> hash.profile })
    PLAN.out.predicted
        .mix(PROFILE.out.profile.map { _meta, file -> file })
        .collect(sort: { file -> file.name })
        .set { profiles }  // value channel: predicted.json, and the measured profiles
    fold_cases = PLAN.out.splits
        .flatMap { file ->
            def found = parse(file).folds.findAll { split -> !folds || split.fold in folds }
            found ?: error("--fold ${folds.join(',')}: there is no such fold. A dataset with a test list of its own has fold 0 only.")
        }
        .map { split -> [split.fold, split.test] }  // channel: [fold, names of its test cases]
    trained
        .filter { skip_profile }
        .combine(predictions.map { all -> [Resources.predicted(all, 'train', selection)] })
        .map { meta, all -> [meta, all[meta.id]] }
        .mix(PROFILE.out.profile.map { meta, file -> [meta.subMap('id', 'arch', 'width'), parse(file).configurations[0]] })
        .combine(PLAN.out.plan.map { file -> parse(file).training })
        .map { meta, profile, training ->
            [meta, [memory: Resources.memoryGib(profile), hours: Resources.hours(profile, training.epochs * training.steps_per_epoch)]]
        }
        .combine(fold_cases.map { fold, _test -> fold })
        .map { meta, requests, fold -> [meta + [id: "${meta.id}-fold${fold}", fold: fold], requests] }
        .set { trainings }  // channel: [meta, memory and time, 0 when not known]
    trainings
        .combine(plan)
        .flatMap { meta, requests, text -> Selection.members(selection, meta, text).collect { one, own -> [one, requests, selection.start, own] } }
        .set { members }  // channel: [meta, memory and time, model to start from or an empty list, plan text]
    TRAIN(members, splits, stores, code.map { hash -> hash.train })
    TRAIN.out.model
        .filter { meta, _model -> meta.member }
        .map { meta, model -> [groupKey(meta.of, selection.members), [meta, model]] }
        .groupTuple()
        .map { _of, all -> Selection.whole(all) }
        .set { ensembles }  // channel: [meta, models]
    ENSEMBLE(ensembles, code.map { hash -> hash.ensemble })
    PRUNING(TRAIN.out.model.filter { selection.prune }, trainings, plan, splits, stores, code)
    TRAIN.out.model
        .filter { meta, _model -> !meta.member }
        .mix(ENSEMBLE.out.model, PRUNING.out)
        .set { networks_made }  // channel: [meta, model]

    // INFER each fold's test cases, in batches; EVALUATE model by model
    networks_made
        .map { meta, model -> [meta.fold, meta, model] }
        .combine(fold_cases, by: 0)
        .combine(manifest.map { all -> [all] })
        .set { models }  // channel: [fold, meta, model, names of its test cases, manifest]
    models
        .combine(predictions.map { all -> [Resources.predicted(all, 'infer', selection)] })
        .flatMap { _fold, meta, model, test, all, needs ->
            def parts = batches(all, test, Tasks.casesPerInference(cases_per_task, all, test.size()))
            def memory = Resources.inferenceGib(needs["${meta.arch}-${meta.policy ?: meta.width}".toString()])
            parts.collect { batch, text -> [meta + [batch: batch, batches: parts.size(), memory: memory], model, text] }
        }
        .set { scans }  // channel: [meta, model, manifest text]
    INFER(scans, input, code.map { hash -> hash.infer })
    INFER.out.predictions
        .map { meta, files -> [groupKey(meta.id, meta.batches), files] }
        .groupTuple()
        .map { id, files -> [id.toString(), files.flatten().sort { file -> file.name }] }
        .set { predictions }  // channel: [id, files]
    models
        .map { _fold, meta, model, test, all -> [meta.id, meta, model, batches(all, test, test.size())[0][1]] }
        .join(predictions)
        .map { _id, meta, model, text, files -> [meta, model, files, text] }
        .set { predicted }  // channel: [meta, model, predictions, manifest text]
    EVALUATE(predicted, input, code.map { hash -> hash.evaluate })

    // COMPARE, REPORT and COLLECT see everything, in an order that does not depend on which task ended first
    all_models  = networks_made.map { _meta, folder -> folder }.collect(sort: { folder -> folder.name })
    evaluations = EVALUATE.out.evaluation.map { _meta, folder -> folder }.collect(sort: { folder -> folder.name })
    COMPARE(dataset, evaluations.filter { selection.compare }, code.map { hash -> hash.compare })
    REPORT(dataset, COMPARE.out.comparison, all_models, evaluations, profiles, code.map { hash -> hash.report })
    COLLECT(dataset, COMPARE.out.comparison, all_models, evaluations, REPORT.out.report, REPORT.out.figures,
            CHECK.out.manifest, mlflow_uri,
            code.map { hash -> hash.collect })

    // EXPERIMENT draws its table and figure from what it needs of all that
    ACTIVATIONS(networks_made.filter { selection.activations }, splits, stores, code.map { hash -> hash.activations })
    MEASURE.out.profile.mix(ACTIVATIONS.out.activations)
        .map { _meta, file -> file }
        .collect(sort: { file -> file.name })
        .ifEmpty([])
        .set { measured }  // value channel: files
    predicted
        .filter { selection.picture }
        .map { meta, _model, files, _text -> ["${meta.arch}-${meta.width}", files] }
        .groupTuple()
        .toSortedList { a, b -> a[0] <=> b[0] }
        .map { all -> all ? all[0][1].flatten().sort { file -> file.name } : [] }
        .set { pictured }  // value channel: the predictions of one network over all folds
    EXPERIMENT(
        channel.fromList(selection.experiment ? [selection.experiment] : []), CHECK.out.manifest, PLAN.out.plan,
        PLAN.out.splits, COMPARE.out.comparison.ifEmpty([]), all_models.ifEmpty([]), evaluations.ifEmpty([]), measured,
        pictured, input.map { folder -> selection.picture ? folder : [] }, code.map { hash -> hash.experiment },
    )

    emit:
    report = REPORT.out.report  // channel: report.html
    done   = COLLECT.out.done   // channel: true
}
