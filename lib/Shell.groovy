/** Text in the scripts of tasks. */
class Shell {

    /** One word of a shell command that stands for the text, whatever characters it holds. */
    static String word(Object text) {
        def plain = text.toString()
        plain ==~ /[\w@%+=:,.\/-]+/ ? plain : "'" + plain.replace("'", "'\\''") + "'"
    }
}
