import java.nio.file.Files
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
        if (!workflow.preview) Parameters.save(given, project)
    }

    /** Say where everything is, or what to do. */
    static void ended(Map given, Object project, Object workflow) {
        if (workflow.preview) return
        println(workflow.success ? Messages.done(Path.of(given.results).toAbsolutePath().normalize(), Parameters.store(given), project, given.experiment)
                                 : Messages.failed(workflow.exitStatus, workflow.errorMessage))
    }
}
