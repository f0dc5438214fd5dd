/** Quoting for the scripts of tasks. */
class Shell {

    /** Quote any text as a single word of a shell command. */
    static String word(Object text) {
        def plain = text.toString()
        plain ==~ /[\w@%+=:,.\/-]+/ ? plain : "'" + plain.replace("'", "'\\''") + "'"
    }
}
