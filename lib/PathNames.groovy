import java.nio.file.Files
import java.nio.file.Path
import nextflow.util.Escape

/** Paths with any characters in the scripts that Nextflow writes. */
class PathNames {

    /** Characters with a meaning for the shell that Nextflow (24.10 to 26.08) leaves as they are. Not `*`: outputs are
        patterns. */
    private static final List<String> LEFT = ['$', '`', ';', '?', '[', ']', '{', '}', '\t', '\r']

    /** Make Nextflow put a backslash before all special characters of a path. Called once, before the first task. */
    static void escapeAll() {
        def known = Escape.SPECIAL_CHARS
        synchronized (known) { known.addAll(LEFT - known) }
    }

    /** A problem if a path cannot stand in a script: a backslash does not help with `*` (it stays a pattern) and a line
        break; and Java, outside a UTF-8 locale, replaces letters that are not ASCII. */
    static List<String> unusable(Path path) {
        def text = path.toAbsolutePath().toString()
        text =~ /[*\n\uFFFD]/ ?
            ["Nextflow cannot pass on a path with * or a line break in it, or outside a UTF-8 locale other letters than ASCII ($text): rename it, or give a link to it.".toString()] : []
    }

    /** A problem if the path of a SQLite store has a `?`, where options of its address begin. `store` is null for a server. */
    static List<String> unusableStore(Path store) {
        store?.toString()?.contains('?') ?
            ["the SQLite store $store cannot have a ? in its path: give another --mlflow_uri (or --outdir, which it is in by default).".toString()] : []
    }

    /** A problem with the path of the clone, which Nextflow writes into scripts as it is, in double quotes. */
    static List<String> unusableClone(Path project) {
        project.toAbsolutePath().toString() =~ /[$`"\\:*\n\uFFFD]/ ?
            ["the clone cannot be in a folder with \$, `, \", \\, :, * or a line break in its path ($project): rename the folder.".toString()] : []
    }
}
