/* Tested by tests/cluster/test_first_password.py. */
#include "cli/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"

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

/* The only line of the file. */
static int secret_of_file(struct io *io, const char *path, struct buf *secret)
{
    int rc = io_read_file(io, path, CLI_SECRET_BYTES_MAX + 2, secret);
    while (secret->bytes > 0 && strchr("\r\n", secret->data[secret->bytes - 1]) != NULL) {
        secret->bytes--;
    }
    if (rc == 0 && span_find_byte(buf_span(secret), '\n') >= 0) {
        rc = err_set(ERR_INVALID, "%s has more than one line", path);
    }
    return rc;
}

/* On a terminal twice, since nobody sees what he types. */
static int secret_of_hand(const char *name, struct buf *secret)
{
    struct buf again = {0};
    char *prompt = mem_printf("new password of %s: ", name);
    int rc = cli_secret_read(prompt, secret)
                 ? 0
                 : err_set(ERR_INVALID, "no new password: type it, or give it with "
                                        "--password-file or as the next line of standard input");
    if (rc == 0 && isatty(STDIN_FILENO) == 1) {
        (void)cli_secret_read("the same once more: ", &again);
        rc = span_equal(buf_span(&again), buf_span(secret))
                 ? 0
                 : err_set(ERR_INVALID, "the two differ; nothing was changed");
    }
    mem_free(prompt);
    buf_deinit(&again);
    return rc;
}

int cli_secret_new(struct io *io, const char *name, const char *path, struct buf *secret)
{
    int rc = path != NULL ? secret_of_file(io, path, secret) : secret_of_hand(name, secret);
    struct span text = buf_span(secret);
    if (rc < 0) {
        return rc;
    }
    if (text.bytes == 0 || text.bytes > CLI_SECRET_BYTES_MAX) {
        return err_set(ERR_INVALID, "a password has 1 to %d bytes, not %zu", CLI_SECRET_BYTES_MAX,
                       text.bytes);
    }
    return text_is_utf8(text) && span_find_byte(text, 0) < 0
               ? 0
               : err_set(ERR_INVALID, "the new password is not UTF-8 text");
}
