/* html.c: pieces of a page. */
#include "runtime/report/html.h"

#include "base/quote.h"

#include <ctype.h>
#include <string.h>

void html_add_picture(Str *s, const char *svg, const char *description, const char *program) {
    if (!svg) {
        str_addf(s, "<p class=\"missing\">No picture of the %s: %s is not installed, or failed.</p>\n", description,
                 program);
        return;
    }
    str_add(s, "<img alt=\"");
    quote_xml(s, description);
    str_add(s, "\" src=\"data:image/svg+xml,");
    for (const char *c = svg; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr(" =/.,-_;()'", *c))
            str_add_bytes(s, *c == ' ' ? "%20" : c, *c == ' ' ? 3 : 1);
        else
            str_addf(s, "%%%02X", (unsigned char)*c);
    }
    str_add(s, "\">\n");
}

void html_add_cell(Str *s, const char *text) {
    str_add(s, "<td class=\"n\">");
    quote_xml(s, text);
    str_add(s, "</td>");
}
