import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.security.MessageDigest
import nextflow.Global

/** Files that count by their content. Nextflow compares an input file by its path, so a file that a task wrote again, the
    same as before, would repeat what follows. Here, a file's path follows from its content. */
class Contents {

    /** A copy of a file in the work directory, named by its checksum. */
    static Path of(Path file) {
        def digest = MessageDigest.getInstance('SHA-256')
        file.withInputStream { stream -> stream.eachByte(1 << 20) { bytes, count -> digest.update(bytes, 0, count) } }
        def copy = (Global.session.workDir as Path).resolve('contents').resolve("${digest.digest().encodeHex()}.json")
        if (!Files.exists(copy)) {
            Files.createDirectories(copy.parent)
            def part = copy.resolveSibling(".part-${UUID.randomUUID()}")  // a copy is there whole or not at all
            Files.copy(file, part)
            Files.move(part, copy, StandardCopyOption.ATOMIC_MOVE)
        }
        copy
    }
}
