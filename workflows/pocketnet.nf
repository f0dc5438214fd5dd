// The way of the data: a folder of scans to trained and compared networks, and the paper's experiments on it.
// Segmentation and classification go the same way: each step does what the manifest's and the plan's `task` says.

include { SCAN       } from '../modules/scan'
include { READ       } from '../modules/read'
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
include { EVALUATE as JOIN } from '../modules/evaluate'
include { CALIBRATE  } from '../modules/calibrate'
include { ACTIVATIONS } from '../modules/activations'
include { COMPARE    } from '../modules/compare'
include { CARD       } from '../modules/card'
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

workflow POCKETNET {
    take:
    dataset         // value: the dataset's name
    preset          // value: its preset file, or an empty list for a name in conf/datasets.json
    input           // value channel: the dataset's folder
    listing         // value: stands for the folder's content
    selection       // value: which networks, and what an experiment does with them (lib/Selection.groovy)
    folds           // value: the numbers of the folds to train, empty for all
    in_batches      // value: whether several tasks read the cases for CHECK
    pictured        // value: whether PICTURE draws the dataset
    joined          // value: whether there may be so many cases that an evaluation has parts
    cases_per_check // value: how many each of them reads, or auto for a number that suits the dataset
    cases_per_task  // value: a number, or auto for one that suits the number of cases
    edited          // value: a plan to use instead of a new one, or an empty list
    given_splits    // value: folds to use instead of new ones, or an empty list
    skip_profile    // value: true or false
    mlflow_uri      // value: where the runs are tracked
    code            // value channel: the checksum of each step's code, a map

    main:
    // A process that this run does not need is not called, so that the progress on screen has no row for it.
    def trains   = !selection.measure
    def compares = trains && selection.compare
    // CHECK reads few cases itself; many are listed by SCAN and READ in batches
    if (in_batches) {
        SCAN(dataset, preset, input, cases_per_check, listing, code.map { hash -> hash.check })
        READ(SCAN.out.cases.flatMap { folder -> Batches.listed(folder) }, input, code.map { hash -> hash.read })
    }
    read = in_batches ? READ.out.checked.collect(sort: { file -> file.name }).ifEmpty([]) : channel.value([])
    CHECK(dataset, preset, input, read, listing, code.map { hash -> hash.check })
    PLAN(dataset, CHECK.out.manifest, CHECK.out.fingerprint, edited, given_splits, selection.experiment,
         Selection.planning(selection), cases_per_task, selection.device_file, selection.start,
         code.map { hash -> hash.plan })
    plan    = PLAN.out.plan.map { file -> oneLine(file) }
    plans   = PLAN.out.plans.map { files -> [files].flatten().collectEntries { file -> [file.name, oneLine(file)] } }
    splits  = PLAN.out.splits.map { file -> Contents.of(file) }
    batches = PLAN.out.batches.map { folder -> Batches.of(folder) }  // value: a map, lib/Batches.groovy
    PLAN.out.predicted
        .flatMap { file -> Selection.networks(parse(file).configurations) }
        .set { networks }  // channel: [id, arch, width], a map a network
    trained = networks.filter { trains }  // an experiment that only measures trains nothing

    // PREPROCESS in batches of cases, with only what it needs of the plan
    preprocessing = PLAN.out.plan.map { file -> groovy.json.JsonOutput.toJson(parse(file).subMap('preprocessing')) }
    batches
        .flatMap { all -> all.preprocess.withIndex() }
        .map { manifest, batch -> [[id: "${dataset}, batch ${batch}", batch: batch], manifest] }
        .set { cases }  // channel: [meta, manifest]
    if (trains) {
        PREPROCESS(cases, preprocessing, input, code.map { hash -> hash.preprocess })
    }
    stores = trains ? PREPROCESS.out.stores.collect(sort: { folder -> folder.name }) : channel.empty()
    if (trains && pictured) {
        PICTURE(dataset, CHECK.out.manifest, CHECK.out.fingerprint, PLAN.out.plan, PLAN.out.splits, stores, input,
                code.map { hash -> hash.picture })
    }

    // MEASURE each network of an experiment that measures; else PROFILE each one and TRAIN it on each fold
    networks
        .flatMap { network -> Selection.measured(selection, [network]) }
        .combine(plan)
        .set { measurements }  // channel: [meta with options, plan text]
    if (selection.measure) {
        MEASURE(measurements, code.map { hash -> hash.profile })
    }
    predictions = PLAN.out.predicted.map { file -> parse(file).configurations }  // value: what each network was predicted to need
    trained
        .filter { !skip_profile }
        .combine(predictions.map { all -> [Resources.predicted(all, 'train', selection)] })
        .map { meta, all -> meta + [memory: Resources.memoryGib(all[meta.id])] }
        .combine(plans)
        .map { meta, all -> [meta, Selection.planOf(meta, all)] }
        .set { profiled }  // channel: [meta with GiB of memory, plan text]
    if (trains && !skip_profile) {
        PROFILE(profiled, code.map { hash -> hash.profile })
    }
    measured_profiles = trains && !skip_profile ? PROFILE.out.profile : channel.empty()
    PLAN.out.predicted
        .mix(measured_profiles.map { _meta, file -> file })
        .collect(sort: { file -> file.name })
        .set { profiles }  // value channel: predicted.json, and the measured profiles
    fold_batches = batches
        .flatMap { all ->
            def found = all.folds.findAll { one -> !folds || one.fold in folds }
            found ?: error("--fold ${folds.join(',')}: there is no such fold. A dataset with a test list of its own has fold 0 only.")
        }
        .map { one -> [one.fold, one] }  // channel: [fold, its batches]
    trained
        .filter { skip_profile }
        .combine(predictions.map { all -> [Resources.predicted(all, 'train', selection)] })
        .map { meta, all -> [meta, all[meta.id]] }
        .mix(measured_profiles.map { meta, file -> [meta.subMap('id', 'arch', 'width'), parse(file).configurations[0]] })
        .combine(plans)
        .combine(batches.map { all -> all.cases })
        .map { meta, profile, texts, count ->
            def training = Json.parse(Selection.planOf(meta, texts)).training
            [meta, [memory: Resources.memoryGib(profile, count), hours: Resources.hours(profile, training.epochs * training.steps_per_epoch)]]
        }
        .combine(fold_batches.map { fold, _batches -> fold })
        .map { meta, requests, fold -> [meta + [id: "${meta.id}-fold${fold}", fold: fold], requests] }
        .set { trainings }  // channel: [meta, memory and time, 0 when not known]
    trainings
        .combine(plans)
        .flatMap { meta, requests, all -> Selection.members(selection, meta, Selection.planOf(meta, all)).collect { one, own -> [one, requests, selection.start, own] } }
        .set { members }  // channel: [meta, memory and time, model to start from or an empty list, plan text]
    if (trains) {
        TRAIN(members, splits, stores, code.map { hash -> hash.train })
    }
    taught = trains ? TRAIN.out.model : channel.empty()
    members
        .map { meta, requests, _start, _text -> [meta.id, requests.hours ?: 0] }
        .toList()
        .map { all -> Progress.begin(all) }
        .combine(taught.map { meta, _model -> meta.id })
        .map { all, id -> all.said(id) }
        .view()
    taught
        .filter { meta, _model -> meta.member }
        .map { meta, model -> [groupKey(meta.of, selection.members), [meta, model]] }
        .groupTuple()
        .map { _of, all -> Selection.whole(all) }
        .set { ensembles }  // channel: [meta, models]
    if (selection.members > 1) {
        ENSEMBLE(ensembles, code.map { hash -> hash.ensemble })
    }
    if (selection.prune) {
        PRUNING(taught, trainings, plan, splits, stores, code)
    }
    taught
        .filter { meta, _model -> !meta.member }
        .mix(selection.members > 1 ? ENSEMBLE.out.model : channel.empty(), selection.prune ? PRUNING.out : channel.empty())
        .set { networks_made }  // channel: [meta, model]

    // INFER each fold's test cases, in batches; EVALUATE several of them at a time, and JOIN those of a model
    networks_made
        .map { meta, model -> [meta.fold, meta, model] }
        .combine(fold_batches, by: 0)
        .map { _fold, meta, model, all -> [meta, model, all] }
        .set { models }  // channel: [meta, model, the batches of its fold]
    models
        .combine(predictions.map { all -> [Resources.predicted(all, 'infer', selection)] })
        .flatMap { meta, model, all, needs ->
            def memory = Resources.inferenceGib(needs["${meta.arch}-${meta.policy ?: meta.width}".toString()])
            Batches.scans(all).collect { scan, manifest -> [meta + scan + [memory: memory], model, manifest] }
        }
        .set { scans }  // channel: [meta with the numbers of batch and part, model, manifest]
    if (trains) {
        INFER(scans, input, code.map { hash -> hash.infer })
    }
    inferred = trains ? INFER.out.predictions : channel.empty()
    // The folder of the files, not each of them, is the input of EVALUATE. As an output, it would keep INFER from publishing them.
    inferred
        .map { meta, files -> [groupKey([meta.id.toString(), meta.part, meta.parts], meta.batches), [meta.batch, [files].flatten()[0].parent]] }
        .groupTuple()
        .map { key, numbered -> key.target + [Batches.inOrder(numbered)] }
        .set { folders }  // channel: [id, number of the part, how many there are, folders of predictions]
    models
        .flatMap { meta, model, all -> all.batches.withIndex().collect { one, part -> [meta.id.toString(), part, meta, model, one.manifest] } }
        .join(folders, by: [0, 1])
        .map { _id, part, meta, model, manifest, parts, some -> [meta + [part: part, parts: parts], model, some, manifest, []] }
        .set { predicted }  // channel: [meta, model, folders of predictions, manifest, an empty list]
    if (trains) {
        EVALUATE(predicted, input, code.map { hash -> hash.evaluate })
    }
    evaluated = trains ? EVALUATE.out.evaluation : channel.empty()
    evaluated
        .filter { meta, _folder -> meta.parts > 1 }
        .map { meta, folder -> [groupKey(meta.id.toString(), meta.parts), [meta.part, folder]] }
        .groupTuple()
        .map { id, numbered -> [id.target, Batches.inOrder(numbered)] }
        .join(folders
            .map { id, part, parts, some -> [groupKey(id, parts), [part, some]] }
            .groupTuple()
            .map { id, numbered -> [id.target, Batches.inOrder(numbered).flatten()] })
        .join(models.map { meta, model, all -> [meta.id.toString(), meta, model, all.manifest] })
        .map { _id, measured, some, meta, model, manifest -> [meta + [parts: 1], model, some, manifest, measured] }
        .set { parts }  // channel: [meta, model, folders of predictions, manifest, folders of evaluations]
    if (trains && joined) {
        JOIN(parts, input, code.map { hash -> hash.evaluate })
    }
    evaluation = evaluated
        .filter { meta, _folder -> meta.parts == 1 || (!joined && error("An evaluation has parts: give --cases_per_task.")) }
        .mix(trains && joined ? JOIN.out.evaluation : channel.empty())

    // CALIBRATE each network by the test and the validation cases of all of its folds
    calibrates = PLAN.out.plan.map { file -> !selection.experiment && Tasks.calibrated(parse(file)) }
    networks_made
        .map { meta, model -> [meta.id.toString(), meta, model] }
        .join(evaluation.map { meta, folder -> [meta.id.toString(), folder] })
        .combine(calibrates)
        .filter { _id, _meta, _model, _folder, wanted -> wanted }
        .map { _id, meta, model, folder, _wanted -> ["${meta.arch}-${meta.width}".toString(), [meta.fold, meta, model, folder]] }
        .groupTuple()
        .map { name, unsorted ->
            def all = unsorted.sort(false) { one -> one[0] }
            [[id: name, arch: all[0][1].arch, width: all[0][1].width], all*.get(2), all*.get(3)]
        }
        .set { validated }  // channel: [meta, models of all folds, their evaluations]
    if (trains && pictured && !selection.experiment) {
        CALIBRATE(validated, splits, stores, code.map { hash -> hash.calibrate })
    }
    calibrated = trains && pictured && !selection.experiment ? CALIBRATE.out.models : channel.empty()
    calibrated
        .flatMap { _meta, made -> [made].flatten() }
        .mix(networks_made.combine(calibrates).filter { _meta, _model, wanted -> !wanted }.map { _meta, model, _wanted -> model })
        .set { finished }  // channel: model folders, calibrated if they can be

    // COMPARE, REPORT and COLLECT see everything, in an order that does not depend on which task ended first
    all_models  = finished.collect(sort: { folder -> folder.name })
    evaluations = evaluation.map { _meta, folder -> folder }.collect(sort: { folder -> folder.name })
    networks_made
        .map { _meta, folder -> folder }
        .collect(sort: { folder -> folder.name })
        .map { every -> [every] }
        .combine(plans)
        .combine(CHECK.out.manifest)
        .map { every, all, manifest -> Selection.IN_2D in all ? [every, manifest] : [[], []] }
        .set { configured }  // channel: [models to choose the configuration by, manifest], or empty lists
    if (trains) {
        CARD(dataset, all_models, evaluations, PLAN.out.splits, input, code.map { hash -> hash.card })
    }
    if (compares) {
        COMPARE(dataset, evaluations, configured, code.map { hash -> hash.compare })
        REPORT(dataset, COMPARE.out.comparison, all_models, evaluations, profiles, code.map { hash -> hash.report })
        COLLECT(dataset, COMPARE.out.comparison, all_models, evaluations, REPORT.out.report, REPORT.out.figures,
                CHECK.out.manifest, mlflow_uri,
                code.map { hash -> hash.collect })
    }

    // EXPERIMENT draws its table and figure from what it needs of all that
    if (selection.activations) {
        ACTIVATIONS(networks_made, splits, stores, code.map { hash -> hash.activations })
    }
    channel.empty()
        .mix(selection.measure ? MEASURE.out.profile : channel.empty(),
             selection.activations ? ACTIVATIONS.out.activations : channel.empty())
        .map { _meta, file -> file }
        .collect(sort: { file -> file.name })
        .ifEmpty([])
        .set { measured }  // value channel: files
    inferred
        .filter { selection.picture }
        .map { meta, files -> ["${meta.arch}-${meta.width}", files] }
        .groupTuple()
        .toSortedList { a, b -> a[0] <=> b[0] }
        .map { all -> all ? all[0][1].flatten().findAll { file -> !(file.name in ['costs.csv', 'features.csv']) }.sort { file -> file.name } : [] }
        .set { shown }  // value channel: the predictions of one network over all folds
    if (selection.experiment) {
        EXPERIMENT(
            channel.of(selection.experiment), CHECK.out.manifest, PLAN.out.plan,
            PLAN.out.splits, compares ? COMPARE.out.comparison : channel.value([]), all_models.ifEmpty([]),
            evaluations.ifEmpty([]), measured,
            shown, input.map { folder -> selection.picture ? folder : [] }, code.map { hash -> hash.experiment },
        )
    }

    emit:
    report = compares ? REPORT.out.report : channel.empty()  // channel: report.html
    done   = compares ? COLLECT.out.done : channel.empty()   // channel: true
}
