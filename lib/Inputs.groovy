import java.nio.file.FileVisitOption
import java.nio.file.Files
import java.nio.file.Path
import java.security.MessageDigest

/** The dataset's folder: where it is, and what stands for its content. */
class Inputs {

    /** The preset file that `--dataset` names, absolute; null when it names a preset of ours. */
    static Path preset(Map given) {
        given.dataset?.endsWith('.json') ? Path.of(given.dataset).toAbsolutePath().normalize() : null
    }

    /** The dataset's name: a preset's, or the stem of a preset file. */
    static String name(Map given) { Path.of(given.results).fileName.toString() }

    /** `--input`, else `$POCKET_DATA/<dataset>`, else null. */
    static Path folder(Map given) {
        def root = System.getenv('POCKET_DATA')
        def text = given.input ?: given.dataset && given.dataset != 'demo' && root ? given.input ?: "$root/${name(given)}" : null
        text == null ? null : Path.of(text.toString()).toAbsolutePath().normalize()
    }

    /** Checksum of the names, sizes and times of all files in a folder: changes when any of them does. */
    static String listing(Path folder) {
        def lines = []
        Files.walk(folder, FileVisitOption.FOLLOW_LINKS).withCloseable { paths ->
            paths.each { path ->
                if (Files.isRegularFile(path)) {
                    lines << "${folder.relativize(path)} ${Files.size(path)} ${Files.getLastModifiedTime(path).toMillis()}".toString()
                }
            }
        }
        MessageDigest.getInstance('SHA-256').digest(lines.sort().join('\n').getBytes('UTF-8')).encodeHex().toString()
    }
}
