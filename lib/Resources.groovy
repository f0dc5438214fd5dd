/** What the tasks that compute with a network ask for, from its measured profile or, without one, from what was
    predicted when it was planned. The margins stand here and in docs/profiling.md. */
class Resources {

    /** Of memory: what a process needs beside the step (data, checkpoints, export), in GiB, and a share on top. */
    static final double MEMORY_SHARE = 1.3, MEMORY_MORE = 1.0
    /** GiB of an inference for the images and the probabilities of a whole one. */
    static final int IMAGES = 2
    /** Of time: a busier machine, validation, checkpoints; and a step's start and end, in hours. */
    static final double TIME_SHARE = 3.0, TIME_MORE = 0.5

    /** What the trainings (`mode` train) or inferences (infer) of each network were predicted to need, by
        `<arch>-<width>`. Nothing where there are GPUs and nobody said which: then the prediction is for a processor. */
    static Map<String, Map> predicted(List<Map> configurations, String mode, Map selection) {
        configurations.findAll { entry -> entry.mode == mode && (selection.device || !selection.gpus) }
            .collectEntries { entry -> ["${entry.arch}-${entry.width}".toString(), entry] }
    }

    /** GiB of memory, whole and so coarse that measuring again changes nothing; 0 when nothing is known. The
        measured profile counts where there is one, else the prediction. */
    static int memoryGib(Map entry) {
        def needs = (entry?.measured?.host_memory_mib ?: entry?.predicted?.host_memory_mib)?.toDouble()
        needs ? Math.ceil(needs * MEMORY_SHARE / 1024 + MEMORY_MORE) as int : 0
    }

    /** GiB of memory of an inference, at least what every step with images has. */
    static int inferenceGib(Map entry) {
        def needed = memoryGib(entry)
        needed ? Math.max(4, needed + IMAGES) : 0
    }

    /** Hours of a training of so many steps: 1, 2, 4, … so that measuring again changes nothing; 0 when nothing is known. */
    static int hours(Map entry, Number steps) {
        def second = (entry?.measured?.step_seconds ?: entry?.predicted?.step_seconds)?.toDouble()
        if (!second) return 0
        def needed = second * steps * TIME_SHARE / 3600 + TIME_MORE
        (0..20).collect { power -> 1 << power }.find { hours -> hours >= needed } ?: 1 << 20
    }
}
