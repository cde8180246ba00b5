/* From the text of eval to a program, by recursive descent. Tested by eval_test.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/modules/eval.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_OP };

struct token {
    enum token_kind kind;
    struct span text; /* as written; of a TEXT decoded, of $(a name) the name */
    bool odd;         /* $(…): never a keyword */
    size_t at;
};

struct parser {
    struct query_args *args;
    struct span text;
    size_t offset; /* of the text in the query */
    size_t at;
    struct token token; /* the next one */
    struct eval_program *program;
    size_t depth;
    int rc;
};

typedef const struct eval_node *node;

static int fault(struct parser *parser, size_t at, size_t bytes, const char *what)
{
    if (parser->rc == 0) {
        parser->rc = query_fault(parser->args->error, parser->offset + at, bytes, "eval: %s", what);
    }
    return parser->rc;
}

/* ── Tokens ──────────────────────────────────────────────────────────────────────────────── */

static bool name_byte(uint8_t c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80 ||
           (!first && c >= '0' && c <= '9');
}

static void skip_gap(struct parser *parser)
{
    for (;;) {
        struct span rest = span_from(parser->text, parser->at);
        size_t bytes = query_space(rest);
        if (span_starts_with(rest, SPAN_LIT("//"))) {
            ptrdiff_t end = span_find_byte(rest, '\n');
            bytes = end < 0 ? rest.bytes : (size_t)end;
        } else if (span_starts_with(rest, SPAN_LIT("/*"))) {
            ptrdiff_t end = span_find(rest, SPAN_LIT("*/"));
            bytes = end < 0 ? rest.bytes : (size_t)end + 2;
        }
        if (bytes == 0) {
            return;
        }
        parser->at += bytes;
    }
}

static size_t lex_name(struct parser *parser, struct span rest)
{
    size_t bytes = 0;
    while (bytes < rest.bytes && name_byte(rest.data[bytes], bytes == 0)) {
        bytes++;
    }
    parser->token.kind = TOKEN_NAME;
    parser->token.text = span_first(rest, bytes);
    return bytes;
}

static size_t lex_odd_name(struct parser *parser, struct span rest)
{
    ptrdiff_t close = span_find_byte(rest, ')');
    if (close < 3) {
        (void)fault(parser, parser->at, 2, "$(name) was expected");
        return rest.bytes;
    }
    parser->token.kind = TOKEN_NAME;
    parser->token.odd = true;
    parser->token.text = span_first(span_from(rest, 2), (size_t)close - 2);
    return (size_t)close + 1;
}

static size_t lex_number(struct parser *parser, struct span rest)
{
    size_t bytes = 0;
    bool prefix = rest.bytes > 1 && rest.data[0] == '0' && strchr("xXbB", rest.data[1]) != NULL;
    while (bytes < rest.bytes) {
        uint8_t c = rest.data[bytes];
        bool sign =
            !prefix && (c == '-' || c == '+') && bytes > 0 && (rest.data[bytes - 1] | 0x20) == 'e';
        if (!name_byte(c, false) && c != '.' && !sign) {
            break;
        }
        bytes++;
    }
    parser->token.kind = TOKEN_NUMBER;
    parser->token.text = span_first(rest, bytes);
    return bytes;
}

static size_t lex_op(struct parser *parser, struct span rest)
{
    static const char *const ops[] = {"==", "!=", "!~", "<=", ">=", "<<", ">>",
                                      "||", "&&", "++", "--", "+=", "-="};
    parser->token.kind = TOKEN_OP;
    size_t bytes = 1;
    for (size_t i = 0; i < ARRAY_COUNT(ops); i++) {
        bytes = span_starts_with(rest, span_of_str(ops[i])) ? 2 : bytes;
    }
    parser->token.text = span_first(rest, bytes);
    if (rest.data[0] == 0 || strchr("=!~<>|&^+-*/%?:;,(){}[]", rest.data[0]) == NULL) {
        (void)fault(parser, parser->at, 1, "a character that has no meaning here");
    }
    return bytes;
}

static void next(struct parser *parser)
{
    skip_gap(parser);
    struct span rest = span_from(parser->text, parser->at);
    parser->token = (struct token){.kind = TOKEN_END, .at = parser->at};
    if (rest.bytes == 0 || parser->rc < 0) {
        return;
    }
    uint8_t c = rest.data[0];
    size_t bytes = 0;
    if (c == '"' || c == '`') {
        bytes = query_lex_string(rest, parser->args->arena, &parser->token.text);
        parser->token.kind = TOKEN_TEXT;
    } else if (c == '$' && rest.bytes > 1 && rest.data[1] == '(') {
        bytes = lex_odd_name(parser, rest);
    } else if ((c >= '0' && c <= '9') ||
               (c == '.' && rest.bytes > 1 && rest.data[1] >= '0' && rest.data[1] <= '9')) {
        bytes = lex_number(parser, rest);
    } else {
        bytes = name_byte(c, true) ? lex_name(parser, rest) : lex_op(parser, rest);
    }
    if (bytes == 0) {
        (void)fault(parser, parser->at, 1, "a text without its closing quote");
    }
    parser->at += bytes;
}

static bool is_op(const struct parser *parser, const char *op)
{
    return parser->token.kind == TOKEN_OP && span_equal_str(parser->token.text, op);
}

static bool take_op(struct parser *parser, const char *op)
{
    bool here = is_op(parser, op);
    if (here) {
        next(parser);
    }
    return here;
}

static bool is_word(const struct parser *parser, const char *word)
{
    return parser->token.kind == TOKEN_NAME && !parser->token.odd &&
           span_equal_str(parser->token.text, word);
}

static bool take_word(struct parser *parser, const char *word)
{
    bool here = is_word(parser, word);
    if (here) {
        next(parser);
    }
    return here;
}

static int unexpected(struct parser *parser, const char *wanted)
{
    char text[200];
    struct span found = span_first(parser->token.text, 32);
    if (parser->token.kind == TOKEN_END) {
        (void)snprintf(text, sizeof(text), "%s was expected at the end", wanted);
    } else {
        (void)snprintf(text, sizeof(text), "%s was expected, not '%.*s'", wanted, SPAN_ARG(found));
    }
    return fault(parser, parser->token.at, parser->at - parser->token.at, text);
}

static void want_op(struct parser *parser, const char *op)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "'%s'", op);
    if (!take_op(parser, op)) {
        (void)unexpected(parser, text);
    }
}

/* ── Nodes ───────────────────────────────────────────────────────────────────────────────── */

struct list {
    VEC(node) nodes;
};

static struct eval_node *make(struct parser *parser, enum eval_kind kind)
{
    struct eval_node *made = ARENA_NEW(parser->args->arena, struct eval_node);
    made->kind = kind;
    made->offset = parser->offset + parser->token.at;
    return made;
}

static void measure(struct parser *parser, struct eval_node *made)
{
    for (size_t i = 0; i < made->count; i++) {
        made->height = MAX(made->height, made->items[i]->height + 1);
    }
    if (made->height > EVAL_HEIGHT_MAX) {
        (void)fault(parser, parser->token.at, 1, "too many operators in a row");
    }
}

static void take_items(struct parser *parser, struct eval_node *into, struct list *list)
{
    into->count = list->nodes.count;
    into->items = arena_alloc_array(parser->args->arena, list->nodes.count + 1, sizeof(node));
    if (list->nodes.count > 0) {
        memcpy(into->items, list->nodes.items, list->nodes.count * sizeof(node));
    }
    vec_deinit(&list->nodes);
    measure(parser, into);
}

static struct eval_node *with(struct parser *parser, enum eval_kind kind, enum eval_op op, node a,
                              node b, node c)
{
    struct eval_node *made = make(parser, kind);
    const node given[] = {a, b, c};
    made->op = op;
    made->items = arena_alloc_array(parser->args->arena, ARRAY_COUNT(given), sizeof(node));
    while (made->count < ARRAY_COUNT(given) && given[made->count] != NULL) {
        made->items[made->count] = given[made->count];
        made->count++;
    }
    measure(parser, made);
    return made;
}

static node constant(struct parser *parser, struct query_value value)
{
    struct eval_node *made = make(parser, EVAL_CONST);
    made->value = value;
    return made;
}

/* Every parse function gives a node, after a fault any one. */
static node parse_expression(struct parser *parser);
static node parse_statement(struct parser *parser);

static bool deeper(struct parser *parser)
{
    if (++parser->depth > EVAL_DEPTH_MAX) {
        (void)fault(parser, parser->token.at, 1, "nested too deeply");
    }
    return parser->rc == 0;
}

static node number(struct parser *parser)
{
    struct span text = parser->token.text;
    struct query_value as_text = query_value_of_text(text);
    struct query_value value;
    bool good = query_value_number(&as_text, &value);
    if (!good && text.bytes > 2 && (text.data[1] | 0x20) == 'b') {
        const char *digits = arena_span_str(parser->args->arena, span_from(text, 2));
        char *end = NULL;
        value = query_value_of_i64((int64_t)strtoull(digits, &end, 2));
        good = *end == '\0';
    }
    if (!good) {
        (void)unexpected(parser, "a number");
        value = query_value_of_i64(0);
    }
    node made = constant(parser, value);
    next(parser);
    return made;
}

/* Remembers that the program looks at this value of entries. */
static void use_name(struct parser *parser, struct span name)
{
    struct eval_program *program = parser->program;
    for (size_t i = 0; i < program->name_count; i++) {
        if (span_equal(program->names[i], name)) {
            return;
        }
    }
    if (program->name_count < EVAL_NAMES_MAX) {
        program->names[program->name_count++] = name;
    } else {
        program->any_name = true;
    }
}

static node named(struct parser *parser, struct span name)
{
    struct eval_node *made = make(parser, EVAL_NAME);
    made->name = arena_span_dup(parser->args->arena, name);
    for (size_t i = 0; i < parser->program->variable_count; i++) {
        if (span_equal(parser->program->variables[i].name, name)) {
            made->kind = EVAL_VARIABLE;
            made->slot = i;
            return made;
        }
    }
    use_name(parser, made->name);
    return made;
}

/* ── Calls ───────────────────────────────────────────────────────────────────────────────── */

static void add_pattern(struct parser *parser, struct eval_node *call)
{
    struct eval_program *program = parser->program;
    node pattern = call->count > 1 ? call->items[1] : NULL;
    if (pattern == NULL || pattern->kind != EVAL_CONST || pattern->value.type != QUERY_VALUE_TEXT) {
        (void)fault(parser, call->offset - parser->offset, 5,
                    "match() needs an expression in quotes");
        return;
    }
    if (program->pattern_count == EVAL_PATTERNS_MAX) {
        (void)fault(parser, call->offset - parser->offset, 5, "too many expressions");
        return;
    }
    call->slot = program->pattern_count;
    if (expression_new(pattern->value.text, &program->patterns[program->pattern_count]) < 0) {
        (void)fault(parser, pattern->offset - parser->offset, 1, err_text());
        return;
    }
    program->pattern_count++;
}

static void check_call(struct parser *parser, struct eval_node *call, struct span name)
{
    char text[160];
    size_t at = call->offset - parser->offset;
    call->function = eval_function_find(name);
    if (call->function == NULL) {
        const char *near = eval_function_nearest(name);
        (void)snprintf(text, sizeof(text), "unknown function '%.*s'%s%s%s",
                       SPAN_ARG(span_first(name, 48)), near == NULL ? "" : ", did you mean '",
                       near == NULL ? "" : near, near == NULL ? "" : "'");
        (void)fault(parser, at, name.bytes, text);
        return;
    }
    if (call->count < call->function->args_min || call->count > call->function->args_max) {
        (void)snprintf(text, sizeof(text), "%s() takes %u to %u arguments, not %zu",
                       call->function->name, call->function->args_min, call->function->args_max,
                       call->count);
        (void)fault(parser, at, name.bytes, text);
        return;
    }
    if (span_equal_str(name, "match")) {
        add_pattern(parser, call);
    }
    bool names_text = span_equal_str(name, "delete") || span_equal_str(name, "indirect") ||
                      span_equal_str(name, "has");
    if (names_text && call->items[0]->kind == EVAL_CONST) {
        use_name(parser, call->items[0]->value.text);
    } else if (names_text && call->items[0]->kind != EVAL_NAME) {
        parser->program->any_name = true;
    }
    bool all = span_equal_str(name, "evs") || span_equal_str(name, "evs_to_json");
    parser->program->any_name = parser->program->any_name || all;
}

static void parse_list(struct parser *parser, const char *close, struct eval_node *into)
{
    struct list list = {0};
    while (parser->rc == 0 && !is_op(parser, close)) {
        vec_push(&list.nodes, parse_expression(parser));
        if (!is_op(parser, close)) {
            want_op(parser, ",");
        }
    }
    want_op(parser, close);
    take_items(parser, into, &list);
}

static node parse_name(struct parser *parser)
{
    struct token name = parser->token;
    struct eval_node *call = make(parser, EVAL_CALL);
    next(parser);
    if (!name.odd && is_op(parser, "(")) {
        next(parser);
        parse_list(parser, ")", call);
        if (parser->rc == 0) {
            check_call(parser, call, name.text);
        }
        return call;
    }
    if (!name.odd && (span_equal_str(name.text, "true") || span_equal_str(name.text, "false"))) {
        return constant(parser, query_value_of_bool(name.text.data[0] == 't'));
    }
    struct eval_node *made = (struct eval_node *)(uintptr_t)named(parser, name.text);
    made->offset = call->offset;
    return made;
}

/* ── Expressions ─────────────────────────────────────────────────────────────────────────── */

static node parse_primary(struct parser *parser)
{
    struct eval_node *list = NULL;
    node inner = NULL;
    switch (parser->token.kind) {
    case TOKEN_NUMBER:
        return number(parser);
    case TOKEN_TEXT:
        inner = constant(parser, query_value_of_text(parser->token.text));
        next(parser);
        return inner;
    case TOKEN_NAME:
        return parse_name(parser);
    default:
        break;
    }
    if (take_op(parser, "(")) {
        inner = parse_expression(parser);
        want_op(parser, ")");
        return inner;
    }
    if (is_op(parser, "{")) {
        list = make(parser, EVAL_LIST);
        next(parser);
        parse_list(parser, "}", list);
        return list;
    }
    (void)unexpected(parser, "a value");
    return constant(parser, query_value_of_i64(0));
}

static node assign(struct parser *parser, enum eval_op op, node target, node value)
{
    struct eval_program *program = parser->program;
    if (target->kind == EVAL_NAME && program->set_count < EVAL_NAMES_MAX) {
        program->sets[program->set_count++] = target->name;
    }
    return with(parser, EVAL_ASSIGN, op, target, value, NULL);
}

/* name++: name = name + 1, whose value is what was before. */
static node add_to(struct parser *parser, node target, node amount, enum eval_op op)
{
    if (target->kind != EVAL_NAME && target->kind != EVAL_VARIABLE && target->kind != EVAL_INDEX) {
        (void)unexpected(parser, "a name before an assignment");
    }
    node sum = with(parser, EVAL_BINARY, op, target, amount, NULL);
    return assign(parser, op, target, sum);
}

static node parse_postfix(struct parser *parser)
{
    node left = parse_primary(parser);
    for (;;) {
        if (take_op(parser, "[")) {
            node from = is_op(parser, ":") ? constant(parser, query_value_of_i64(0))
                                           : parse_expression(parser);
            if (take_op(parser, ":")) {
                node to = is_op(parser, "]") ? constant(parser, query_value_of_i64(INT64_MAX))
                                             : parse_expression(parser);
                left = with(parser, EVAL_SLICE, EVAL_OP_NONE, left, from, to);
            } else {
                left = with(parser, EVAL_INDEX, EVAL_OP_NONE, left, from, NULL);
            }
            want_op(parser, "]");
        } else if (is_op(parser, "++") || is_op(parser, "--")) {
            enum eval_op op = is_op(parser, "++") ? EVAL_ADD : EVAL_SUB;
            left = add_to(parser, left, constant(parser, query_value_of_i64(1)), op);
            next(parser);
        } else {
            return left;
        }
        if (parser->rc < 0) {
            return left;
        }
    }
}

static node parse_unary(struct parser *parser)
{
    enum eval_op op = is_op(parser, "!")   ? EVAL_NOT
                      : is_op(parser, "-") ? EVAL_NEGATE
                                           : EVAL_OP_NONE;
    if (op == EVAL_OP_NONE) {
        return parse_postfix(parser);
    }
    struct eval_node *made = make(parser, EVAL_UNARY);
    next(parser);
    node inner = deeper(parser) ? parse_unary(parser) : made;
    parser->depth--;
    made->op = op;
    made->items = arena_alloc_array(parser->args->arena, 1, sizeof(node));
    made->items[0] = inner;
    made->count = 1;
    measure(parser, made);
    return made;
}

struct binary {
    const char *text;
    enum eval_op op;
    int level; /* higher binds tighter */
};

static const struct binary binaries[] = {
    {"||", EVAL_OR, 1},      {"&&", EVAL_AND, 2}, {"|", EVAL_BIT_OR, 3}, {"^", EVAL_BIT_XOR, 4},
    {"&", EVAL_BIT_AND, 5},  {"==", EVAL_EQ, 6},  {"!=", EVAL_NE, 6},    {"~", EVAL_HAS, 6},
    {"!~", EVAL_HAS_NOT, 6}, {"<", EVAL_LT, 7},   {">", EVAL_GT, 7},     {"<=", EVAL_LE, 7},
    {">=", EVAL_GE, 7},      {"<<", EVAL_SHL, 8}, {">>", EVAL_SHR, 8},   {"+", EVAL_ADD, 9},
    {"-", EVAL_SUB, 9},      {"*", EVAL_MUL, 10}, {"/", EVAL_DIV, 10},   {"%", EVAL_MOD, 10},
};

static const struct binary *binary_here(const struct parser *parser, int level)
{
    for (size_t i = 0; i < ARRAY_COUNT(binaries); i++) {
        if (binaries[i].level >= level && is_op(parser, binaries[i].text)) {
            return &binaries[i];
        }
    }
    return NULL;
}

/* Operators of this level and above. */
static node parse_binary(struct parser *parser, int level)
{
    node left = parse_unary(parser);
    const struct binary *binary = NULL;
    while (parser->rc == 0 && (binary = binary_here(parser, level)) != NULL) {
        next(parser);
        node right = parse_binary(parser, binary->level + 1);
        left = with(parser, EVAL_BINARY, binary->op, left, right, NULL);
    }
    return left;
}

static node parse_assignment(struct parser *parser, node target)
{
    if (take_op(parser, "+=")) {
        return add_to(parser, target, parse_expression(parser), EVAL_ADD);
    }
    if (take_op(parser, "-=")) {
        return add_to(parser, target, parse_expression(parser), EVAL_SUB);
    }
    static const char *const fixed[] = {"TAG", "SRC", "TIMESTAMP", "NOW", "DATA"};
    for (size_t i = 0; i < ARRAY_COUNT(fixed); i++) {
        if (target->kind == EVAL_NAME && span_equal_str(target->name, fixed[i])) {
            (void)unexpected(parser, "a name that may be set (for DATA there is set_data())");
        }
    }
    if (target->kind != EVAL_NAME && target->kind != EVAL_VARIABLE && target->kind != EVAL_INDEX) {
        (void)unexpected(parser, "a name before '='");
    }
    next(parser);
    return assign(parser, EVAL_OP_NONE, target, parse_expression(parser));
}

static node parse_expression(struct parser *parser)
{
    if (!deeper(parser)) {
        return make(parser, EVAL_EMPTY);
    }
    node left = parse_binary(parser, 1);
    if (take_op(parser, "?")) {
        node yes = parse_expression(parser);
        want_op(parser, ":");
        left = with(parser, EVAL_TERNARY, EVAL_OP_NONE, left, yes, parse_expression(parser));
    } else if (is_op(parser, "=") || is_op(parser, "+=") || is_op(parser, "-=")) {
        left = parse_assignment(parser, left);
    }
    parser->depth--;
    return left;
}

/* ── Statements ──────────────────────────────────────────────────────────────────────────── */

/* After an expression: required, but at the end and before a brace. */
static void end_statement(struct parser *parser)
{
    if (parser->token.kind != TOKEN_END && !is_op(parser, "}")) {
        want_op(parser, ";");
    }
}

static node parse_block(struct parser *parser, bool cases)
{
    struct eval_node *block = make(parser, EVAL_BLOCK);
    struct list list = {0};
    while (parser->rc == 0 && parser->token.kind != TOKEN_END && !is_op(parser, "}") &&
           !(cases && (is_word(parser, "case") || is_word(parser, "default")))) {
        vec_push(&list.nodes, parse_statement(parser));
    }
    take_items(parser, block, &list);
    return block;
}

static node parse_if(struct parser *parser)
{
    want_op(parser, "(");
    node condition = parse_expression(parser);
    want_op(parser, ")");
    node then = parse_statement(parser);
    node otherwise = take_word(parser, "else") ? parse_statement(parser) : NULL;
    return with(parser, EVAL_IF, EVAL_OP_NONE, condition, then, otherwise);
}

static node parse_for(struct parser *parser)
{
    struct eval_node *made = make(parser, EVAL_FOR);
    struct list list = {0};
    want_op(parser, "(");
    vec_push(&list.nodes, is_op(parser, ";") ? make(parser, EVAL_EMPTY) : parse_expression(parser));
    want_op(parser, ";");
    vec_push(&list.nodes, is_op(parser, ";") ? constant(parser, query_value_of_bool(true))
                                             : parse_expression(parser));
    want_op(parser, ";");
    vec_push(&list.nodes, is_op(parser, ")") ? make(parser, EVAL_EMPTY) : parse_expression(parser));
    want_op(parser, ")");
    vec_push(&list.nodes, parse_statement(parser));
    take_items(parser, made, &list);
    return made;
}

static node parse_case(struct parser *parser)
{
    struct eval_node *made = make(parser, EVAL_CASE);
    struct list list = {0};
    made->slot = is_word(parser, "default") ? 1 : 0;
    if (!take_word(parser, "default") && !take_word(parser, "case")) {
        (void)unexpected(parser, "'case' or 'default'");
    }
    if (made->slot == 0) {
        vec_push(&list.nodes, parse_expression(parser));
    }
    want_op(parser, ":");
    vec_push(&list.nodes, parse_block(parser, true));
    take_items(parser, made, &list);
    return made;
}

static node parse_switch(struct parser *parser)
{
    struct eval_node *made = make(parser, EVAL_SWITCH);
    struct list list = {0};
    want_op(parser, "(");
    vec_push(&list.nodes, parse_expression(parser));
    want_op(parser, ")");
    want_op(parser, "{");
    while (parser->rc == 0 && !is_op(parser, "}")) {
        vec_push(&list.nodes, parse_case(parser));
    }
    want_op(parser, "}");
    take_items(parser, made, &list);
    return made;
}

static node parse_jump(struct parser *parser)
{
    struct eval_node *made = make(parser, EVAL_EMPTY);
    if (take_word(parser, "return")) {
        node value = parse_expression(parser);
        made = with(parser, EVAL_RETURN, EVAL_OP_NONE, value, NULL, NULL);
    } else if (take_word(parser, "break")) {
        made->kind = EVAL_BREAK;
    } else if (take_word(parser, "continue")) {
        made->kind = EVAL_CONTINUE;
    } else {
        node expression = parse_expression(parser);
        end_statement(parser);
        return expression;
    }
    end_statement(parser);
    return made;
}

static node parse_statement(struct parser *parser)
{
    node made = NULL;
    if (!deeper(parser)) {
        return make(parser, EVAL_EMPTY);
    }
    if (take_op(parser, ";")) {
        made = make(parser, EVAL_EMPTY);
    } else if (take_op(parser, "{")) {
        made = parse_block(parser, false);
        want_op(parser, "}");
    } else if (take_word(parser, "if")) {
        made = parse_if(parser);
    } else if (take_word(parser, "for")) {
        made = parse_for(parser);
    } else if (take_word(parser, "switch")) {
        made = parse_switch(parser);
    } else {
        made = parse_jump(parser);
    }
    parser->depth--;
    return made;
}

static void parse_variable(struct parser *parser, bool map)
{
    struct eval_program *program = parser->program;
    if (parser->token.kind != TOKEN_NAME) {
        (void)unexpected(parser, "the name of a variable");
        return;
    }
    if (program->variable_count == EVAL_VARIABLES_MAX) {
        (void)fault(parser, parser->token.at, 1, "too many variables");
        return;
    }
    struct eval_variable variable = {
        .name = arena_span_dup(parser->args->arena, parser->token.text), .map = map};
    next(parser);
    variable.first = !map && take_op(parser, "=") ? parse_expression(parser) : NULL;
    program->variables[program->variable_count++] = variable;
}

static void parse_variables(struct parser *parser)
{
    while (parser->rc == 0 && (is_word(parser, "var") || is_word(parser, "map"))) {
        bool map = is_word(parser, "map");
        next(parser);
        do {
            parse_variable(parser, map);
        } while (parser->rc == 0 && take_op(parser, ","));
        want_op(parser, ";");
    }
}

/* One expression that is not called for what it does. */
static bool is_filter(const struct parser *parser, node block)
{
    node only = block->count == 1 ? block->items[0] : NULL;
    return only != NULL && only->kind < EVAL_ASSIGN && parser->program->variable_count == 0 &&
           !(only->kind == EVAL_CALL && only->function != NULL && only->function->effect);
}

int eval_parse(struct query_args *args, struct span text, size_t offset,
               struct eval_program *program)
{
    struct parser parser = {.args = args, .text = text, .offset = offset, .program = program};
    next(&parser);
    if (parser.token.kind == TOKEN_END && parser.rc == 0) {
        return query_args_fault(args, "an expression is missing, such as ms > 20");
    }
    parse_variables(&parser);
    node block = parse_block(&parser, false);
    if (parser.rc == 0 && parser.token.kind != TOKEN_END) {
        (void)unexpected(&parser, "the end");
    }
    if (parser.rc == 0) {
        bool closed = text.bytes > 0 && span_trim(text).data[span_trim(text).bytes - 1] == ';';
        program->filter = !closed && is_filter(&parser, block);
        program->root = program->filter ? block->items[0] : block;
    }
    return parser.rc;
}
