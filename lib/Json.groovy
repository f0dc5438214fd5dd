import groovy.json.JsonSlurper

/** JSON as maps and lists that several threads may read. JsonSlurper's own maps are built when they are first read, by
    whoever reads, so two operators that read one at the same time may each see a part of it. */
class Json {

    /** The value of a text, its keys in the text's order. JsonException where the text is none. */
    static Object parse(String text) { built(new JsonSlurper().parseText(text)) }

    private static Object built(Object value) {
        if (value instanceof Map) return value.collectEntries { key, item -> [key, built(item)] }
        value instanceof List ? value.collect { item -> built(item) } : value
    }
}
