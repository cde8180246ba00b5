/*
 * The shortest decimal that reads back as a double, whatever the double: Schubfach (Raffaello
 * Giulietti, "The Schubfach way to render doubles"). For decimal.c, which has a faster way for
 * doubles that were short decimals.
 */
#ifndef WARP10_SHORTEST_H
#define WARP10_SHORTEST_H

#include <stdint.h>

/* The value is finite and above 0: digits * 10^exponent. Digits may end in zeros. Any thread. */
void shortest_digits(double value, uint64_t *ret_digits, int *ret_exponent);

#endif
