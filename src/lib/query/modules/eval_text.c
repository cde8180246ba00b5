/*
 * The functions of eval about texts: strings, hashes, codings, paths, formats. Bytes, not
 * characters, unless said. Tested by eval_test.c.
 */
#include <ctype.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "query/modules/eval.h"

#define FORMAT_WIDTH_MAX 1000

/* The first `count` arguments as texts; false: one is undefined. */
static bool texts(struct eval_run *run, const struct eval_value *args, size_t count,
                  struct span *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (!eval_value_text(run, &args[i], &ret[i])) {
            return false;
        }
    }
    return true;
}

static bool give_text(struct span text, struct eval_value *ret)
{
    *ret = eval_of(query_value_of_text(text));
    return true;
}

static bool give_bool(bool yes, struct eval_value *ret)
{
    *ret = eval_of(query_value_of_bool(yes));
    return true;
}

/* Takes the buf. */
static bool give_buf(struct eval_run *run, struct buf *buf, struct eval_value *ret)
{
    *ret = eval_text(run, buf_span(buf));
    buf_deinit(buf);
    return run->why == NULL;
}

/* ── Strings ─────────────────────────────────────────────────────────────────────────────── */

static int64_t count_of(struct span text, struct span part)
{
    int64_t found = 0;
    ptrdiff_t at = 0;
    if (part.bytes == 0) {
        return (int64_t)text.bytes + 1;
    }
    while ((at = span_find(text, part)) >= 0) {
        text = span_from(text, (size_t)at + part.bytes);
        found++;
    }
    return found;
}

FUNCTION(s_count)
{
    UNUSED_ARGS();
    struct span t[2];
    if (!texts(run, args, 2, t)) {
        return false;
    }
    *ret = eval_of(query_value_of_i64(count_of(t[0], t[1])));
    return true;
}

FUNCTION(s_hasprefix)
{
    UNUSED_ARGS();
    struct span t[2];
    return texts(run, args, 2, t) && give_bool(span_starts_with(t[0], t[1]), ret);
}

FUNCTION(s_hassuffix)
{
    UNUSED_ARGS();
    struct span t[2];
    return texts(run, args, 2, t) && give_bool(span_ends_with(t[0], t[1]), ret);
}

FUNCTION(s_index)
{
    UNUSED_ARGS();
    struct span t[2];
    if (!texts(run, args, 2, t)) {
        return false;
    }
    *ret = eval_of(query_value_of_i64(span_find(t[0], t[1])));
    return true;
}

FUNCTION(s_replace)
{
    struct span t[3];
    int64_t left = -1;
    (void)node;
    if (!texts(run, args, 3, t) || (count > 3 && !eval_integer(&args[3], &left))) {
        return false;
    }
    struct buf buf = {0};
    ptrdiff_t at = 0;
    while (left != 0 && t[1].bytes > 0 && (at = span_find(t[0], t[1])) >= 0) {
        buf_append(&buf, span_first(t[0], (size_t)at));
        buf_append(&buf, t[2]);
        t[0] = span_from(t[0], (size_t)at + t[1].bytes);
        left -= left > 0 ? 1 : 0;
        if (buf.bytes > EVAL_BYTES_MAX) {
            break;
        }
    }
    buf_append(&buf, t[0]);
    return give_buf(run, &buf, ret);
}

/* ASCII letters. */
static bool change_case(struct eval_run *run, const struct eval_value *args, bool upper,
                        struct eval_value *ret)
{
    struct span text;
    if (!eval_value_text(run, &args[0], &text)) {
        return false;
    }
    *ret = eval_text(run, text);
    uint8_t *made = (uint8_t *)(uintptr_t)ret->value.text.data; /* ours: just copied */
    for (size_t i = 0; run->why == NULL && i < text.bytes; i++) {
        if (made[i] < 0x80 && isalpha(made[i])) {
            made[i] = (uint8_t)(upper ? toupper(made[i]) : tolower(made[i]));
        }
    }
    return run->why == NULL;
}

FUNCTION(s_tolower)
{
    UNUSED_ARGS();
    return change_case(run, args, false, ret);
}

FUNCTION(s_toupper)
{
    UNUSED_ARGS();
    return change_case(run, args, true, ret);
}

static struct span trim(struct span text, struct span set, bool left, bool right)
{
    while (left && text.bytes > 0 && span_find_byte(set, text.data[0]) >= 0) {
        text = span_from(text, 1);
    }
    while (right && text.bytes > 0 && span_find_byte(set, text.data[text.bytes - 1]) >= 0) {
        text.bytes--;
    }
    return text;
}

FUNCTION(s_trim)
{
    UNUSED_ARGS();
    struct span t[2];
    return texts(run, args, 2, t) && give_text(trim(t[0], t[1], true, true), ret);
}

FUNCTION(s_trimleft)
{
    UNUSED_ARGS();
    struct span t[2];
    return texts(run, args, 2, t) && give_text(trim(t[0], t[1], true, false), ret);
}

FUNCTION(s_trimright)
{
    UNUSED_ARGS();
    struct span t[2];
    return texts(run, args, 2, t) && give_text(trim(t[0], t[1], false, true), ret);
}

FUNCTION(s_trimspace)
{
    UNUSED_ARGS();
    struct span t[1];
    return texts(run, args, 1, t) &&
           give_text(trim(t[0], SPAN_LIT(" \t\n\v\f\r"), true, true), ret);
}

FUNCTION(s_trimprefix)
{
    UNUSED_ARGS();
    struct span t[2];
    return texts(run, args, 2, t) &&
           give_text(span_from(t[0], span_starts_with(t[0], t[1]) ? t[1].bytes : 0), ret);
}

FUNCTION(s_trimsuffix)
{
    UNUSED_ARGS();
    struct span t[2];
    if (!texts(run, args, 2, t)) {
        return false;
    }
    size_t less = span_ends_with(t[0], t[1]) ? t[1].bytes : 0;
    return give_text(span_first(t[0], t[0].bytes - less), ret);
}

/* ── Formats ─────────────────────────────────────────────────────────────────────────────── */

struct verb {
    bool left, zero, plus;
    size_t width;
    int precision; /* -1: none */
    char letter;
};

/* After the %; returns how long it is. */
static size_t read_verb(struct span rest, struct verb *verb)
{
    size_t i = 0;
    *verb = (struct verb){.precision = -1};
    for (; i < rest.bytes && strchr("-0+", rest.data[i]) != NULL && rest.data[i] != 0; i++) {
        verb->left = verb->left || rest.data[i] == '-';
        verb->zero = verb->zero || rest.data[i] == '0';
        verb->plus = verb->plus || rest.data[i] == '+';
    }
    for (; i < rest.bytes && isdigit(rest.data[i]); i++) {
        verb->width =
            MIN(verb->width * 10 + (size_t)(rest.data[i] - '0'), (size_t)FORMAT_WIDTH_MAX);
    }
    if (i < rest.bytes && rest.data[i] == '.') {
        verb->precision = 0;
        for (i++; i < rest.bytes && isdigit(rest.data[i]); i++) {
            verb->precision = MIN(verb->precision * 10 + (rest.data[i] - '0'), 30);
        }
    }
    verb->letter = i < rest.bytes ? (char)rest.data[i] : '\0';
    return i < rest.bytes ? i + 1 : i;
}

static void put_integer(const struct verb *verb, int64_t number, struct buf *buf)
{
    switch (verb->letter) {
    case 'x':
        buf_printf(buf, "%" PRIx64, (uint64_t)number);
        break;
    case 'X':
        buf_printf(buf, "%" PRIX64, (uint64_t)number);
        break;
    case 'o':
        buf_printf(buf, "%" PRIo64, (uint64_t)number);
        break;
    case 'c':
        text_utf8_put(buf, number < 0 || number > 0x10FFFF ? 0xFFFD : (uint32_t)number);
        break;
    default:
        buf_printf(buf, verb->plus ? "%+" PRId64 : "%" PRId64, number);
        break;
    }
}

static void put_verb(struct eval_run *run, const struct verb *verb, const struct eval_value *value,
                     struct buf *buf)
{
    struct span text = SPAN_NONE;
    int64_t integer = 0;
    double real = 0;
    bool is_text = !value->list && value->value.type == QUERY_VALUE_TEXT;
    bool hex_text = is_text && (verb->letter == 'x' || verb->letter == 'X');
    if (verb->letter != '\0' && strchr("dxXoc", verb->letter) != NULL && !hex_text &&
        eval_integer(value, &integer)) {
        put_integer(verb, integer, buf);
    } else if (verb->letter != '\0' && strchr("feEgG", verb->letter) != NULL &&
               eval_real(value, &real)) {
        int digits = verb->precision < 0 ? 6 : verb->precision;
        verb->letter == 'f'   ? buf_printf(buf, "%.*f", digits, real)
        : verb->letter == 'e' ? buf_printf(buf, "%.*e", digits, real)
                              : buf_printf(buf, "%.*g", verb->precision < 0 ? 17 : digits, real);
    } else if (!eval_value_text(run, value, &text)) {
        buf_append_str(buf, "<nil>");
    } else if (hex_text) {
        text_hex(buf, text);
    } else if (verb->letter == 'q') {
        text_json_string(buf, text);
    } else {
        buf_append(buf, verb->precision < 0 ? text : span_first(text, (size_t)verb->precision));
    }
}

static void put_padded(const struct verb *verb, struct span text, struct buf *buf)
{
    size_t pad = verb->width > text.bytes ? verb->width - text.bytes : 0;
    bool zero = verb->zero && !verb->left;
    if (zero && pad > 0 && text.bytes > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        buf_append_byte(buf, text.data[0]);
        text = span_from(text, 1);
    }
    for (size_t i = 0; !verb->left && i < pad; i++) {
        buf_append_byte(buf, zero ? '0' : ' ');
    }
    buf_append(buf, text);
    for (size_t i = 0; verb->left && i < pad; i++) {
        buf_append_byte(buf, ' ');
    }
}

FUNCTION(t_printf)
{
    struct span format;
    struct buf buf = {0};
    size_t next = 1;
    (void)node;
    if (!eval_value_text(run, &args[0], &format)) {
        return false;
    }
    for (size_t i = 0; i < format.bytes && run->why == NULL; i++) {
        struct verb verb;
        if (format.data[i] != '%') {
            buf_append_byte(&buf, format.data[i]);
            continue;
        }
        i += read_verb(span_from(format, i + 1), &verb);
        if (verb.letter == '%') {
            buf_append_byte(&buf, '%');
        } else if (next < count) {
            struct buf one = {0};
            put_verb(run, &verb, &args[next++], &one);
            put_padded(&verb, buf_span(&one), &buf);
            buf_deinit(&one);
        } else {
            buf_append_str(&buf, "%!(MISSING)");
        }
    }
    return give_buf(run, &buf, ret);
}

/* In steps of `base`, with one digit after the point from the first step on. */
static bool pretty(struct eval_run *run, const struct eval_value *value, double base,
                   const char *const *units, const char *after, struct eval_value *ret)
{
    double real = 0;
    size_t unit = 0;
    if (!eval_real(value, &real)) {
        return false;
    }
    while (fabs(real) >= base && units[unit + 1] != NULL) {
        real /= base;
        unit++;
    }
    struct buf buf = {0};
    buf_printf(&buf, unit == 0 && floor(real) == real ? "%.0f%s%s%s" : "%.2f%s%s%s", real,
               units[unit][0] == '\0' ? "" : " ", units[unit], after);
    return give_buf(run, &buf, ret);
}

static const char *const sizes[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB", NULL};
static const char *const counts[] = {"", "K", "M", "G", "T", "P", "E", NULL};

FUNCTION(t_pretty_size)
{
    UNUSED_ARGS();
    return pretty(run, &args[0], 1024, sizes, "", ret);
}

FUNCTION(t_pretty_rate)
{
    UNUSED_ARGS();
    return pretty(run, &args[0], 1024, sizes, "/s", ret);
}

FUNCTION(t_pretty_count)
{
    UNUSED_ARGS();
    return pretty(run, &args[0], 1000, counts, "", ret);
}

FUNCTION(t_pretty_line_rate)
{
    UNUSED_ARGS();
    static const char *const bits[] = {"b", "Kb", "Mb", "Gb", "Tb", "Pb", "Eb", NULL};
    return pretty(run, &args[0], 1000, bits, "ps", ret);
}

/* ── Hashes and codings ──────────────────────────────────────────────────────────────────── */

static bool hash(struct eval_run *run, const struct eval_value *args,
                 gnutls_digest_algorithm_t algorithm, struct eval_value *ret)
{
    uint8_t digest[64];
    struct span text;
    struct buf buf = {0};
    if (!eval_value_text(run, &args[0], &text) ||
        gnutls_hash_fast(algorithm, text.data, text.bytes, digest) < 0) {
        return false;
    }
    text_hex(&buf, span_of(digest, gnutls_hash_get_len(algorithm)));
    return give_buf(run, &buf, ret);
}

#define HASH(function, algorithm)                                                                  \
    FUNCTION(function)                                                                             \
    {                                                                                              \
        UNUSED_ARGS();                                                                             \
        return hash(run, args, algorithm, ret);                                                    \
    }
HASH(h_md5, GNUTLS_DIG_MD5)
HASH(h_sha1, GNUTLS_DIG_SHA1)
HASH(h_sha256, GNUTLS_DIG_SHA256)
HASH(h_sha512, GNUTLS_DIG_SHA512)

static bool put_base64(struct buf *buf, struct span text)
{
    text_base64(buf, text);
    return true;
}

static bool put_hex(struct buf *buf, struct span text)
{
    text_hex(buf, text);
    return true;
}

static bool put_html(struct buf *buf, struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t c = text.data[i];
        const char *name = c == '<'    ? "&lt;"
                           : c == '>'  ? "&gt;"
                           : c == '&'  ? "&amp;"
                           : c == '"'  ? "&#34;"
                           : c == '\'' ? "&#39;"
                                       : NULL;
        if (name == NULL) {
            buf_append_byte(buf, c);
        } else {
            buf_append_str(buf, name);
        }
    }
    return true;
}

static bool put_no_html(struct buf *buf, struct span text)
{
    static const struct {
        const char *name;
        char c;
    } names[] = {{"&lt;", '<'},  {"&gt;", '>'},   {"&amp;", '&'},  {"&quot;", '"'},
                 {"&#34;", '"'}, {"&#39;", '\''}, {"&apos;", '\''}};
    while (text.bytes > 0) {
        size_t used = 0;
        for (size_t i = 0; i < ARRAY_COUNT(names) && used == 0; i++) {
            if (span_starts_with(text, span_of_str(names[i].name))) {
                used = strlen(names[i].name);
                buf_append_byte(buf, (uint8_t)names[i].c);
            }
        }
        if (used == 0) {
            buf_append_byte(buf, text.data[0]);
            used = 1;
        }
        text = span_from(text, used);
    }
    return true;
}

static bool coded(struct eval_run *run, const struct eval_value *args,
                  bool (*put)(struct buf *buf, struct span text), struct eval_value *ret)
{
    struct span text;
    struct buf buf = {0};
    if (!eval_value_text(run, &args[0], &text)) {
        return false;
    }
    if (!put(&buf, text)) {
        buf_deinit(&buf);
        return false;
    }
    return give_buf(run, &buf, ret);
}

#define CODING(function, how)                                                                      \
    FUNCTION(function)                                                                             \
    {                                                                                              \
        UNUSED_ARGS();                                                                             \
        return coded(run, args, how, ret);                                                         \
    }
CODING(c_base64, put_base64)
CODING(c_unbase64, text_unbase64)
CODING(c_hex, put_hex)
CODING(c_unhex, text_unhex)
CODING(c_html, put_html)
CODING(c_unhtml, put_no_html)

/* ── Paths ───────────────────────────────────────────────────────────────────────────────── */

static size_t last_slash(struct span path)
{
    size_t at = path.bytes;
    while (at > 0 && path.data[at - 1] != '/') {
        at--;
    }
    return at; /* just behind it; 0: there is none */
}

/* As Go's path.Clean. */
static void clean(struct span path, struct buf *buf)
{
    bool rooted = path.bytes > 0 && path.data[0] == '/';
    struct span piece;
    buf_append_str(buf, rooted ? "/" : "");
    while (span_split(&path, '/', &piece)) {
        bool up = span_equal_str(piece, "..");
        struct span done = buf_span(buf);
        size_t cut = last_slash(done);
        bool last_up = span_equal_str(span_from(done, cut), "..");
        if (piece.bytes == 0 || span_equal_str(piece, ".") || (up && rooted && done.bytes == 1)) {
            continue;
        }
        if (up && done.bytes > 0 && !last_up) {
            buf->bytes = cut > 1 || (cut == 1 && !rooted) ? cut - 1 : cut;
            continue;
        }
        buf_append_str(buf, done.bytes > 0 && done.data[done.bytes - 1] != '/' ? "/" : "");
        buf_append(buf, piece);
    }
    buf_append_str(buf, buf->bytes == 0 ? "." : "");
}

FUNCTION(p_clean)
{
    UNUSED_ARGS();
    struct span t[1];
    struct buf buf = {0};
    if (!texts(run, args, 1, t)) {
        return false;
    }
    clean(t[0], &buf);
    return give_buf(run, &buf, ret);
}

FUNCTION(p_base)
{
    UNUSED_ARGS();
    struct span t[1];
    if (!texts(run, args, 1, t)) {
        return false;
    }
    struct span path = trim(t[0], SPAN_LIT("/"), false, true);
    if (path.bytes == 0) {
        return give_text(t[0].bytes == 0 ? SPAN_LIT(".") : SPAN_LIT("/"), ret);
    }
    return give_text(span_from(path, last_slash(path)), ret);
}

FUNCTION(p_dir)
{
    UNUSED_ARGS();
    struct span t[1];
    struct buf buf = {0};
    if (!texts(run, args, 1, t)) {
        return false;
    }
    clean(span_first(t[0], last_slash(t[0])), &buf);
    return give_buf(run, &buf, ret);
}

FUNCTION(p_ext)
{
    UNUSED_ARGS();
    struct span t[1];
    if (!texts(run, args, 1, t)) {
        return false;
    }
    struct span base = span_from(t[0], last_slash(t[0]));
    size_t dot = base.bytes;
    while (dot > 0 && base.data[dot - 1] != '.') {
        dot--;
    }
    return give_text(dot == 0 ? SPAN_LIT("") : span_from(base, dot - 1), ret);
}

FUNCTION(p_isabs)
{
    UNUSED_ARGS();
    struct span t[1];
    return texts(run, args, 1, t) && give_bool(t[0].bytes > 0 && t[0].data[0] == '/', ret);
}

FUNCTION(p_join)
{
    (void)node;
    struct buf whole = {0};
    struct buf buf = {0};
    for (size_t i = 0; i < count; i++) {
        struct span text;
        if (!eval_value_text(run, &args[i], &text)) {
            buf_deinit(&whole);
            return false;
        }
        buf_append_str(&whole, whole.bytes > 0 && text.bytes > 0 ? "/" : "");
        buf_append(&whole, text);
    }
    clean(buf_span(&whole), &buf);
    buf_deinit(&whole);
    return give_buf(run, &buf, ret);
}

FUNCTION(p_match)
{
    UNUSED_ARGS();
    struct span t[2];
    return texts(run, args, 2, t) && give_bool(text_glob(t[0], t[1]), ret);
}

const struct eval_function eval_functions_text[] = {
    {"strings_count", 2, 2, false, s_count},
    {"strings_hasprefix", 2, 2, false, s_hasprefix},
    {"strings_hassuffix", 2, 2, false, s_hassuffix},
    {"strings_index", 2, 2, false, s_index},
    {"strings_replace", 3, 4, false, s_replace},
    {"strings_tolower", 1, 1, false, s_tolower},
    {"strings_totitle", 1, 1, false, s_toupper},
    {"strings_toupper", 1, 1, false, s_toupper},
    {"strings_trim", 2, 2, false, s_trim},
    {"strings_trimleft", 2, 2, false, s_trimleft},
    {"strings_trimright", 2, 2, false, s_trimright},
    {"strings_trimprefix", 2, 2, false, s_trimprefix},
    {"strings_trimsuffix", 2, 2, false, s_trimsuffix},
    {"strings_trimspace", 1, 1, false, s_trimspace},
    {"printf", 1, 255, false, t_printf},
    {"pretty_size", 1, 1, false, t_pretty_size},
    {"pretty_count", 1, 1, false, t_pretty_count},
    {"pretty_rate", 1, 1, false, t_pretty_rate},
    {"pretty_line_rate", 1, 1, false, t_pretty_line_rate},
    {"hash_md5", 1, 1, false, h_md5},
    {"hash_sha1", 1, 1, false, h_sha1},
    {"hash_sha256", 1, 1, false, h_sha256},
    {"hash_sha512", 1, 1, false, h_sha512},
    {"base64_encode", 1, 1, false, c_base64},
    {"base64_decode", 1, 1, false, c_unbase64},
    {"hex_encode", 1, 1, false, c_hex},
    {"hex_decode", 1, 1, false, c_unhex},
    {"html_escape", 1, 1, false, c_html},
    {"html_unescape", 1, 1, false, c_unhtml},
    {"path_base", 1, 1, false, p_base},
    {"path_clean", 1, 1, false, p_clean},
    {"path_dir", 1, 1, false, p_dir},
    {"path_ext", 1, 1, false, p_ext},
    {"path_isabs", 1, 1, false, p_isabs},
    {"path_join", 1, 255, false, p_join},
    {"path_match", 2, 2, false, p_match},
    {0},
};
