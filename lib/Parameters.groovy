import groovy.json.JsonOutput
import java.nio.file.Files
import java.nio.file.Path

/**
 * The pipeline's parameters against nextflow_schema.json: the text of --help, and every problem with what was
 * given, each with the nearest valid name or value. Nextflow's own plugin for this would need a download.
 *
 * Understood of JSON Schema: type, enum, pattern, minimum, items, minItems, maxItems, uniqueItems, required;
 * format directory-path and file-path mean that it must exist; x-keys-of names a JSON file whose keys are the
 * valid values; x-no-credentials refuses user:password@ in an address; x-or-file is the suffix of a file whose path is valid too. A list is given as text with commas and
 * checked item by item.
 */
class Parameters {

    private final Path project
    private final Collection<Map> groups
    private final Map<String, Map> rules

    Parameters(Object project) {
        this.project = project as Path
        def schema = json('nextflow_schema.json')
        groups = schema['$defs'].values()
        rules = groups.collectEntries { group -> group.properties }
    }

    private Map json(String path) { Json.parse(project.resolve(path).toFile().text) as Map }

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

    /** What is wrong with the given parameters, a line each; empty when nothing is. */
    List<String> problems(Map given) {
        def unknown = given.keySet().findAll { name -> !rules.containsKey(name) }
            .groupBy { name -> snake(name) }  // Nextflow adds fooBar to a given foo-bar
            .collect { name, spellings -> "--${spellings.min()} is not a parameter.${suggestion(name, rules.keySet(), '--')}" }
        def missing = groups.collectMany { group -> group.required ?: [] }
            .findAll { name -> given[name] == null }
            .collect { name -> "--$name is needed.${known(rules[name])}" }
        def wrong = rules.findAll { name, rule -> given[name] != null }
            .collectMany { name, rule -> wrongValue(rule, given[name]).collect { problem -> "--$name${given[name] instanceof Boolean ? "" : " ${shown(rule, given[name])}"}: $problem" } }
        (unknown + missing + (wrong ?: together(given)))*.toString()
    }

    /** What is wrong when the container's image is a file that is not there; empty for an image of a daemon. */
    static List<String> missingImage(Object container) {
        def image = container.toString()
        image.endsWith('.sif') && !Files.isRegularFile(Path.of(image)) ?
            ["there is no container image $image: make it with `make image` and `make sif`, or give --container.".toString()] : []
    }

    /** What is wrong with parameters that are each valid alone. */
    private List<String> together(Map given) {
        def found = []
        def beyond = items(given.fold).findAll { fold -> fold.toInteger() >= given.folds }
        if (beyond) found << "--fold ${given.fold}: with --folds ${given.folds}, folds are 0 to ${given.folds - 1}."
        def task = given.dataset ? taskOf(given) : null
        def known = json('conf/architectures.json')
        def others = task ? items(given.arch).findAll { arch -> known[arch].task != task } : []
        if (others) {
            def fitting = known.findAll { name, entry -> entry.task == task }.keySet()
            found << "--arch ${others.join(',')}: dataset ${given.dataset} is for ${task}, which ${fitting.join(', ')} " +
                "${fitting.size() > 1 ? 'do' : 'does'}."
        }
        def folder = Inputs.folder(given)
        found.addAll(experiment(given))
        if (given.dataset && given.dataset != 'demo' && !folder) {
            found << '--input is needed: the folder of the dataset (or set POCKET_DATA to the folder that it lies in).'
        } else if (given.dataset && folder && !Files.isDirectory(folder)) {
            found << "there is no folder $folder (from POCKET_DATA): give --input."
        }
        found
    }

    /** What keeps an experiment from being run on the dataset, or with the other parameters. */
    private List<String> experiment(Map given) {
        if (!given.experiment) return []
        def experiments = Selection.entries(project)
        def task = taskOf(given)
        def found = []
        if (given.dataset && !(task in experiments[given.experiment].tasks)) {
            def fitting = experiments.findAll { name, entry -> task in entry.tasks }.keySet()
            found << "--experiment ${given.experiment} is not for a ${task}, which ${given.dataset} is. Known for it: ${fitting.join(', ')}."
        }
        if (given.width) found << "--width ${given.width}: an experiment has its own widths; leave this out."
        if (given.members != 1) found << "--members ${given.members}: an experiment trains one network a fold; leave this out."
        if (given.training_sizes && !experiments[given.experiment].plan?.training_sizes) {
            found << "--training_sizes is for --experiment saturation."
        }
        found
    }

    /** What is learned on the dataset, by its preset: segmentation or classification. */
    private String taskOf(Map given) {
        def own = Inputs.preset(given)
        def text = own ? (Files.isRegularFile(own) ? own.text : '{}') : null
        try {
            def preset = text != null ? Json.parse(text) : json('conf/datasets.json')[given.dataset.toString()]
            return (preset instanceof Map ? preset.task : null) ?: 'segmentation'
        } catch (groovy.json.JsonException ignored) {  // the check says what is wrong with the file
            return 'segmentation'
        }
    }

    /** Remove the record that Nextflow began before the parameters were refused, and the folders made for it. */
    static void discardTrace(Map given) {
        def path = Path.of("${given.results}/pipeline_info/trace_${given.started}.txt").toAbsolutePath()
        for (int level = 0; level < 4 && (!Files.isDirectory(path) || !path.toFile().list()); level++) {
            Files.deleteIfExists(path)
            path = path.parent
        }
    }

    /** Leave the parameters among the run's records. */
    void save(Map given, Path folder) {
        def file = folder.resolve("pipeline_info/params_${given.started}.json")
        Files.createDirectories(file.parent)
        file.text = JsonOutput.prettyPrint(JsonOutput.toJson(given.findAll { name, value -> rules.containsKey(name) })) + '\n'
    }

    /** The items of a list parameter; empty for none. */
    static List<String> items(Object value) {
        value == null ? [] : value.toString().split(',', -1)*.trim()
    }

    /** A value as a message may show it: before the @ of an address stands a secret; a SQLite file's path may hold an @. */
    private static String shown(Map rule, Object value) {
        rule['x-no-credentials'] ? value.toString().replaceAll(/(?s)^(?!sqlite:)(.*?)\/\/.*@/, '$1//…@') : value
    }

    private List<String> wrongValue(Map rule, Object value) {
        if (value instanceof Boolean && rule.type != 'boolean') return ["a value is missing (expected: ${typeName(rule)})."]
        if (value instanceof Collection || value instanceof Map) return ['give this as text, its items separated by commas.']
        if (rule.type != 'array') return wrongItem(rule, value.toString())
        def list = items(value)
        def found = list.collectMany { item -> wrongItem(rule.items, item) }
        if (rule.minItems && list.size() < rule.minItems) found << "expected at least ${rule.minItems} items."
        if (rule.maxItems && list.size() > rule.maxItems) found << "expected at most ${rule.maxItems} items."
        if (rule.uniqueItems && list.toSet().size() < list.size()) found << 'an item is given twice.'
        found
    }

    private List<String> wrongItem(Map rule, String text) {
        def quoted = "'$text'"
        if (rule.type == 'boolean') return text in ['true', 'false'] ? [] : ["expected true or false, not $quoted."]
        if (rule.type == 'integer') {
            if (!(text ==~ /-?\d{1,15}/)) return ["expected a whole number, not $quoted."]
            if (rule.minimum != null && (text as long) < rule.minimum) return ["expected ${rule.minimum} or more."]
        }
        if (rule['x-or-file'] && text.endsWith(rule['x-or-file'])) return wrongFile(text)
        if (rule['x-no-credentials'] && text ==~ /(?s)(?!sqlite:).*\/\/.*@.*/) {
            return ['an address with a user name or password in it is not taken: it would stand in logs and records. ' +
                    'Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the ' +
                    'environment; and change this password, since .nextflow.log has the command now.']
        }
        def values = choices(rule)
        def valid = rule.pattern ? text ==~ rule.pattern : !(rule.enum || rule['x-keys-of']) || text in values
        if (!valid) return ["$quoted is not valid.${suggestion(text, values)}${known(rule)}"]
        if (rule.format == 'directory-path' && !Files.isDirectory(Path.of(text))) return ['there is no such folder.']
        if (rule.format == 'file-path' && !Files.isRegularFile(Path.of(text))) return ['there is no such file.']
        []
    }

    private static List<String> wrongFile(String text) {
        def path = Path.of(text)
        if (!Files.isRegularFile(path)) return ['there is no such file.']
        path.fileName.toString() ==~ /[A-Za-z0-9][A-Za-z0-9_.-]*/ ? [] :
            ["its name is used: letters, digits, '_', '-' and '.', beginning with a letter or digit."]
    }

    private List<String> choices(Map rule) {
        (rule.enum ?: rule['x-keys-of'] ? rule.enum ?: json(rule['x-keys-of']).keySet() : rule.examples ?: []).collect { it.toString() }
    }

    private String known(Map rule) {
        def values = choices(rule)
        values ? " ${rule.pattern ? 'For example' : 'Known'}: ${values.join(', ')}${rule['x-or-file'] ? ", or a ${rule['x-or-file']} file" : ''}." : ''
    }

    private static String typeName(Map rule) { rule.type == 'array' ? 'list' : rule.format?.replace('-path', '') ?: rule.type }

    private static String suggestion(String word, Collection<String> valid, String prefix = '') {
        def nearest = valid.min { candidate -> distance(word.toLowerCase(), candidate.toLowerCase()) }
        def near = nearest && distance(word.toLowerCase(), nearest.toLowerCase()) <= Math.max(2, nearest.size().intdiv(2))
        near ? " Did you mean $prefix$nearest?" : prefix ? ' --help lists them all.' : ''
    }

    private static String snake(String name) {
        name.replace('-', '_').replaceAll(/([a-z0-9])([A-Z])/) { all, before, capital -> "${before}_${capital}" }.toLowerCase()
    }

    /** Levenshtein distance: how many single-character edits lie between two words. */
    static int distance(String a, String b) {
        def previous = (0..b.size()).toList()
        a.eachWithIndex { x, i ->
            def current = [i + 1]
            b.eachWithIndex { y, j ->
                current << [current[j] + 1, previous[j + 1] + 1, previous[j] + (x == y ? 0 : 1)].min()
            }
            previous = current
        }
        previous[b.size()]
    }
}
