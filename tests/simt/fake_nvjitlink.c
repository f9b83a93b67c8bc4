/* fake_nvjitlink.c: a libnvJitLink without any of its functions, as if there were none. */
extern int nothing;
int nothing;
