import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap

/**
 * The pipeline's parameters as nextflow_schema.json describes them. Nextflow's own plugin for this would need a download.
 *
 * Understood of JSON Schema: type, enum, pattern, minimum, items, minItems, maxItems, uniqueItems, required;
 * format directory-path and file-path for paths, which with exists must be there; x-keys-of names a JSON file whose
 * keys are the valid values; x-no-credentials refuses user:password@ in an address; x-or-file is the suffix of a file
 * whose path is valid too. A list may be text with commas.
 */
class Schema {

    final Path project
    final Collection<Map> groups
    final Map<String, Map> rules

    private static final Map<Path, Schema> KNOWN = new ConcurrentHashMap<>()

    /** The schema in the pipeline's folder, read once. */
    static Schema of(Object project) { KNOWN.computeIfAbsent(project as Path) { folder -> new Schema(folder) } }

    private Schema(Path folder) {
        project = folder
        groups = json('nextflow_schema.json')['$defs'].values()
        rules = groups.collectEntries { group -> group.properties }
    }

    /** A JSON file of the pipeline's folder. */
    Map json(String path) { Json.parse(project.resolve(path).toFile().text) as Map }

    /** Every parameter by group, with its type, default, valid values and help. */
    String help() {
        def lines = ['Usage: nextflow run main.nf --dataset <name> --input <folder> [parameters] [-profile <profiles>] [-resume]',
                     '', 'A list is text with commas: --width pocket,full,capped128']
        groups.each { group ->
            lines << '' << group.title
            group.properties.findAll { name, rule -> !rule.hidden }.each { name, rule ->
                def known = rule.containsKey('default') ? "default: ${rule.default}" :
                    name in (group.required ?: []) ? 'required' : null
                def values = choices(rule.items ?: rule)
                def notes = [known, values && !('examples' in (rule.items ?: rule)) ? "one of: ${values.join(', ')}" : null]
                lines << "  ${"--$name".padRight(18)} ${typeName(rule).padRight(9)} ${rule.description}"
                if (notes.any()) lines << ' ' * 31 + "[${notes.findAll().join('; ')}]"
                if (name == 'experiment') {
                    Selection.entries(project).each { key, entry ->
                        lines << ' ' * 31 + "${key.padRight(12)} ${entry.title} (${entry.paper})"
                    }
                }
            }
        }
        lines.join('\n')
    }

    /** The valid values of a parameter or item, or examples of them; empty where there are none. */
    List<String> choices(Map rule) {
        (rule.enum ?: rule['x-keys-of'] ? rule.enum ?: json(rule['x-keys-of']).keySet() : rule.examples ?: []).collect { it.toString() }
    }

    /** A sentence with the valid values; empty where there are none. */
    String known(Map rule) {
        def values = choices(rule)
        values ? " ${rule.pattern ? 'For example' : 'Known'}: ${values.join(', ')}${rule['x-or-file'] ? ", or a ${rule['x-or-file']} file" : ''}." : ''
    }

    /** What --help and messages call a parameter's type. */
    static String typeName(Map rule) { rule.type == 'array' ? 'list' : rule.format?.replace('-path', '') ?: rule.type }
}
