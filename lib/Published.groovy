import groovy.json.JsonException
import groovy.json.JsonOutput
import java.nio.file.FileVisitOption
import java.nio.file.FileVisitResult
import java.nio.channels.FileChannel
import java.nio.channels.OverlappingFileLockException
import java.nio.file.Files
import java.nio.file.LinkOption
import java.nio.file.OpenOption
import java.nio.file.Path
import java.nio.file.SimpleFileVisitor
import java.nio.file.StandardOpenOption
import java.nio.file.attribute.BasicFileAttributes
import java.security.MessageDigest

/**
 * Protect existing files: publishing replaces only files that the pipeline published and that are unchanged. The folder
 * of the results has the marker file of python/pocketnet/outputs.py, with a line for each published file, written before
 * the file is. Nextflow replaces a published folder as a whole, so every file in it counts.
 */
class Published {

    static final String MARKER = '.pocketnet-output.jsonl'
    private static final String COMMAND = 'pipeline'
    private static final int SHOWN = 5
    private static final long A_COPY_TAKES_MS = 60_000

    /** Paths that a run publishes, below the folder of its results (conf/modules.config). */
    private static final String PATHS = ['report\\.html', 'comparison', 'figures', 'cards', 'dataset/(manifest|fingerprint)\\.json',
        'dataset/[^/]*\\.png', 'plan/(plan|splits|predicted)\\.json', '(profile|measurements|activations)/[^/]+\\.json',
        '(models|evaluation)/[^/]+/fold\\d+', 'predictions/[^/]+/fold\\d+/[^/]+',
        '(table|figure|experiment)\\.[a-z]+'].collect { path -> "$path(/.*)?" }.join('|')

    /** Lines of markers as [size of the marker, entries by file name], by folder. */
    private static final Map<Path, List> READ = [:]
    /** Checksums of files, by path, size and modification time. */
    private static final Map<List, String> KNOWN = [:]

    /** Outputs of cached tasks that are being published. */
    private static final List<Path> UNFINISHED = Collections.synchronizedList([])

    /** The claim of this run: an open and locked file, as in python/pocketnet/claims.py. */
    static final String LOCK = '.part-lock'
    private static final Map<Path, FileChannel> CLAIMS = [:]

    private final Path root

    Published(Path root) { this.root = root.toAbsolutePath().normalize() }

    static Published of(Map given) { new Published(Path.of(given.published as String)) }

    /** A problem if the run would replace a file that no run of the pipeline published, or that was changed since. */
    List<String> problems() {
        if (!Files.isDirectory(root)) return []
        def found = obstacles(root).findAll { name, why -> name ==~ PATHS }
        found ? ["$root has ${listed(found)}, which this run would replace: give another --outdir, or move ${found.size() > 1 ? 'them' : 'it'} away.".toString()] : []
    }

    /** Claim the folder until this run ends; a warning if another run or command writes to it. */
    synchronized List<String> claim() {
        Files.createDirectories(root)
        def options = [StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS] as OpenOption[]
        def channel
        try {
            channel = FileChannel.open(root.resolve(LOCK), options)
            if (channel.tryLock()) {
                CLAIMS[root] = channel
                return []
            }
        } catch (OverlappingFileLockException held) {
            // by this process
        } catch (IOException without) {  // a file system without locks, or a file of another user
            return []
        }
        channel.close()
        ["Another run or command writes to $root now. Of files that both write, the last one stays: give another --outdir to keep their results apart.".toString()]
    }

    /** Give up the claim. */
    void release() {
        def channel = CLAIMS.remove(root)
        if (channel) Files.deleteIfExists(root.resolve(LOCK))
        channel?.close()
    }

    /**
     * Allow a task's output to be published, and record it.
     *
     * @param workDir  The task's work directory; null for a cached task, whose outputs Nextflow publishes only where there
     *                 is nothing yet. `complete` then adds their checksums.
     * @param name     The output, relative to it: a file or a folder.
     * @param target   Where it is published, relative to the results.
     * @return The last part of `target`, for `saveAs`.
     * @throws IllegalStateException It would replace another file.
     */
    synchronized String place(Path workDir, String name, String target) {
        def path = root.resolve(target)
        if (Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
            if (workDir == null) return path.fileName.toString()
            def found = obstacles(path)
            if (found) {
                throw new IllegalStateException("$root has ${listed(found)}, which would be replaced: it is left as it is and nothing is published there. Move it away, then start again with -resume.")
            }
        }
        if (workDir == null) {
            write([[file: target, command: COMMAND, at: System.currentTimeMillis()]])
            UNFINISHED << path
        } else {
            record(workDir.resolve(name), target)
        }
        path.fileName.toString()
    }

    /** Record the outputs of cached tasks that this run published. */
    synchronized void complete() {
        UNFINISHED.each { path -> if (Files.exists(path)) record(path, root.relativize(path).toString()) }
        UNFINISHED.clear()
    }

    /** The reason by name for everything at a path that may not be replaced. */
    private Map<String, String> obstacles(Path start) {
        def entries = entries()
        def found = [:]
        def look = { Path path, BasicFileAttributes attributes ->
            def name = root.relativize(path).toString()
            def why = Files.isSymbolicLink(path) ? 'a link' : !attributes.regularFile ? 'no ordinary file' :
                path.fileName.toString() == MARKER ? null : reason(path, attributes, recorded(entries, name))
            if (why) found[name] = why
        }
        Files.walkFileTree(start, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, new SimpleFileVisitor<Path>() {
            FileVisitResult preVisitDirectory(Path path, BasicFileAttributes attributes) {
                def name = Published.this.root.relativize(path).toString()
                if (path.parent == Published.this.root && name in ['pipeline_info', 'checkpoints', 'experiments']) return FileVisitResult.SKIP_SUBTREE
                if (!Files.isSymbolicLink(path)) return FileVisitResult.CONTINUE
                if (!(name ==~ PATHS)) return FileVisitResult.CONTINUE
                found[name] = 'a link'
                FileVisitResult.SKIP_SUBTREE
            }
            FileVisitResult visitFile(Path path, BasicFileAttributes attributes) { look(path, attributes); FileVisitResult.CONTINUE }
            FileVisitResult visitFileFailed(Path path, IOException error) {
                found[Published.this.root.relativize(path).toString()] = 'cannot be read'
                FileVisitResult.CONTINUE
            }
        })
        found
    }

    /** The lines of a file, and those without a checksum of the folders that it is in. */
    private static List<Map> recorded(Map<String, List<Map>> entries, String name) {
        def parts = name.tokenize('/')
        def folders = (1..<parts.size()).collectMany { n -> entries[parts.take(n).join('/')]?.findAll { entry -> !entry.sha256 } ?: [] }
        (entries[name] ?: []) + folders
    }

    /** Why a file may not be replaced; null if it may. A killed run may leave the start of a copy, and files of cached
        tasks without a checksum. */
    private static String reason(Path path, BasicFileAttributes attributes, List<Map> recorded) {
        if (!recorded) return 'not published by the pipeline'
        def checksum = sha256(path)
        def torn = recorded.any { entry -> (!entry.sha256 || attributes.size() < entry.bytes) &&
            Math.abs(attributes.lastModifiedTime().toMillis() - entry.at) < A_COPY_TAKES_MS }
        torn || recorded.any { entry -> entry.sha256 == checksum } ? null : 'changed since it was published'
    }

    /** Add the files of an output to the marker. */
    private void record(Path source, String target) {
        def known = entries()
        def added = []
        def add = { Path path, String name ->
            def checksum = sha256(path)
            if (!known[name]?.any { entry -> entry.sha256 == checksum }) {
                added << [file: name, command: COMMAND, sha256: checksum, bytes: Files.size(path), at: System.currentTimeMillis()]
            }
        }
        if (Files.isDirectory(source)) {
            Files.walk(source, FileVisitOption.FOLLOW_LINKS).withCloseable { paths ->
                paths.filter { path -> Files.isRegularFile(path) }.sorted()
                    .forEach { path -> add(path, "$target/${source.relativize(path)}".toString()) }
            }
        } else {
            add(source, target)
        }
        if (added) write(added)
    }

    private void write(List<Map> added) {
        def known = entries()
        Files.createDirectories(root)
        def bytes = added.collect { entry -> JsonOutput.toJson(entry) + '\n' }.join('').getBytes('UTF-8')
        def options = [StandardOpenOption.CREATE, StandardOpenOption.APPEND, LinkOption.NOFOLLOW_LINKS] as OpenOption[]
        Files.write(root.resolve(MARKER), bytes, options)
        synchronized (READ) {  // not read again for each file
            READ[root] = [(READ[root]?.first() ?: 0L) + bytes.length, known]
            added.each { entry -> known.computeIfAbsent(entry.file, { [] }) << entry }
        }
    }

    /** Lines of the marker by file name. Damaged lines, and lines of commands, are ignored. */
    private Map<String, List<Map>> entries() {
        def marker = root.resolve(MARKER)
        if (!Files.isRegularFile(marker, LinkOption.NOFOLLOW_LINKS)) {
            synchronized (READ) { READ.remove(root) }
            return [:]
        }
        synchronized (READ) {
            def size = Files.size(marker)
            if (READ[root]?.first() != size) {
                def lines = new String(Files.readAllBytes(marker), 'UTF-8').readLines()
                READ[root] = [size, lines.collect { line -> entry(line) }.findAll().groupBy { entry -> entry.file }]
            }
            READ[root][1]
        }
    }

    private static Map entry(String line) {
        try {
            def value = Json.parse(line)
            return value instanceof Map && value.command == COMMAND && value.file instanceof String &&
                value.at instanceof Number && (!value.sha256 || value.bytes instanceof Number) ? value : null
        } catch (JsonException | IllegalArgumentException ignored) {
            return null
        }
    }

    private static String sha256(Path path) {
        def key = [path.toString(), Files.size(path), Files.getLastModifiedTime(path).toMillis()]
        synchronized (KNOWN) {
            if (!KNOWN[key]) {
                def digest = MessageDigest.getInstance('SHA-256')
                path.withInputStream { stream -> stream.eachByte(1 << 20) { bytes, count -> digest.update(bytes, 0, count) } }
                KNOWN[key] = digest.digest().encodeHex().toString()
            }
            KNOWN[key]
        }
    }

    private static String listed(Map<String, String> found) {
        found.take(SHOWN).collect { name, why -> "$name ($why)" }.join(', ') + (found.size() > SHOWN ? ' and more' : '')
    }
}
