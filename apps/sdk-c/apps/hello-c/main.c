/* Says hello from C three times, half a second apart, and ends. */
#include "kinglet.h"

int main(void) {
    char name[33];
    uint16_t version[3];
    kinglet_name(name, sizeof name);
    kinglet_version(version);
    kinglet_logf(KINGLET_INFO, "hello from %s %u.%u.%u, in C", name, version[0], version[1], version[2]);

    int status = kinglet_set_periodic(0, 500 * 1000 * 1000);
    if (status != KINGLET_OK) {
        kinglet_logf(KINGLET_ERROR, "no timer: %s", kinglet_status_text(status));
        return 1;
    }
    for (int greetings = 1; greetings < 3;) {
        struct kinglet_event event;
        kinglet_wait(&event);
        if (event.kind == KINGLET_EVENT_STOP) return 0;
        if (event.kind == KINGLET_EVENT_TIMER) kinglet_logf(KINGLET_INFO, "hello again (%d)", ++greetings);
    }
    return 0;
}
