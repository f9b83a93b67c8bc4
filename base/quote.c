/* quote.c: each language by a rule for one character at a time. */
#include "base/quote.h"

/* Bytes of the character at text; 0: none that can be shown and be part of an XML document. */
static size_t character_length(const char *text) {
    const unsigned char *b = (const unsigned char *)text;
    size_t length = str_utf8_length(text);
    bool control = length == 1 ? b[0] < 0x20 || b[0] == 0x7f : length == 2 && b[0] == 0xc2 && b[1] < 0xa0;
    bool none = length >= 3 && (b[length - 1] & 0xfe) == 0xbe && b[length - 2] == 0xbf; /* U+FFFE, U+FFFF */
    return control || none ? 0 : length;
}

/* What stands for a character that means something in the language; NULL: itself. */
typedef const char *Special(const char *at);

static void add_character(Str *s, const char *at, size_t length, Special *special) {
    const char *instead = length == 1 ? special(at) : NULL;
    if (instead)
        str_add(s, instead);
    else
        str_add_bytes(s, at, length);
}

static void quote(Str *s, const char *text, Special *special) {
    for (size_t length; *text; text += length) {
        length = character_length(text);
        if (length) {
            add_character(s, text, length, special);
            continue;
        }
        add_character(s, "\\", 1, special);
        str_addf(s, "x%02x", (unsigned)(unsigned char)*text);
        length = 1;
    }
}

static const char *special_xml(const char *at) {
    return *at == '<'    ? "&lt;"
           : *at == '>'  ? "&gt;"
           : *at == '&'  ? "&amp;"
           : *at == '"'  ? "&quot;"
           : *at == '\'' ? "&#39;"
                         : NULL;
}

void quote_xml(Str *s, const char *text) {
    quote(s, text, special_xml);
}

/* A label knows \N, \G, \l and entities besides. */
static const char *special_dot(const char *at) {
    return *at == '"' ? "\\\"" : *at == '\\' ? "\\\\" : *at == '&' ? "&amp;" : NULL;
}

void quote_dot(Str *s, const char *text) {
    quote(s, text, special_dot);
}

/* Its SVG leaves '>' as it is, and in XML ]]> is not text. */
static const char *special_gnuplot(const char *at) {
    return *at == '\'' ? "''" : at[0] == ']' && at[1] == ']' && at[2] == '>' ? "] " : NULL;
}

/* Between double quotes gnuplot runs what is in `...`; between single ones it reads nothing but quotes. */
void quote_gnuplot(Str *s, const char *text) {
    str_add(s, "'");
    quote(s, text, special_gnuplot);
    str_add(s, "'");
}

static const char *special_comment(const char *at) {
    return at[0] == '*' && at[1] == '/' ? "+" : at[0] == '/' && at[1] == '*' ? "|" : NULL;
}

void quote_comment(Str *s, const char *text) {
    quote(s, text, special_comment);
}
