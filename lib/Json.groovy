import groovy.json.JsonSlurper

/** JSON as thread-safe maps and lists. JsonSlurper builds its maps lazily on first access, so two operators that read one
    at the same time may see an incomplete map. */
class Json {

    /** Parse JSON, keeping the order of keys. Throws JsonException if the text is not JSON. */
    static Object parse(String text) { built(new JsonSlurper().parseText(text)) }

    private static Object built(Object value) {
        if (value instanceof Map) return value.collectEntries { key, item -> [key, built(item)] }
        value instanceof List ? value.collect { item -> built(item) } : value
    }
}
