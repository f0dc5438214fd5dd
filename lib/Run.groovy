import java.lang.management.ManagementFactory
import java.nio.file.Path
import nextflow.Global

/** A run's start and its end, as far as they are not tasks. */
class Run {

    /** Everything that keeps the run from starting, a line each. */
    static List<String> problems(Map given, Object project, Object workflow) {
        def words = Global.session.binding.getVariable('args') as List<String>
        if (workflow.stubRun) words = words - 'true'  // Nextflow's own, after -stub-run
        def found = Problems.leftOver(words) + new Problems(project).of(given)
        if (found || given.help) return found
        found + Problems.missingImage(workflow.container) +
            (workflow.preview ? [] : Problems.missingSlurm(Global.session.config.process?.executor) +
                Problems.unsafe(workflow.workDir) + Containers.folders(given).collectMany { folder -> Problems.notWritable(folder) })
    }

    /** Leave the parameters among the run's records. */
    static void prepare(Map given, Object project, Object workflow) {
        // Not inputs of the training: another --outdir or --mlflow_uri is no reason to train again. In the form of a web
        // address's query, since Nextflow writes these into a script without quoting them; modules/train.nf decodes them.
        Global.session.config.env.POCKET_LIVE_MLFLOW_URI = URLEncoder.encode(given.mlflow_uri ?: 'none', 'UTF-8')
        Global.session.config.env.POCKET_CHECKPOINTS = URLEncoder.encode(new File(given.results, 'checkpoints').absolutePath, 'UTF-8')
        // What no closure can say. The local executor shares the machine among its tasks; the others have queues for that,
        // and job arrays of two tasks or more.
        def config = Global.session.config
        if ((config.process.executor ?: 'local') == 'local') {
            config.executor.cpus = given.max_cpus ?: Runtime.runtime.availableProcessors()
            config.executor.memory = given.max_memory ?: "${ManagementFactory.operatingSystemMXBean.totalMemorySize} B".toString()
        } else if ((given.slurm_array ?: 0) > 1) {
            config.process['withName:PREPROCESS|INFER'] = [array: given.slurm_array]
        }
        if (!workflow.preview) Parameters.save(given, project)
    }

    /** Say where everything is, or what to do. */
    static void ended(Map given, Object project, Object workflow) {
        if (workflow.preview) return
        println(workflow.success ? Messages.done(Path.of(given.results).toAbsolutePath().normalize(), Parameters.store(given), project, given.experiment)
                                 : Messages.failed(workflow.exitStatus, workflow.errorMessage))
    }
}
