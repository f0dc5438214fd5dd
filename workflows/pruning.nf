// Full networks pruned to the pocket size, and trained on: beside a pocket network that is trained on as long.

include { PRUNE         } from '../modules/prune'
include { TRAIN as TUNE } from '../modules/train'

// The same fold under another name; `policy` is the width that the network is built with.
def renamed(meta, name) {
    meta + [id: "${meta.arch}-${name}-fold${meta.fold}".toString(), width: name, policy: 'pocket']
}

workflow PRUNING {
    take:
    models     // channel: [meta, model], trained networks: full and pocket ones are used
    requests   // channel: [meta, memory and time] of their trainings
    plan       // value channel: plan.json on one line
    splits     // value channel: splits.json, which counts by its content
    stores     // value channel: folders of stores
    code       // value channel: the checksum of each step's code, a map

    main:
    models
        .filter { meta, _model -> meta.width == 'full' }
        .map { meta, model -> [renamed(meta, 'pruned'), model] }
        .set { wide }  // channel: [meta, model]
    PRUNE(wide, code.map { hash -> hash.prune })

    PRUNE.out.model
        .map { meta, model -> [renamed(meta, 'pruned-tuned'), model] }
        .mix(models
            .filter { meta, _model -> meta.width == 'pocket' }
            .map { meta, model -> [renamed(meta, 'pocket-continued'), model] })
        .map { meta, model -> [[meta.arch, meta.fold], meta, model] }
        .combine(requests
            .filter { meta, _request -> meta.width == 'pocket' }
            .map { meta, request -> [[meta.arch, meta.fold], request] }, by: 0)
        .map { _key, meta, model, request -> [meta, request, model] }
        .combine(plan)
        .set { starts }  // channel: [meta, memory and time, the model to start from, plan text]
    TUNE(starts, splits, stores, code.map { hash -> hash.train })

    emit:
    PRUNE.out.model.mix(TUNE.out.model)  // channel: [meta, model]
}
