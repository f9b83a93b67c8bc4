/* quote.h: any text as a piece of another language, in which it can be nothing but text. Every name, path and setting
 * that goes to another program, or into a page or a source file, goes through one of these. Bytes
 * that are no UTF-8, and control characters with line breaks, are shown as \xHH. */
#ifndef NDARTS_BASE_QUOTE_H
#define NDARTS_BASE_QUOTE_H

#include "base/str.h"

/* For HTML, XML and SVG, between tags or in an attribute's value; and for a label of Graphviz in <...>. */
void quote_xml(Str *s, const char *text);
/* For Graphviz, between double quotes: a name or a label. */
void quote_dot(Str *s, const char *text);
/* For gnuplot: a whole string, with its quotes. */
void quote_gnuplot(Str *s, const char *text);
/* For C, inside of a comment: it neither ends there nor begins anew. */
void quote_comment(Str *s, const char *text);

#endif
