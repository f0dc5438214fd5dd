import java.nio.file.Path

/** What tasks in a container are given beside their work directory: the folders that they write to themselves
    (checkpoints, the MLflow store), and a GPU where they ask for one. */
class Containers {

    /** Options of `docker run` for a task; `accelerator` is what it asks for, or null. */
    static String docker(Map given, Object accelerator) {
        // The shell that starts the container says who the user is.
        '-u $(id -u):$(id -g) ' +
            words(folders(given).collectMany { folder -> ['-v', "$folder:$folder"] } + (accelerator ? ['--gpus', 'all'] : []))
    }

    /** Options of `apptainer exec` and `singularity exec`. */
    static String apptainer(Map given, Object accelerator) {
        words(folders(given).collectMany { folder -> ['--bind', folder] } + (accelerator ? ['--nv'] : []))
    }

    /** The folders, absolute: the output folder, and that of a SQLite store elsewhere. */
    static List<Path> folders(Map given) {
        def outdir = Path.of(given.outdir).toAbsolutePath().normalize()
        def store = Parameters.storeFile(given)?.parent
        store && !store.startsWith(outdir) ? [outdir, store] : [outdir]
    }

    private static String words(List<Object> words) { words.collect { word -> Shell.word(word) }.join(' ') }
}
