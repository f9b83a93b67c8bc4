/* unicode.c: UTF-8, and a table of characters that are taken for others. They come from text processors, web pages and
 * chats, which put them in place of what was typed. */
#include "base/unicode.h"

#include <string.h>

size_t unicode_decode(const char *at, const char *end, uint32_t *code) {
    const unsigned char *bytes = (const unsigned char *)at;
    size_t length = at >= end ? 0 : *at ? str_utf8_length(at) : 1;
    if (length > (size_t)(end - at))
        return 0;
    if (length)
        *code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        *code = *code << 6 | (bytes[i] & 0x3f);
    return length;
}

typedef struct Range {
    uint32_t first, last;
} Range;

static bool is_in(const Range *ranges, size_t count, uint32_t code) {
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

/* ---- look-alikes ---- */

typedef struct Lookalike {
    uint32_t first, last;
    const char *meaning; /* "": nothing at all */
    const char *name;
} Lookalike;

static const Lookalike lookalikes[] = {
    {0x00a0, 0x00a0, " ", "no-break space"},
    {0x00ab, 0x00ab, "\"", "typographic quote"},
    {0x00ad, 0x00ad, "", "soft hyphen"},
    {0x00b7, 0x00b7, "*", "middle dot"},
    {0x00bb, 0x00bb, "\"", "typographic quote"},
    {0x00d7, 0x00d7, "*", "multiplication sign"},
    {0x00f7, 0x00f7, "/", "division sign"},
    {0x034f, 0x034f, "", "grapheme joiner"},
    {0x061c, 0x061c, "", "direction mark"},
    {0x1680, 0x1680, " ", "space mark"},
    {0x180e, 0x180e, "", "vowel separator"},
    {0x2000, 0x200a, " ", "space of another width"},
    {0x200b, 0x200b, "", "zero-width space"},
    {0x200c, 0x200d, "", "zero-width joiner"},
    {0x200e, 0x200f, "", "direction mark"},
    {0x2010, 0x2015, "-", "dash"},
    {0x2018, 0x201f, "\"", "typographic quote"},
    {0x2024, 0x2024, ".", "leader dot"},
    {0x2025, 0x2026, "..", "dots in one character"},
    {0x2028, 0x2029, " ", "line separator"},
    {0x202a, 0x202e, "", "direction mark"},
    {0x202f, 0x202f, " ", "narrow no-break space"},
    {0x2032, 0x2036, "\"", "prime"},
    {0x2039, 0x203a, "\"", "typographic quote"},
    {0x2044, 0x2044, "/", "fraction slash"},
    {0x205f, 0x205f, " ", "mathematical space"},
    {0x2060, 0x2064, "", "invisible operator"},
    {0x2066, 0x2069, "", "direction mark"},
    {0x2212, 0x2212, "-", "minus sign"},
    {0x2215, 0x2215, "/", "division slash"},
    {0x2217, 0x2217, "*", "asterisk operator"},
    {0x2223, 0x2223, "|", "vertical bar"},
    {0x2260, 0x2260, "!=", "not equal"},
    {0x2264, 0x2264, "<=", "at most"},
    {0x2265, 0x2265, ">=", "at least"},
    {0x3000, 0x3000, " ", "ideographic space"},
    {0xfe00, 0xfe0f, "", "variation selector"},
    {0xfeff, 0xfeff, "", "byte order mark"},
};

/* Letters of other alphabets that look like Latin ones. */
static const struct Letter {
    uint32_t code;
    char meaning;
} letters[] = {
    {0x0391, 'A'}, {0x0392, 'B'}, {0x0395, 'E'}, {0x0396, 'Z'}, {0x0397, 'H'}, {0x0399, 'I'}, {0x039a, 'K'},
    {0x039c, 'M'}, {0x039d, 'N'}, {0x039f, 'O'}, {0x03a1, 'P'}, {0x03a4, 'T'}, {0x03a5, 'Y'}, {0x03a7, 'X'},
    {0x03bf, 'o'}, {0x0405, 'S'}, {0x0406, 'I'}, {0x0408, 'J'}, {0x0410, 'A'}, {0x0412, 'B'}, {0x0415, 'E'},
    {0x041a, 'K'}, {0x041c, 'M'}, {0x041d, 'H'}, {0x041e, 'O'}, {0x0420, 'P'}, {0x0421, 'C'}, {0x0422, 'T'},
    {0x0425, 'X'}, {0x0430, 'a'}, {0x0435, 'e'}, {0x043e, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0443, 'y'},
    {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'},
};

enum { FULL_WIDTH_FIRST = 0xff01, FULL_WIDTH_LAST = 0xff5e, FULL_WIDTH_SHIFT = 0xff00 - 0x20 };

static const Lookalike *find_lookalike(uint32_t code) {
    for (size_t i = 0; i < sizeof lookalikes / sizeof lookalikes[0]; i++)
        if (code >= lookalikes[i].first && code <= lookalikes[i].last)
            return &lookalikes[i];
    return NULL;
}

/* The printable ASCII character c as a text. */
static const char *ascii(char c) {
    static const char all[] =
        "!\0\"\0#\0$\0%\0&\0'\0(\0)\0*\0+\0,\0-\0.\0/\0"
        "0\0001\0002\0003\0004\0005\0006\0007\0008\0009\0:\0;\0<\0=\0>\0?\0@\0"
        "A\0B\0C\0D\0E\0F\0G\0H\0I\0J\0K\0L\0M\0N\0O\0P\0Q\0R\0S\0T\0U\0V\0W\0X\0Y\0Z\0"
        "[\0\\\0]\0^\0_\0`\0"
        "a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0q\0r\0s\0t\0u\0v\0w\0x\0y\0z\0{\0|\0}\0~";
    return all + 2 * (c - '!');
}

const char *unicode_meaning(uint32_t code) {
    const Lookalike *found = find_lookalike(code);
    if (found)
        return found->meaning;
    if (code >= FULL_WIDTH_FIRST && code <= FULL_WIDTH_LAST)
        return ascii((char)(code - FULL_WIDTH_SHIFT));
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (letters[i].code == code)
            return ascii(letters[i].meaning);
    return NULL;
}

static const char *name_of(uint32_t code) {
    const Lookalike *found = find_lookalike(code);
    return found                                                      ? found->name
           : code >= FULL_WIDTH_FIRST && code <= FULL_WIDTH_LAST      ? "full-width form"
           : code >= 0x0370 && code < 0x0400 && unicode_meaning(code) ? "Greek letter"
           : code >= 0x0400 && code < 0x0500 && unicode_meaning(code) ? "Cyrillic letter"
                                                                      : NULL;
}

/* ---- showing ---- */

bool unicode_is_unseen(uint32_t code) {
    const char *meaning = find_lookalike(code) ? unicode_meaning(code) : NULL;
    bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    return control || (meaning && (!meaning[0] || meaning[0] == ' '));
}

int unicode_columns(uint32_t code) {
    static const Range wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},  {0x3041, 0x33ff},   {0x3400, 0x4dbf},
                                 {0x4e00, 0xa4cf},   {0xac00, 0xd7a3},  {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                                 {0xff01, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
                                 {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    static const Range marks[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f},
                                  {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe20, 0xfe2f}};
    return is_in(marks, sizeof marks / sizeof marks[0], code) ? 0
           : is_in(wide, sizeof wide / sizeof wide[0], code)  ? 2
                                                              : 1;
}

static void add_advice(Str *out, const char *meaning) {
    if (!meaning)
        return;
    if (!meaning[0])
        str_add(out, "; leave it out");
    else if (meaning[0] == ' ')
        str_add(out, "; use a blank");
    else
        str_addf(out, "; use '%s'", meaning);
}

void unicode_describe(Str *out, const char *at, const char *end) {
    uint32_t code = 0;
    size_t length = unicode_decode(at, end, &code);
    if (!length) {
        str_addf(out, "byte 0x%02x: this is not UTF-8", (unsigned char)*at);
        return;
    }
    const char *name = name_of(code);
    if (unicode_is_unseen(code))
        str_addf(out, name ? "U+%04X (%s)" : "U+%04X%s", code, name ? name : "");
    else if (code < 0x80)
        str_addf(out, "character '%c'", (char)code);
    else
        str_addf(out, name ? "'%.*s' (U+%04X, %s)" : "character '%.*s' (U+%04X)%s", (int)length, at, code,
                 name ? name : "");
    add_advice(out, unicode_meaning(code));
}
