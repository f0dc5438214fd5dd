import groovy.json.JsonOutput
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.attribute.BasicFileAttributes

/**
 * The parameters of a run. In Nextflow, the type of a value depends on its version and on the source of the value:
 * `--members 2` may be a number or text, and a `-params-file` may contain either, or lists. `of` converts all values to
 * the types of the schema; all other code uses its result.
 */
class Parameters {

    /** Convert the given parameters to their types in the schema: Boolean, Integer or Long, text, or a list of these.
        Missing parameters get their default, or null without one (false for a boolean). A leading `~` in a path becomes
        the user's home. Values that do not match their type, and unknown parameters, stay unchanged; Problems reports them. */
    static Map<String, Object> of(Map given, Object project) {
        def rules = Schema.of(project).rules
        def found = given.findAll { name, value -> !rules.containsKey(name) } + rules.collectEntries { name, rule ->
            def value = given[name] == null ? rule.default : given[name]
            [name, value == null ? (rule.type == 'boolean' ? false : null) : typed(rule, value)]
        }
        def results = "${found.outdir ?: 'results'}/${new File("${found.dataset}").name.replaceAll(/\.json$/, '')}".toString()
        def experiment = found.experiment ? "/experiments/${found.experiment}" : ''
        found + [results: results, published: "$results$experiment".toString()]
    }

    private static Object typed(Map rule, Object value) {
        def text = value.toString().trim()
        switch (rule.type) {
            case 'boolean': return text.toLowerCase() in ['true', 'false'] ? text.toLowerCase() == 'true' : value
            case 'integer': return text ==~ /[+-]?\d{1,9}/ ? text.toInteger() : text ==~ /[+-]?\d{10,15}/ ? text.toLong() : value
            case 'array':
                if (value instanceof Boolean || value instanceof Map) return value
                def items = value instanceof Collection ? value as List : text.split(',', -1) as List
                return items.collect { item -> typed(rule.items, item instanceof CharSequence ? item.toString().trim() : item) }
            default:
                if (value instanceof Boolean || value instanceof Map || value instanceof Collection) return value
                return rule.format || rule['x-or-file'] && text.endsWith(rule['x-or-file']) ? home(value.toString()) : value.toString()
        }
    }

    /** Replace a leading `~` in a path by the user's home. */
    private static String home(String path) {
        path == '~' || path.startsWith('~/') ? System.getProperty('user.home') + path.substring(1) : path
    }

    /** The tracking store: a server's address, or a SQLite URI with an absolute path. */
    static String store(Map given) {
        def file = storeFile(given)
        file ? "sqlite:///$file" : given.mlflow_uri
    }

    /** Absolute path of the SQLite store, by default in the output folder; null for a server. */
    static Path storeFile(Map given) {
        def uri = given.mlflow_uri ?: "sqlite:///${given.outdir}/mlflow/mlflow.db"
        uri.startsWith('sqlite:///') ? Path.of(home(uri.substring('sqlite:///'.size()))).toAbsolutePath().normalize() : null
    }

    /** Write the parameters to the run's records. */
    static void save(Map given, Object project) {
        def file = Path.of(given.results, 'pipeline_info', "params_${given.started}.json")
        Files.createDirectories(file.parent)
        file.text = JsonOutput.prettyPrint(JsonOutput.toJson(given.findAll { name, value -> Schema.of(project).rules.containsKey(name) })) + '\n'
    }

    /** Remove, when Nextflow ends, its records of a run whose parameters were rejected, and the folders created for them.
        Up to 24.10 that is a trace; later versions write all records. */
    static void discardRecords(Map given) {
        Runtime.runtime.addShutdownHook(new Thread({
            def folder = Path.of(given.results, 'pipeline_info').toAbsolutePath()
            (folder.toFile().listFiles() as List ?: []).findAll { file -> file.name.contains("_${given.started}.") }*.delete()
            Files.deleteIfExists(Path.of(System.getProperty('java.io.tmpdir'), "trace_${given.started}.txt"))  // nextflow.config
            def start = java.lang.management.ManagementFactory.runtimeMXBean.startTime
            for (int level = 0; level < 3 && !folder.toFile().list(); level++) {
                def made = Files.exists(folder) && Files.readAttributes(folder, BasicFileAttributes).creationTime().toMillis() >= start
                if (made) Files.delete(folder)
                folder = folder.parent
            }
        }))
    }
}
