/** Resource requests of tasks that run a network, from its measured profile or, without one, from the prediction in the
    plan. docs/profiling.md documents the margins. */
class Resources {

    /** Memory margins: a factor, and GiB for everything except the step (data, checkpoints, export). */
    static final double MEMORY_SHARE = 1.3, MEMORY_MORE = 1.0
    /** KiB that a training needs for the description of a case: the voxels that patches are drawn from. */
    static final double CASE_KIB = 20
    /** GiB that an inference needs for images and the probabilities of a whole image. */
    static final int IMAGES = 2
    /** Time margins: a factor for load, validation and checkpoints, and hours for the start and end of a task. */
    static final double TIME_SHARE = 3.0, TIME_MORE = 0.5

    /** Predicted needs of trainings (`mode` train) or inferences (infer), by `<arch>-<width>`. Empty if there are GPUs but
        no `--device`, because the prediction is then for a CPU. */
    static Map<String, Map> predicted(List<Map> configurations, String mode, Map selection) {
        configurations.findAll { entry -> entry.mode == mode && (selection.device || !selection.gpus) }
            .collectEntries { entry -> ["${entry.arch}-${entry.width}".toString(), entry] }
    }

    /** Memory in whole GiB, coarse enough that a new measurement does not change it; 0 if unknown. Uses the measured
        profile if there is one, otherwise the prediction. `cases` is the number of cases of the dataset. */
    static int memoryGib(Map entry, Integer cases = 0) {
        def needs = (entry?.measured?.host_memory_mib ?: entry?.predicted?.host_memory_mib)?.toDouble()
        needs ? Math.ceil(needs * MEMORY_SHARE / 1024 + MEMORY_MORE + cases * CASE_KIB / (1 << 20)) as int : 0
    }

    /** Memory of an inference in GiB, at least that of other steps with images; 0 if unknown. */
    static int inferenceGib(Map entry) {
        def needed = memoryGib(entry)
        needed ? Math.max(4, needed + IMAGES) : 0
    }

    /** Hours for a number of training steps, rounded up to 1, 2, 4, … so that a new measurement does not change the result;
        0 if unknown. */
    static int hours(Map entry, Number steps) {
        def second = (entry?.measured?.step_seconds ?: entry?.predicted?.step_seconds)?.toDouble()
        if (!second) return 0
        def needed = second * steps * TIME_SHARE / 3600 + TIME_MORE
        (0..20).collect { power -> 1 << power }.find { hours -> hours >= needed } ?: 1 << 20
    }
}
