/* html.h: pieces of a page. */
#ifndef NDARTS_RUNTIME_REPORT_HTML_H
#define NDARTS_RUNTIME_REPORT_HTML_H

#include "base/str.h"

void html_add_cell(Str *s, const char *text); /* of a table, for a number */
/* svg NULL: what to install for it. */
void html_add_picture(Str *s, const char *svg, const char *description, const char *program);

#endif
