import groovy.json.JsonOutput
import java.nio.file.Path

/** Which networks a run is about and what is done with them: by parameters, or by an experiment of the paper. */
class Selection {

    /** What `--experiment`, `--arch` and `--width` say: a map with `device` (null for none) and its file, `members` a fold, `experiment` (empty for none), `arch` and `width`
        (by task; empty for the default) and the experiment's `measure`, `prune`, `activations`, `picture`, `compare`. */
    static Map of(Map given, Object project) {
        def file = given.device?.endsWith('.json') ? Path.of(given.device).toAbsolutePath().normalize() : null
        def entry = given.experiment ? entries(project)[given.experiment] : [:]
        [device: given.device, device_file: file ?: [], gpus: given.gpus, members: given.members,
         experiment: given.experiment ?: '', arch: given.arch ?: [],
         width: given.width ?: entry.width ?: ['pocket', 'full'],
         defaults: entry.arch ?: [segmentation: ['unet'], classification: ['classifier']], measure: entry.measure,
         prune: entry.prune as boolean, activations: entry.activations as boolean, picture: entry.picture as boolean,
         // Training sets of several sizes are no folds: nothing is to be averaged over them.
         compare: !entry.plan?.training_sizes]
    }

    /** What pocket-plan is told of the networks, and of the device that trains them. */
    static String planning(Map selection) {
        [selection.arch ? "--arch ${selection.arch.join(',')}" : '', "--width ${selection.width.join(',')}",
         selection.device_file ? "--device device/${selection.device_file.fileName}" :
         selection.device      ? "--device ${selection.device}" : ''].findAll().join(' ')
    }

    /** The experiments by name. */
    static Map entries(Object project) {
        Json.parse((project as Path).resolve('conf/experiments.json').toFile().text) as Map
    }

    /** A map a network: `id`, `arch`, `width`. */
    static List<Map> networks(Map selection, Map plan) {
        def arches = selection.arch ?: selection.defaults[plan.task ?: 'segmentation']
        [arches, selection.width.collectMany { width -> width == 'caps' ? caps(plan) : [width] }].combinations()
            .collect { arch, width -> [id: "${arch}-${width}".toString(), arch: arch, width: width] }
    }

    /** The widths between full and pocket: feature maps double up to each depth but the last and the first. */
    private static List<String> caps(Map plan) {
        (1..<Math.max(plan.network.depth, 1)).collect { depth -> "capped${plan.network.feature_maps << depth}".toString() }.reverse()
    }

    /** A training and its plan's text as a list of [meta, text]: one, or each member's of an ensemble, with a seed of its own.
        A member's meta has its number from 1 in `member`, and in `of` the training's id. */
    static List members(Map selection, Map meta, String plan) {
        if (selection.members == 1) return [[meta, plan]]
        def common = Json.parse(plan) as Map
        (1..selection.members).collect { number ->
            [meta + [id: "${meta.id}-member${number}".toString(), member: number, of: meta.id],
             JsonOutput.toJson(common + [seed: common.seed + number - 1])]
        }
    }

    /** Of all members of a training, each [meta, model]: the meta of the whole, and the models by their numbers. */
    static List whole(List members) {
        def sorted = members.sort(false) { one -> one[0].member }
        def meta = sorted[0][0]
        [meta.findAll { key, value -> !(key in ['member', 'of']) } + [id: meta.of], sorted.collect { one -> one[1] }]
    }

    /** The networks that the experiment measures, each with `options` for pocket-profile; none for another. */
    static List<Map> measured(Map selection, List<Map> networks) {
        if (!selection.measure) return []
        def patches = selection.measure.patches.findAll().collect { patch -> "--patch $patch " }.join()
        def options = "--mode ${selection.measure.mode} $patches--batch ${selection.measure.batches.join(',')}".toString()
        networks.collect { network -> network + [options: options] }
    }
}
