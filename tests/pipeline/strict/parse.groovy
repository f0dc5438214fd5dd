// Parse scripts (.nf) and configuration (.config) with the strict parser. Prints a line for each error, and their number.
// Names are not looked up: they need the classes of lib/ and of Nextflow.
import nextflow.config.control.ConfigParser
import nextflow.script.control.ScriptParser
import org.codehaus.groovy.control.messages.SyntaxErrorMessage

def parsers = [nf: new ScriptParser(), config: new ConfigParser()]
args.each { name ->
    def source = parsers[name.tokenize('.').last()].parse(new File(name))
    source.errorCollector.errors.findAll { error -> error instanceof SyntaxErrorMessage }.each { error ->
        println "$name:$error.cause.line: $error.cause.originalMessage"
    }
}
println "parsed: ${args.size()}"
