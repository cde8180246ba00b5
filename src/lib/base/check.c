#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

static void (*check_hook)(void);

void check_set_hook(void (*hook)(void))
{
    check_hook = hook;
}

void check_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "CHECK failed: %s at %s:%d in %s\n", condition, file, line, function);
    if (check_hook != NULL) {
        void (*hook)(void) = check_hook;
        check_hook = NULL;
        hook();
    }
    abort();
}
