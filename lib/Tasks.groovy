/** What the pipeline does differently by task. pocketnet/contracts/tasks.py has the tasks themselves. */
class Tasks {

    /** The task of a plan that names none. */
    static final String DEFAULT = 'segmentation'

    /** By task: `pictured`, whether PICTURE draws the dataset; `calibrated`, whether CALIBRATE calibrates the networks. */
    private static final Map<String, Map> RULES = [
        segmentation:   [pictured: true, calibrated: true],
        classification: [pictured: false, calibrated: false],
    ]

    /** Whether PICTURE draws the dataset of a plan. */
    static boolean pictured(Map plan) { RULES[plan.task ?: DEFAULT].pictured }

    /** Whether CALIBRATE calibrates the networks of a plan. */
    static boolean calibrated(Map plan) { RULES[plan.task ?: DEFAULT].calibrated }
}
