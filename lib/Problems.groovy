import java.nio.file.AccessDeniedException
import java.nio.file.FileSystemException
import java.nio.file.Files
import java.nio.file.NoSuchFileException
import java.nio.file.Path

/** Find all problems that prevent a run from starting, with the nearest valid name or value for each. The parameters are
    those from Parameters.of. */
class Problems {

    private final Schema schema
    private final Map<String, Map> rules

    Problems(Object project) {
        schema = Schema.of(project)
        rules = schema.rules
    }

    /** Problems with the parameters, one line each; empty if there are none. */
    List<String> of(Map given) {
        def unknown = given.keySet().findAll { name -> !rules.containsKey(name) }
            .groupBy { name -> snake(name) }  // Nextflow adds fooBar to a given foo-bar
            .collect { name, spellings -> "--${spellings.min()} is not a parameter.${suggestion(name, rules.keySet(), '--')}" }
        def missing = schema.groups.collectMany { group -> group.required ?: [] }
            .findAll { name -> given[name] == null }
            .collect { name -> "--$name is needed.${schema.known(rules[name])}" }
        def wrong = rules.findAll { name, rule -> given[name] != null }
            .collectMany { name, rule -> wrongValue(rule, given[name]).collect { problem -> "--$name${valueless(given[name]) ? '' : " ${shown(rule, given[name])}"}: $problem" } }
        (unknown + missing + (wrong ?: together(given)))*.toString()
    }

    /** A problem if words on the command line belong to no parameter. */
    static List<String> leftOver(List<String> words) {
        words ? ["${words.collect { word -> "'$word'" }.join(', ')} on the command line ${words.size() > 1 ? 'belong' : 'belongs'} to no parameter. " +
                 'A list has no spaces (--width pocket,full; -profile test,slurm), a text with spaces stands in quotes, ' +
                 "and a parameter's name begins with --.".toString()] : []
    }

    /** A problem if the container image is a missing SIF file; images of a daemon are not checked. */
    static List<String> missingImage(Object container) {
        def image = container.toString()
        image.endsWith('.sif') && !Files.isRegularFile(Path.of(image)) ?
            ["there is no container image $image: make it with `make image` and `make sif`, or give --container.".toString()] : []
    }

    /** A problem if tasks are to run as SLURM jobs and this machine cannot submit jobs. */
    static List<String> missingSlurm(Object executor) {
        def folders = (System.getenv('PATH') ?: '').tokenize(File.pathSeparator)
        executor.toString() == 'slurm' && !folders.any { folder -> Files.isExecutable(Path.of(folder, 'sbatch')) } ?
            ['there is no sbatch on PATH, and -profile slurm submits every step with it: start this on a login node of the cluster, or leave slurm out of -profile.'] : []
    }

    /** A problem if a training is to use several nodes and the tasks cannot start processes there: srun does this, which
        is not in a container. */
    static List<String> nodes(int nodes, Object executor, Object containerEngine) {
        if (nodes == 1) return []
        executor.toString() != 'slurm' ?
            ["--nodes $nodes: only SLURM starts a training on several nodes: add slurm to -profile; on one machine, give --gpus.".toString()] :
        containerEngine ?
            ["--nodes $nodes: a task in a container (-profile $containerEngine) cannot start processes on other nodes: leave $containerEngine out of -profile.".toString()] : []
    }

    /** A problem, with its reason, if a folder is not writable. */
    static List<String> notWritable(Path folder) {
        try {
            Files.createDirectories(folder)
            Files.delete(Files.createTempFile(folder, '.writable', ''))
            return []
        } catch (IOException error) {
            def why = error instanceof AccessDeniedException ? 'permission denied' : error instanceof NoSuchFileException ? 'it cannot be made' :
                error instanceof FileSystemException && error.reason ? error.reason : error.class.simpleName
            return ["nothing can be written to $folder ($why): give another --outdir.".toString()]
        }
    }

    /** Problems with combinations of parameters that are valid individually. */
    private List<String> together(Map given) {
        def found = []
        def beyond = given.splits ? [] : (given.fold ?: []).findAll { fold -> fold >= given.folds }
        if (beyond) found << "--fold ${given.fold.join(',')}: with --folds ${given.folds}, folds are 0 to ${given.folds - 1}."
        def task = given.dataset ? taskOf(given) : null
        def known = schema.json('conf/architectures.json')
        def others = task ? (given.arch ?: []).findAll { arch -> known[arch].task != task } : []
        if (others) {
            def fitting = known.findAll { name, entry -> entry.task == task }.keySet()
            found << "--arch ${others.join(',')}: dataset ${given.dataset} is for ${task}, which ${fitting.join(', ')} " +
                "${fitting.size() > 1 ? 'do' : 'does'}."
        }
        if (given.freeze && !given.start_from) found << '--freeze is for trainings that start from a network: give --start_from, too.'
        found.addAll(configurations(given))
        found.addAll(experiment(given))
        found.addAll(data(given))
        found
    }

    /** Problems with several configurations. */
    private static List<String> configurations(Map given) {
        def several = given.configuration ?: []
        if (several.size() < 2) return []
        def text = "--configuration ${several.join(',')}"
        def single = ['experiment', 'start_from', 'plan', 'training_sizes'].findAll { name -> given[name] }
        'auto' in several ? ["$text: auto stands alone; it trains both configurations where 2D may be better.".toString()] :
            single.collect { name -> "$text: --$name allows one configuration only: give 2d or 3d, or leave --$name out.".toString() }
    }

    /** Problems with the dataset's folder. */
    private static List<String> data(Map given) {
        def folder = Inputs.folder(given)
        def both = "give --input, the dataset's folder, or set POCKET_DATA to the folder that has it as ${Inputs.name(given)}"
        if (!folder) {
            return given.dataset && given.dataset != 'demo' ?
                ["--input is needed: POCKET_DATA is not set, so there is no place to look for ${given.dataset}. What to do: $both.".toString()] : []
        }
        !Files.isDirectory(folder) ? ["there is no folder $folder (from POCKET_DATA, ${System.getenv('POCKET_DATA')}). What to do: $both.".toString()] : []
    }

    /** Problems of an experiment with the dataset or the other parameters. */
    private List<String> experiment(Map given) {
        if (!given.experiment) return []
        def experiments = Selection.entries(schema.project)
        def task = taskOf(given)
        def found = []
        if (given.dataset && !(task in experiments[given.experiment].tasks)) {
            def fitting = experiments.findAll { name, entry -> task in entry.tasks }.keySet()
            found << "--experiment ${given.experiment} is not for a ${task}, which ${given.dataset} is. Known for it: ${fitting.join(', ')}."
        }
        if (given.width) found << "--width ${given.width.join(',')}: an experiment has its own widths; leave this out."
        if (given.start_from) found << "--start_from ${given.start_from}: an experiment trains from random weights; leave this out."
        if (given.members != 1) found << "--members ${given.members}: an experiment trains one network a fold; leave this out."
        if (given.splits && experiments[given.experiment].plan?.training_sizes) {
            found << "--splits ${given.splits}: --experiment ${given.experiment} makes training sets of its own; leave this out."
        }
        if (given.training_sizes && !experiments[given.experiment].plan?.training_sizes) {
            found << "--training_sizes is for --experiment saturation."
        }
        found
    }

    /** The dataset's task, according to its preset. */
    private String taskOf(Map given) {
        def own = Inputs.preset(given)
        def text = own ? (Files.isRegularFile(own) ? own.text : '{}') : null
        try {
            def preset = text != null ? Json.parse(text) : schema.json('conf/datasets.json')[given.dataset]
            return (preset instanceof Map ? preset.task : null) ?: Tasks.DEFAULT
        } catch (groovy.json.JsonException ignored) {  // pocket-check reports the error in the file
            return Tasks.DEFAULT
        }
    }

    /** Format a value for messages. The part of an address before `@` is hidden, because it may contain a password; the
        path of a SQLite store may contain `@`. */
    private static String shown(Map rule, Object value) {
        def text = value instanceof Collection ? value.join(',') : value.toString()
        rule['x-no-credentials'] ? text.replaceAll(/(?s)^(?!sqlite:)(.*?)\/\/.*@/, '$1//…@') : text
    }

    /** Whether a parameter has no value: it is empty, or alone on the command line, where Nextflow sets it to true or 'true'. */
    private static boolean valueless(Object value) {
        def one = value instanceof Collection && value.size() == 1 ? value[0] : value
        one.toString().trim() in ['true', '']
    }

    private List<String> wrongValue(Map rule, Object value) {
        if (rule.type == 'boolean') return value instanceof Boolean ? [] : ["expected true or false, not '$value'."]
        if (valueless(value)) return ["a value is missing (expected: ${Schema.typeName(rule)})."]
        if (value instanceof Map || rule.type != 'array' && value instanceof Collection) {
            return ["expected one ${Schema.typeName(rule)}, not a ${value instanceof Map ? 'map' : 'list'}."]
        }
        if (rule.type != 'array') return wrongItem(rule, value)
        def found = value instanceof Collection ? value.collectMany { item -> wrongItem(rule.items, item) } : wrongItem(rule.items, value)
        def list = value as List
        if (rule.minItems && list.size() < rule.minItems) found << "expected at least ${rule.minItems} item${rule.minItems > 1 ? 's' : ''}."
        if (rule.maxItems && list.size() > rule.maxItems) found << "expected at most ${rule.maxItems} items."
        if (rule.uniqueItems && list.toSet().size() < list.size()) found << 'an item is given twice.'
        found
    }

    private List<String> wrongItem(Map rule, Object value) {
        def text = value.toString()
        def quoted = "'$text'"
        if (rule.type == 'integer') {
            if (!(value instanceof Integer || value instanceof Long)) return ["expected a whole number, not $quoted."]
            return rule.minimum != null && value < rule.minimum ? ["expected ${rule.minimum} or more."] : []
        }
        if (!(value instanceof CharSequence)) return ["expected text, not $quoted."]
        if (rule['x-or-file'] && text.endsWith(rule['x-or-file'])) return wrongFile(text)
        if (rule['x-no-credentials'] && text ==~ /(?s)(?!sqlite:).*\/\/.*@.*/) {
            return ['an address with a user name or password in it is not taken: it would stand in logs and records. ' +
                    'Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the ' +
                    'environment; and change this password, since .nextflow.log has the command now.']
        }
        def values = schema.choices(rule)
        def valid = rule.pattern ? text ==~ rule.pattern : !(rule.enum || rule['x-keys-of']) || text in values
        if (!valid) return ["$quoted is not valid.${suggestion(text, values)}${schema.known(rule)}"]
        rule.format && rule.exists ? wrongPath(rule.format, text) : []
    }

    private static List<String> wrongPath(String format, String text) {
        def path = Path.of(text)
        if (format == 'directory-path' ? !Files.isDirectory(path) : !Files.isRegularFile(path)) {
            return ["there is no such ${format == 'directory-path' ? 'folder' : 'file'}."]
        }
        PathNames.unusable(path)
    }

    private static List<String> wrongFile(String text) {
        def path = Path.of(text)
        if (!Files.isRegularFile(path)) return ['there is no such file.']
        path.fileName.toString() ==~ /[A-Za-z0-9][A-Za-z0-9_.-]*/ ? PathNames.unusable(path) :
            ["its name is used: letters, digits, '_', '-' and '.', beginning with a letter or digit."]
    }

    private static String suggestion(String word, Collection<String> valid, String prefix = '') {
        def nearest = valid.min { candidate -> distance(word.toLowerCase(), candidate.toLowerCase()) }
        def near = nearest && distance(word.toLowerCase(), nearest.toLowerCase()) <= Math.max(2, nearest.size().intdiv(2))
        near ? " Did you mean $prefix$nearest?" : prefix ? ' --help lists them all.' : ''
    }

    private static String snake(String name) {
        name.replace('-', '_').replaceAll(/([a-z0-9])([A-Z])/) { all, before, capital -> "${before}_${capital}" }.toLowerCase()
    }

    /** Levenshtein distance: the minimum number of single-character edits between two words. */
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
