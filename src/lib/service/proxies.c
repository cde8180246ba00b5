/* Tested by proxies_test.c. */
#include "service/proxies.h"

int service_read_proxies(const struct conf *conf, struct proxies *ret_proxies)
{
    *ret_proxies = (struct proxies){0};
    size_t count = conf_list_count(conf, CONF_GLOBAL, "Trusted-Proxy");
    for (size_t i = 0; i < count; i++) {
        const char *text = conf_list(conf, CONF_GLOBAL, "Trusted-Proxy", i);
        int rc = proxies_add(ret_proxies, span_of_str(text));
        if (rc < 0) {
            return err_wrap(rc, "%s: Trusted-Proxy",
                            conf_where(conf, CONF_GLOBAL, "Trusted-Proxy"));
        }
    }
    if (count == 0 && conf_bool(conf, CONF_GLOBAL, "Accept-Proxy-Protocol")) {
        return err_set(ERR_INVALID,
                       "%s: Accept-Proxy-Protocol needs a Trusted-Proxy, who alone may use it",
                       conf_where(conf, CONF_GLOBAL, "Accept-Proxy-Protocol"));
    }
    return 0;
}

int service_check_proxies(const struct conf *conf)
{
    struct proxies proxies;
    int rc = service_read_proxies(conf, &proxies);
    proxies_deinit(&proxies);
    return rc;
}
