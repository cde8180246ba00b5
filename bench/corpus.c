/*
 * A large body of log lines out of small real files, for the benchmarks.
 *
 *     corpus DIR BYTES WORD FILE...
 *
 * Writes DIR/NAME for each FILE: its lines again and again, together BYTES, every file as often as
 * every other. On each pass but the first the times of day are shifted and the numbers of three
 * digits and more are others, the same number becoming the same number within a pass: so lines
 * resemble each other as much as the real ones do, and none comes twice. WORD is put at the end of
 * one line of each file, if it is not empty: a word that is rare.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEEDLES 1
#define STRIDE 104729 /* a prime: no two passes alike */
#define SHIFT_MINUTES 37

struct text {
    char *data;
    size_t bytes;
};

static void fail(const char *what)
{
    fprintf(stderr, "corpus: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct text read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fail(path);
    }
    struct text text = {NULL, (size_t)ftell(file)};
    rewind(file);
    text.data = malloc(text.bytes + 1);
    if (text.data == NULL || fread(text.data, 1, text.bytes, file) != text.bytes) {
        fail(path);
    }
    fclose(file);
    if (text.bytes > 0 && text.data[text.bytes - 1] != '\n') {
        text.data[text.bytes++] = '\n';
    }
    size_t kept = 0; /* without empty lines */
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] != '\n' || (kept > 0 && text.data[kept - 1] != '\n')) {
            text.data[kept++] = text.data[i];
        }
    }
    text.bytes = kept;
    return text;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* hh:mm, at least. */
static bool is_clock(const char *at, const char *end)
{
    return end - at >= 6 && at[2] == ':' && is_digit(at[3]) && is_digit(at[4]) &&
           !is_digit(at[5]) && at[0] < '3' && at[3] < '6';
}

static void shift_clock(char *at, uint64_t pass)
{
    unsigned minutes = (unsigned)(at[0] - '0') * 600 + (unsigned)(at[1] - '0') * 60 +
                       (unsigned)(at[3] - '0') * 10 + (unsigned)(at[4] - '0');
    minutes = (unsigned)((minutes + pass * SHIFT_MINUTES) % 1440);
    at[0] = (char)('0' + minutes / 600);
    at[1] = (char)('0' + minutes / 60 % 10);
    at[3] = (char)('0' + minutes % 60 / 10);
    at[4] = (char)('0' + minutes % 10);
}

/* As many digits as before. */
static void change_number(char *at, size_t digits, uint64_t pass)
{
    uint64_t value = 0;
    uint64_t bound = 1;
    size_t from = digits > 18 ? digits - 18 : 0;
    for (size_t i = from; i < digits; i++) {
        value = value * 10 + (uint64_t)(at[i] - '0');
        bound *= 10;
    }
    value = (value + pass * STRIDE) % bound;
    for (size_t i = digits; i > from; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
}

static bool is_year(const char *at, size_t digits)
{
    return digits == 4 && (memcmp(at, "20", 2) == 0 || memcmp(at, "19", 2) == 0);
}

static bool is_zone(struct text text, const char *at)
{
    return at > text.data && at[-1] == '+';
}

static void change(struct text text, uint64_t pass)
{
    char *end = text.data + text.bytes;
    for (char *at = text.data; at < end;) {
        size_t digits = 0;
        while (at + digits < end && is_digit(at[digits])) {
            digits++;
        }
        if (digits == 2 && is_clock(at, end)) {
            shift_clock(at, pass);
            digits = 5;
        } else if (digits >= 3 && !is_year(at, digits) && !is_zone(text, at)) {
            change_number(at, digits, pass);
        }
        at += digits > 0 ? digits : 1;
    }
}

static void write_lines(FILE *out, const char *data, size_t bytes, const char *path)
{
    if (fwrite(data, 1, bytes, out) != bytes) {
        fail(path);
    }
}

/* Whole lines of at most `room` bytes, the word behind the last of them if there is one. */
static size_t write_some(FILE *out, struct text text, size_t room, const char *word,
                         const char *path)
{
    size_t bytes = text.bytes < room ? text.bytes : room;
    while (bytes > 0 && text.data[bytes - 1] != '\n') {
        bytes--;
    }
    write_lines(out, text.data, bytes, path);
    if (word != NULL && bytes > 0) {
        fseek(out, -1, SEEK_CUR);
        fprintf(out, " %s\n", word);
    }
    return bytes;
}

static void make(const char *dir, const char *path, uint64_t bytes, const char *word)
{
    struct text text = read_file(path);
    struct text changed = {malloc(text.bytes + 1), text.bytes};
    const char *slash = strrchr(path, '/');
    char name[4096];
    snprintf(name, sizeof(name), "%s/%s", dir, slash == NULL ? path : slash + 1);
    FILE *out = fopen(name, "wb");
    if (out == NULL || changed.data == NULL) {
        fail(name);
    }
    uint64_t done = 0;
    unsigned needles = 0;
    for (uint64_t pass = 0; done < bytes; pass++) {
        memcpy(changed.data, text.data, text.bytes);
        if (pass > 0) {
            change(changed, pass);
        }
        bool due = needles < NEEDLES && word[0] != '\0' &&
                   (done + text.bytes) * (NEEDLES + 1) > bytes * (needles + 1);
        size_t room = bytes - done < text.bytes ? (size_t)(bytes - done) : text.bytes;
        size_t put = write_some(out, changed, room, due ? word : NULL, name);
        if (put == 0) {
            break; /* no room for another line */
        }
        needles += due ? 1 : 0;
        done += put;
    }
    if (fclose(out) != 0) {
        fail(name);
    }
    free(text.data);
    free(changed.data);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "corpus DIR BYTES WORD FILE...\n");
        return 2;
    }
    uint64_t bytes = strtoull(argv[2], NULL, 10);
    uint64_t sum = 0;
    for (int i = 4; i < argc; i++) {
        struct text text = read_file(argv[i]);
        sum += text.bytes;
        free(text.data);
    }
    for (int i = 4; i < argc; i++) {
        struct text text = read_file(argv[i]);
        make(argv[1], argv[i],
             sum == 0 ? 0 : (uint64_t)((double)bytes * (double)text.bytes / (double)sum), argv[3]);
        free(text.data);
    }
    return 0;
}
