import groovy.json.JsonOutput
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.attribute.BasicFileAttributes

/**
 * The parameters of a run. What Nextflow has depends on its version and on where a value comes from: `--members 2` is a
 * number or a text, a `-params-file` may hold either, and lists. Everything after `of` sees the schema's types only.
 */
class Parameters {

    /** The given parameters by their types in the schema: Boolean, Integer or Long, text, or a list of these; those not
        given have their default, else null (a boolean false). A path's `~` is the user's home. A value that has not its
        type, and an unknown parameter, stay as they are: Problems names them. */
    static Map<String, Object> of(Map given, Object project) {
        def rules = Schema.of(project).rules
        given.findAll { name, value -> !rules.containsKey(name) } + rules.collectEntries { name, rule ->
            def value = given[name] == null ? rule.default : given[name]
            [name, value == null ? (rule.type == 'boolean' ? false : null) : typed(rule, value)]
        }
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

    /** A path with the user's home for a leading `~`. */
    private static String home(String path) {
        path == '~' || path.startsWith('~/') ? System.getProperty('user.home') + path.substring(1) : path
    }

    /** Where the runs are tracked: a server's address, or a SQLite store with an absolute path. */
    static String store(Map given) {
        def file = storeFile(given)
        file ? "sqlite:///$file" : given.mlflow_uri
    }

    /** The SQLite store's file, absolute: in the output folder where nothing else is said. Null for a server. */
    static Path storeFile(Map given) {
        def uri = given.mlflow_uri ?: "sqlite:///${given.outdir}/mlflow/mlflow.db"
        uri.startsWith('sqlite:///') ? Path.of(home(uri.substring('sqlite:///'.size()))).toAbsolutePath().normalize() : null
    }

    /** Leave the parameters among the run's records. */
    static void save(Map given, Object project) {
        def file = Path.of(given.results, 'pipeline_info', "params_${given.started}.json")
        Files.createDirectories(file.parent)
        file.text = JsonOutput.prettyPrint(JsonOutput.toJson(given.findAll { name, value -> Schema.of(project).rules.containsKey(name) })) + '\n'
    }

    /** Remove the record that Nextflow began before the parameters were refused, and the folders made for it. */
    static void discardTrace(Map given) {
        def path = Path.of("${given.results}/pipeline_info/trace_${given.started}.txt").toAbsolutePath()
        Files.deleteIfExists(Path.of(System.getProperty('java.io.tmpdir'), "trace_${given.started}.txt"))  // nextflow.config
        def start = java.lang.management.ManagementFactory.runtimeMXBean.startTime
        for (int level = 0; level < 4 && (!Files.isDirectory(path) || !path.toFile().list()); level++) {
            def made = Files.exists(path) && Files.readAttributes(path, BasicFileAttributes).creationTime().toMillis() >= start
            if (made) Files.delete(path)
            path = path.parent
        }
    }
}
