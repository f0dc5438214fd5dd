import java.nio.file.Path

/** Container options of tasks: they mount the folders that tasks write to outside their work directory (checkpoints, the
    MLflow store), and pass a GPU to tasks that request one. */
class Containers {

    /** Options of `docker run` for a task; `accelerator` is the task's request for a GPU, or null. */
    static String docker(Map given, Object accelerator) {
        // The shell that starts the container expands these to the current user and group.
        '-u $(id -u):$(id -g) ' +
            words(folders(given).collectMany { folder -> ['-v', "$folder:$folder"] } + (accelerator ? ['--gpus', 'all'] : []))
    }

    /** Options of `apptainer exec` and `singularity exec` for a task. */
    static String apptainer(Map given, Object accelerator) {
        words(folders(given).collectMany { folder -> ['--bind', folder] } + (accelerator ? ['--nv'] : []))
    }

    /** Absolute paths of the folders to mount: the output folder, and the folder of a SQLite store outside it. */
    static List<Path> folders(Map given) {
        def outdir = Path.of(given.outdir).toAbsolutePath().normalize()
        def store = Parameters.storeFile(given)?.parent
        store && !store.startsWith(outdir) ? [outdir, store] : [outdir]
    }

    private static String words(List<Object> words) { words.collect { word -> Shell.word(word) }.join(' ') }
}
