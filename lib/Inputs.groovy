import java.nio.file.FileVisitOption
import java.nio.file.FileVisitResult
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.SimpleFileVisitor
import java.nio.file.attribute.BasicFileAttributes
import java.security.MessageDigest

/** The dataset's folder: its path, a checksum of its content, and whether it has many files. */
class Inputs {

    /** Absolute path of the preset file in `--dataset`; null if it is the name of a built-in preset. */
    static Path preset(Map given) {
        given.dataset?.endsWith('.json') ? Path.of(given.dataset).toAbsolutePath().normalize() : null
    }

    /** The dataset's name: the name of a preset, or the stem of a preset file. */
    static String name(Map given) { Path.of(given.results).fileName.toString() }

    /** The dataset's preset, a map; empty if the file cannot be read, which pocket-check reports. */
    static Map entry(Map given, Object project) {
        def file = preset(given)
        try {
            (file ? Json.parse(file.text) : Json.parse((project as Path).resolve('conf/datasets.json').text)[name(given)]) ?: [:]
        } catch (Exception error) {
            [:]
        }
    }

    /** `--input`, else `$POCKET_DATA/<dataset>`, else null. */
    static Path folder(Map given) {
        def root = System.getenv('POCKET_DATA')
        def text = given.input ?: given.dataset && given.dataset != 'demo' && root ? given.input ?: "$root/${name(given)}" : null
        text == null ? null : Path.of(text.toString()).toAbsolutePath().normalize()
    }

    /** Files that one task of CHECK reads; of more, several tasks read batches. */
    static final int MOST_FILES = 4000

    /** The files in a folder, as a map: `listing`, a checksum of their names, sizes and modification times; `count`, how
        many; and `many`, whether several tasks should read them. */
    static Map listing(Path folder) {
        def lines = []
        Files.walkFileTree(folder, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, new SimpleFileVisitor<Path>() {
            FileVisitResult visitFile(Path path, BasicFileAttributes found) {
                if (found.regularFile) lines << "${folder.relativize(path)} ${found.size()} ${found.lastModifiedTime().toMillis()}".toString()
                FileVisitResult.CONTINUE
            }
            /** A folder that cannot be read, or a link to a folder above it: pocket-check says what it lacks. */
            FileVisitResult visitFileFailed(Path path, IOException error) { FileVisitResult.CONTINUE }
        })
        def checksum = MessageDigest.getInstance('SHA-256').digest(lines.sort().join('\n').getBytes('UTF-8')).encodeHex().toString()
        [listing: checksum, many: lines.size() > MOST_FILES, count: lines.size()]
    }
}
