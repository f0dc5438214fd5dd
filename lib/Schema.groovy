import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap

/**
 * The pipeline's parameters as described in nextflow_schema.json. Nextflow's own plugin for this would need a download.
 *
 * Supported JSON Schema keywords: type, enum, pattern, minimum, items, minItems, maxItems, uniqueItems, required, and
 * format with directory-path and file-path. Paths with exists must exist. x-keys-of names a JSON file whose keys are the
 * valid values. x-no-credentials rejects user:password@ in an address. x-or-file is the suffix of files whose path is
 * also valid. A list may be comma-separated text.
 */
class Schema {

    final Path project
    final Collection<Map> groups
    final Map<String, Map> rules

    private static final Map<Path, Schema> KNOWN = new ConcurrentHashMap<>()

    /** The schema in the pipeline's folder, cached. */
    static Schema of(Object project) { KNOWN.computeIfAbsent(project as Path) { folder -> new Schema(folder) } }

    private Schema(Path folder) {
        project = folder
        groups = json('nextflow_schema.json')['$defs'].values()
        rules = groups.collectEntries { group -> group.properties }
    }

    /** Read a JSON file in the pipeline's folder. */
    Map json(String path) { Json.parse(project.resolve(path).toFile().text) as Map }

    /** The help text: all parameters by group, with type, default, valid values and description. */
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

    /** The valid values of a parameter or item, or examples; empty if there are none. */
    List<String> choices(Map rule) {
        (rule.enum ?: rule['x-keys-of'] ? rule.enum ?: json(rule['x-keys-of']).keySet() : rule.examples ?: []).collect { it.toString() }
    }

    /** A sentence with the valid values; empty if there are none. */
    String known(Map rule) {
        def values = choices(rule)
        values ? " ${rule.pattern ? 'For example' : 'Known'}: ${values.join(', ')}${rule['x-or-file'] ? ", or a ${rule['x-or-file']} file" : ''}." : ''
    }

    /** Name of a parameter's type in --help and messages. */
    static String typeName(Map rule) { rule.type == 'array' ? 'list' : rule.format?.replace('-path', '') ?: rule.type }
}
