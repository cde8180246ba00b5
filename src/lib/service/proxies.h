/*
 * Trusted-Proxy and Accept-Proxy-Protocol of a configuration. Tested by proxies_test.c of net/ and
 * the rooms that read them.
 */
#ifndef SERVICE_PROXIES_H
#define SERVICE_PROXIES_H

#include "conf/conf.h"
#include "net/proxies.h"

/* 0, or ERR_INVALID naming the place: an address that is none, or the PROXY protocol without
 * anybody who may use it. *ret_proxies is proxies_deinit()'s also after a fault. */
MUST_CHECK int service_read_proxies(const struct conf *conf, struct proxies *ret_proxies);

/* For --check-config. */
MUST_CHECK int service_check_proxies(const struct conf *conf);

#endif
