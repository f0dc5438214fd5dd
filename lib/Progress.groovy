/** How far the trainings are, and how long the rest takes: a line when one ends. */
class Progress {

    /** A training that ends sooner was kept from an earlier run (-resume). */
    private static final long KEPT_MILLIS = 5000

    private final Map<String, Double> hours
    private final long began = System.currentTimeMillis()
    private double kept = 0, done = 0
    private int ended = 0

    private Progress(List all) {
        // Without a prediction of each, all count the same.
        def known = all.every { one -> one[1] }
        hours = all.collectEntries { one -> [one[0].toString(), known ? one[1] as double : 1d] }
    }

    /** Begin with all trainings, each [id, predicted hours, 0 if not known]. */
    static Progress begin(List all) { new Progress(all) }

    /** A training has ended: what to say. */
    synchronized String said(Object id) {
        ended += 1
        def own = hours[id.toString()] ?: 0d
        def millis = System.currentTimeMillis() - began
        if (millis < KEPT_MILLIS) kept += own
        else done += own
        def rest = hours.values().sum() - kept - done
        def line = "Trained ${ended} of ${hours.size()}: ${id}"
        ended < hours.size() && done > 0 ? "${line}. About ${spoken(millis * rest / done)} of training remain." : line
    }

    /** A time in minutes, or from two hours on in hours. */
    static String spoken(double millis) {
        def minutes = Math.max(1, Math.round(millis / 60000))
        minutes < 120 ? "$minutes min" : "${Math.round(minutes / 60)} h"
    }
}
