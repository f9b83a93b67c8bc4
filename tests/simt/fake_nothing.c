/* fake_nothing.c: a library without any of its functions, as if there were none. */
extern int nothing;
int nothing;
