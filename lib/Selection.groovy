import groovy.json.JsonOutput
import java.nio.file.Path

/** The networks of a run and what to do with them, selected by parameters or by an experiment of the paper. */
class Selection {

    /** The file of the plan of 2D networks, in a run that trains both configurations. */
    static final String IN_2D = 'plan-2d.json'

    /** The selection by `--experiment`, `--arch` and `--width`, as a map: `device` (null for none), `device_file`, `gpus`,
        `members` per fold, `experiment` (empty for none), `arch` (empty for the default), `width`, and the experiment's
        `measure`, `prune`, `activations`, `picture`, `compare`. `start` is the model folder to start from, or an empty list. */
    static Map of(Map given, Object project) {
        def file = given.device?.endsWith('.json') ? Path.of(given.device).toAbsolutePath().normalize() : null
        def entry = given.experiment ? entries(project)[given.experiment] : [:]
        [device: given.device, device_file: file ?: [], gpus: given.gpus, members: given.members,
         experiment: given.experiment ?: '', arch: given.arch ?: [],
         width: given.width ?: entry.width ?: ['pocket', 'full'],
         start: given.start_from ? Path.of(given.start_from).toAbsolutePath().normalize() : [],
         measure: entry.measure, prune: entry.prune as boolean, activations: entry.activations as boolean,
         picture: entry.picture as boolean,
         // Training sets of different sizes are not folds, so no averages over them.
         compare: !entry.plan?.training_sizes]
    }

    /** Options of pocket-plan for the networks and the training device. */
    static String planning(Map selection) {
        Arguments.words(arch: selection.arch, width: selection.width,
            device: selection.device_file ? "device/${selection.device_file.fileName}" : selection.device)
    }

    /** The experiments by name. */
    static Map entries(Object project) {
        Json.parse((project as Path).resolve('conf/experiments.json').toFile().text) as Map
    }

    /** The networks that pocket-plan chose, one map each: `id`, `arch`, `width`. */
    static List<Map> networks(List<Map> configurations) {
        configurations.findAll { entry -> entry.mode == 'train' }
            .collect { entry -> [id: "${entry.arch}-${entry.width}".toString(), arch: entry.arch, width: entry.width] }
    }

    /** The plan of a network, as JSON text: in a run with two, that of 2D if the network's name ends in 2d. */
    static String planOf(Map meta, Map<String, String> plans) {
        plans.containsKey(IN_2D) && meta.width.endsWith('-2d') ? plans[IN_2D] : plans['plan.json']
    }

    /** Expand a training and its plan (JSON text) to a list of [meta, text], one for each ensemble member; each has its own
        seed. A member's meta has its number, from 1, in `member`, and the training's id in `of`. */
    static List members(Map selection, Map meta, String plan) {
        if (selection.members == 1) return [[meta, plan]]
        def common = Json.parse(plan) as Map
        (1..selection.members).collect { number ->
            [meta + [id: "${meta.id}-member${number}".toString(), member: number, of: meta.id],
             JsonOutput.toJson(common + [seed: common.seed + number - 1])]
        }
    }

    /** Combine all members of a training, each [meta, model]: the ensemble's meta, and the models in order of their numbers. */
    static List whole(List members) {
        def sorted = members.sort(false) { one -> one[0].member }
        def meta = sorted[0][0]
        [meta.findAll { key, value -> !(key in ['member', 'of']) } + [id: meta.of], sorted.collect { one -> one[1] }]
    }

    /** The networks that the experiment measures, with their `options` for pocket-profile; empty if it measures none. */
    static List<Map> measured(Map selection, List<Map> networks) {
        if (!selection.measure) return []
        def patches = selection.measure.patches.findAll().collect { patch -> Arguments.words(patch: patch) }
        def options = [Arguments.words(mode: selection.measure.mode), *patches, Arguments.words(batch: selection.measure.batches)].join(' ')
        networks.collect { network -> network + [options: options] }
    }
}
