/* Tested by tests/cluster/test_first_password.py. */
#include "cli/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

bool cli_secret_read(const char *prompt, struct buf *secret)
{
    struct termios before;
    char *line = NULL;
    size_t room = 0;
    bool terminal = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        struct termios silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        fputs(prompt, stderr);
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    bool got = getline(&line, &room, stdin) >= 0;
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (got) {
        line[strcspn(line, "\r\n")] = '\0';
        buf_append_str(secret, line);
    }
    free(line);
    return got && secret->bytes > 0;
}
