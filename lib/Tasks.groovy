/** What the pipeline does differently by task. pocketnet/contracts/tasks.py has the tasks themselves. */
class Tasks {

    /** The task of a plan that names none. */
    static final String DEFAULT = 'segmentation'

    /** By task: `pictured`, whether PICTURE draws the dataset. */
    private static final Map<String, Map> RULES = [
        segmentation:   [pictured: true],
        classification: [pictured: false],
    ]

    /** Whether PICTURE draws the dataset of a plan. */
    static boolean pictured(Map plan) { RULES[plan.task ?: DEFAULT].pictured }
}
