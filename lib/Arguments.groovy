/** Options of commands from the parameters of a run. Each value is one word of the shell, whatever it contains. */
class Arguments {

    /** Options of pocket-check. */
    static String check(Map given) {
        words(modalities: given.modalities, labels: given.labels, unlabelled: given.unlabelled, group: given.group,
              stratify: given.stratify, suffix: given.suffix, 'labels-from': given.labels_from,
              folds: given.splits ? null : given.folds)
    }

    /** Options of pocket-plan. */
    static String plan(Map given) {
        words(recipe: given.recipe, folds: given.folds, seed: given.seed, patch: given.patch, batch: given.batch,
              epochs: given.epochs, 'steps-per-epoch': given.steps_per_epoch, budget: given.budget, loss: given.loss, accumulate: given.accumulate,
              rematerialise: given.rematerialise, precision: given.precision,
              postprocessing: given.postprocessing, mirroring: given.mirroring, 'learning-rate': given.learning_rate, 'training-sizes': given.training_sizes,
              configuration: given.configuration)
    }

    /** Options of pocket-infer. */
    static String infer(Map given) {
        words(windows: given.windows)
    }

    /** Options and their values, quoted: `--<name>=<value>`, so that a value with a leading hyphen is no option. A list
        becomes text with commas, true an option alone; null, false and the empty list are left out. */
    static String words(Map<String, Object> options) {
        options.findAll { name, value -> value != null && value != false && value != [] }
            .collect { name, value -> value == true ? "--$name" : Shell.word("--$name=${value instanceof List ? value.join(',') : value}") }
            .join(' ')
    }
}
