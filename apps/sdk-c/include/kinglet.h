/*
 * What apps in C are written with. An app is a folder with an app.toml and C files in apps/sdk-c/apps/; `make apps` builds it.
 * It begins in `int main(void)`, whose value is the exit code.
 *
 * Functions that can fail give 0 or one of enum kinglet_status; what they have to say comes through pointers, which may be
 * null where it is not wanted. Texts end with a zero byte and are UTF-8. Every call ends in a bounded time. An app that has
 * nothing to do calls kinglet_wait.
 */
#ifndef KINGLET_H
#define KINGLET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kinglet_status {
    KINGLET_OK = 0,
    KINGLET_BAD_REQUEST = 1,   /* the device does not know the call */
    KINGLET_NOT_PERMITTED = 2, /* the manifest does not ask for it */
    KINGLET_BAD_ADDRESS = 3,   /* memory that is not the app's */
    KINGLET_TOO_LONG = 4,
    KINGLET_BAD_ARGUMENT = 5,
    KINGLET_BUSY = 6,          /* too many requests at once */
    KINGLET_DROPPED = 7,       /* the console has no room for the line */
    KINGLET_NOT_FOUND = 8,
    KINGLET_NO_SPACE = 9,
    KINGLET_UNAVAILABLE = 10,  /* the service is not there, or began anew */
    KINGLET_FAILED = 11,
    KINGLET_TIMED_OUT = 12,
    KINGLET_CANCELLED = 13,
};

/* A status in words. */
const char *kinglet_status_text(int status);

/* The app's own manifest. Texts are cut off to the room; their whole length is given. */
size_t kinglet_name(char *place, size_t room);
size_t kinglet_publisher(char *place, size_t room);
void kinglet_version(uint16_t version[3]);
/* Whether it asks for a permission: "files" "keywords" "kv" "log" "models" "random" "timers". */
bool kinglet_may(const char *permission);
/* How often the app was started since the machine's start, this time included. */
uint64_t kinglet_starts(void);
unsigned kinglet_slot(void);

/* Lines on the console, of at most 512 bytes; what is longer is cut off. */
enum kinglet_level { KINGLET_ERROR = 1, KINGLET_WARNING = 2, KINGLET_INFO = 3, KINGLET_DEBUG = 4 };
int kinglet_log(int level, const char *line);
/* With %d %i %u %x %p %c %s %% and the lengths l ll z, field widths, and 0 to fill with zeros. */
__attribute__((format(printf, 2, 3))) int kinglet_logf(int level, const char *format, ...);
/* The same into a buffer, always with a zero byte; gives the whole length. */
__attribute__((format(printf, 3, 4))) size_t kinglet_format(char *place, size_t room, const char *format, ...);
size_t kinglet_vformat(char *place, size_t room, const char *format, va_list arguments);

/* Nanoseconds since the machine's start. */
uint64_t kinglet_now_ns(void);

/* Timers 0 to 7: once, or every period (at least 1,000,000 ns; the times do not drift). */
int kinglet_set_timer(unsigned id, uint64_t delay_ns);
int kinglet_set_periodic(unsigned id, uint64_t period_ns);
int kinglet_cancel_timer(unsigned id, bool *cancelled);

/* Random bytes of the root of trust. */
int kinglet_random(void *place, size_t length);

/* Keys of 1 to 32 bytes with values of up to 4096. After a power cut a key has the old value or the new one. */
int kinglet_kv_read(const char *key, void *value, size_t room, size_t *length);
int kinglet_kv_write(const char *key, const void *value, size_t length);
int kinglet_kv_delete(const char *key);
/* Keys, each followed by a line feed, into at least 512 bytes: with *next = 0 at first, until it is 0 again. */
int kinglet_kv_list(uint64_t *next, char *list, size_t room, size_t *length);

/* Files in the app's own folder; at most 4096 bytes a call. Writing makes the file, and appends at its end. */
int kinglet_file_read(const char *name, uint64_t offset, void *place, size_t room, size_t *length);
int kinglet_file_write(const char *name, uint64_t offset, const void *bytes, size_t length);
int kinglet_file_remove(const char *name);
int kinglet_file_size(const char *name, uint64_t *size);
int kinglet_file_list(uint64_t *next, char *list, size_t room, size_t *length);

/* Models that the manifest names. Input and output lie in the shared memory, at multiples of 16. */
struct kinglet_model_info {
    size_t input_bytes;
    size_t output_bytes;
    uint64_t macs;
};
struct kinglet_run {
    uint64_t waited_ns;
    uint64_t compute_ns;
    uint64_t instructions;
};
int kinglet_model(const char *name, unsigned *model);
int kinglet_model_info(unsigned model, struct kinglet_model_info *info);
uint8_t *kinglet_tensors(size_t *length);
/* A job is given up after limit_ns, 0 for the most. kinglet_wait tells of the end of what was submitted. */
int kinglet_submit(unsigned model, size_t input_at, size_t output_at, uint64_t limit_ns, uint32_t *job);
int kinglet_cancel(uint32_t job);
int kinglet_infer(unsigned model, size_t input_at, size_t output_at, uint64_t limit_ns, struct kinglet_run *run);

/* Begins or ends the delivery of keywords. */
int kinglet_listen(bool wanted);

/* What an app is woken by. */
enum kinglet_event_kind {
    KINGLET_EVENT_TIMER = 1,   /* number: which; count: how often since it was told last */
    KINGLET_EVENT_STOP = 2,    /* the app is to end within a second */
    KINGLET_EVENT_KEYWORD = 3, /* word; count: how sure, in thousandths; time_ns; dropped: how many were missed before it */
    KINGLET_EVENT_JOB = 4,     /* number: which; status and run: how it ended */
};
struct kinglet_event {
    int kind;
    uint32_t number;
    uint64_t count;
    uint64_t time_ns;
    uint64_t dropped;
    char word[17];
    int status;
    struct kinglet_run run;
};
void kinglet_wait(struct kinglet_event *event);
bool kinglet_poll(struct kinglet_event *event);

__attribute__((noreturn)) void kinglet_exit(int64_t code);

#endif
