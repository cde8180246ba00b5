/* The functions of eval about numbers. What is not finite is undefined. Tested by eval_test.c. */
#include <math.h>

#include "query/modules/eval.h"

static bool give(double real, struct eval_value *ret)
{
    *ret = eval_of(query_value_of_f64(real));
    return isfinite(real);
}

#define ONE(function, expression)                                                                  \
    FUNCTION(function)                                                                             \
    {                                                                                              \
        UNUSED_ARGS();                                                                             \
        double x = 0;                                                                              \
        return eval_real(&args[0], &x) && give((expression), ret);                                 \
    }
#define TWO(function, expression)                                                                  \
    FUNCTION(function)                                                                             \
    {                                                                                              \
        UNUSED_ARGS();                                                                             \
        double x = 0;                                                                              \
        double y = 0;                                                                              \
        return eval_real(&args[0], &x) && eval_real(&args[1], &y) && give((expression), ret);      \
    }

ONE(m_abs, fabs(x))
ONE(m_ceil, ceil(x))
ONE(m_floor, floor(x))
ONE(m_log, log(x))
ONE(m_log10, log10(x))
ONE(m_log2, log2(x))
ONE(m_round, round(x))
ONE(m_roundtoeven, nearbyint(x))
ONE(m_sqrt, sqrt(x))
ONE(m_trunc, trunc(x))
ONE(m_sin, sin(x))
ONE(m_cos, cos(x))
ONE(m_tan, tan(x))
ONE(m_asin, asin(x))
ONE(m_acos, acos(x))
ONE(m_atan, atan(x))
TWO(m_atan2, atan2(x, y))
TWO(m_max, fmax(x, y))
TWO(m_min, fmin(x, y))
TWO(m_mod, fmod(x, y))
TWO(m_pow, pow(x, y))
TWO(m_remainder, remainder(x, y))

static uint64_t next_random(struct eval_run *run)
{
    run->seed ^= run->seed << 13;
    run->seed ^= run->seed >> 7;
    run->seed ^= run->seed << 17;
    return run->seed;
}

static double uniform(struct eval_run *run)
{
    return (double)(next_random(run) >> 11) / 9007199254740992.0;
}

FUNCTION(r_float)
{
    UNUSED_ARGS();
    return give(uniform(run), ret);
}

FUNCTION(r_int)
{
    UNUSED_ARGS();
    *ret = eval_of(query_value_of_i64((int64_t)(next_random(run) >> 1)));
    return true;
}

FUNCTION(r_intn)
{
    UNUSED_ARGS();
    int64_t most = 0;
    if (!eval_integer(&args[0], &most) || most <= 0) {
        return false;
    }
    *ret = eval_of(query_value_of_i64((int64_t)(next_random(run) % (uint64_t)most)));
    return true;
}

FUNCTION(r_normal)
{
    UNUSED_ARGS();
    double radius = sqrt(-2 * log(1 - uniform(run)));
    return give(radius * cos(2 * M_PI * uniform(run)), ret);
}

const struct eval_function eval_functions_math[] = {
    {"abs", 1, 1, false, m_abs},
    {"ceil", 1, 1, false, m_ceil},
    {"floor", 1, 1, false, m_floor},
    {"round", 1, 1, false, m_round},
    {"math_abs", 1, 1, false, m_abs},
    {"math_ceil", 1, 1, false, m_ceil},
    {"math_floor", 1, 1, false, m_floor},
    {"math_log", 1, 1, false, m_log},
    {"math_log10", 1, 1, false, m_log10},
    {"math_log2", 1, 1, false, m_log2},
    {"math_max", 2, 2, false, m_max},
    {"math_min", 2, 2, false, m_min},
    {"math_mod", 2, 2, false, m_mod},
    {"math_pow", 2, 2, false, m_pow},
    {"math_remainder", 2, 2, false, m_remainder},
    {"math_round", 1, 1, false, m_round},
    {"math_roundtoeven", 1, 1, false, m_roundtoeven},
    {"math_sqrt", 1, 1, false, m_sqrt},
    {"math_trunc", 1, 1, false, m_trunc},
    {"math_sin", 1, 1, false, m_sin},
    {"math_cos", 1, 1, false, m_cos},
    {"math_tan", 1, 1, false, m_tan},
    {"math_asin", 1, 1, false, m_asin},
    {"math_acos", 1, 1, false, m_acos},
    {"math_atan", 1, 1, false, m_atan},
    {"math_atan2", 2, 2, false, m_atan2},
    {"rand_float", 0, 0, false, r_float},
    {"rand_int", 0, 0, false, r_int},
    {"rand_intn", 1, 1, false, r_intn},
    {"rand_normal", 0, 0, false, r_normal},
    {0},
};
