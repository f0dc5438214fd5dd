// Read scripts (.nf) and configuration (.config) with the strict parser. Prints a line for each error, and their number. In
// scripts, names are looked up, but not those of classes in lib/; in configuration, the names of this version are too old.
import nextflow.config.control.ConfigParser
import nextflow.script.control.ScriptParser
import org.codehaus.groovy.control.messages.SyntaxErrorMessage

def parsers = [nf: new ScriptParser(), config: new ConfigParser()]
def sources = args.collectEntries { name -> [name, parsers[name.tokenize('.').last()].parse(new File(name))] }
parsers.nf.analyze()
sources.each { name, source ->
    source.errorCollector.errors.findAll { error -> error instanceof SyntaxErrorMessage }.each { error ->
        println "$name:$error.cause.line: $error.cause.originalMessage"
    }
}
println "read: ${sources.size()}"
