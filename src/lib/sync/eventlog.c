#include "sync/eventlog.h"

#include "service/log.h"

void sync_eventlog(void *context, enum sync_level level, const char *event, const char *text)
{
    (void)context;
    switch (level) {
    case SYNC_INFO:
        log_info(event, text, NULL);
        break;
    case SYNC_WARN:
        log_warn(event, text, NULL);
        break;
    case SYNC_ERROR:
        log_error(event, text, NULL);
        break;
    }
}
