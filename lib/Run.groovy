import java.lang.management.ManagementFactory
import java.nio.file.Path
import nextflow.Global

/** The start and end of a run, outside its tasks. */
class Run {

    /** All problems that prevent the run from starting, one line each. */
    static List<String> problems(Map given, Object project, Object workflow) {
        def words = Global.session.binding.getVariable('args') as List<String>
        if (workflow.stubRun) words = words - 'true'  // Nextflow adds it after -stub-run
        def found = Problems.leftOver(words) + new Problems(project).of(given)
        if (found || given.help) return found
        found += Problems.missingImage(workflow.container) +
            Problems.nodes(given.nodes, Global.session.config.process?.executor ?: 'local', workflow.containerEngine) +
            (workflow.preview ? [] : Problems.missingSlurm(Global.session.config.process?.executor) +
                PathNames.unusable(workflow.workDir) + PathNames.unusableClone(project as Path) +
                PathNames.unusableStore(Parameters.storeFile(given)) +
                Published.of(given).problems() + Containers.folders(given).collectMany { folder -> Problems.notWritable(folder) })
        found
    }

    /** Configure the run, and write the parameters to its records. */
    static void prepare(Map given, Object project, Object workflow) {
        PathNames.escapeAll()
        // Environment variables, not inputs of the training, so that another --outdir or --mlflow_uri does not cause a new
        // training. URL-encoded, because Nextflow writes them into a script unquoted; modules/train.nf decodes them.
        Global.session.config.env.POCKET_LIVE_MLFLOW_URI = URLEncoder.encode(given.mlflow_uri ?: 'none', 'UTF-8')
        Global.session.config.env.POCKET_CHECKPOINTS = URLEncoder.encode(new File(given.results, 'checkpoints').absolutePath, 'UTF-8')
        if (given.watts_per_core) Global.session.config.env.POCKET_WATTS_PER_CORE = given.watts_per_core
        // Closures cannot set these. The local executor divides the machine among its tasks. Other executors have queues
        // for that, and support job arrays of at least two tasks.
        def config = Global.session.config
        if ((config.process.executor ?: 'local') == 'local') {
            config.executor.cpus = given.max_cpus ?: Runtime.runtime.availableProcessors()
            config.executor.memory = given.max_memory ?: "${ManagementFactory.operatingSystemMXBean.totalMemorySize} B".toString()
        } else if ((given.slurm_array ?: 0) > 1) {
            config.process['withName:READ|PREPROCESS|INFER'] = [array: given.slurm_array]
        }
        if (workflow.preview) return
        Published.of(given).claim().each { warning -> println "Warning: $warning" }
        Parameters.save(given, project)
    }

    /** Print the paths of the results, or advice after a failure. */
    static void ended(Map given, Object project, Object workflow) {
        if (workflow.preview) return
        Published.of(given).complete()
        Published.of(given).release()
        println(workflow.success ? Messages.done(Path.of(given.results).toAbsolutePath().normalize(), Parameters.store(given), project, given.experiment)
                                 : Messages.failed(workflow.exitStatus, workflow.errorMessage))
    }
}
