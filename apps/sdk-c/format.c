/* Formatted text: what of printf an app without a C library needs. */
#include "kinglet.h"

struct text {
    char *place;
    size_t room;
    size_t length;
};

static void put(struct text *text, char character) {
    if (text->length + 1 < text->room) text->place[text->length] = character;
    text->length++;
}

static void put_padded(struct text *text, const char *digits, size_t count, size_t width, char filling) {
    for (size_t at = count; at < width; at++) put(text, filling);
    while (count-- > 0) put(text, *digits++);
}

static void put_number(struct text *text, uint64_t value, bool negative, unsigned base, size_t width, char filling) {
    char digits[24];
    size_t at = sizeof digits;
    do digits[--at] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    /* A sign stands before zeros, and behind blanks. */
    if (negative && filling == '0') {
        put(text, '-');
        width -= width > 0;
    } else if (negative) {
        digits[--at] = '-';
    }
    put_padded(text, digits + at, sizeof digits - at, width, filling);
}

size_t kinglet_vformat(char *place, size_t room, const char *format, va_list arguments) {
    struct text text = {place, room, 0};
    for (; *format != 0; format++) {
        if (*format != '%') {
            put(&text, *format);
            continue;
        }
        const char *start = format++;
        char filling = ' ';
        size_t width = 0;
        unsigned longs = 0;
        if (*format == '0') filling = *format++;
        for (; *format >= '0' && *format <= '9' && width < 1000; format++) width = width * 10 + (size_t)(*format - '0');
        for (; *format == 'l' || *format == 'z'; format++) longs++;
        switch (*format) {
        case 'd':
        case 'i': {
            int64_t value = longs > 0 ? va_arg(arguments, long) : va_arg(arguments, int);
            put_number(&text, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0, 10, width, filling);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t value = longs > 0 ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned);
            put_number(&text, value, false, *format == 'x' ? 16 : 10, width, filling);
            break;
        }
        case 'p':
            put_padded(&text, "0x", 2, 0, ' ');
            put_number(&text, (uintptr_t)va_arg(arguments, void *), false, 16, 0, ' ');
            break;
        case 'c': {
            char character = (char)va_arg(arguments, int);
            put_padded(&text, &character, 1, width, ' ');
            break;
        }
        case 's': {
            const char *string = va_arg(arguments, const char *);
            size_t length = 0;
            if (string == NULL) string = "(null)";
            while (string[length] != 0) length++;
            put_padded(&text, string, length, width, ' ');
            break;
        }
        case '%':
            put(&text, '%');
            break;
        default:
            /* What it does not know is shown as it stands; the end of the format ends the text. */
            while (start <= format && *start != 0) put(&text, *start++);
            if (*format == 0) format--;
        }
    }
    if (room > 0) place[text.length < room ? text.length : room - 1] = 0;
    return text.length;
}

size_t kinglet_format(char *place, size_t room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t length = kinglet_vformat(place, room, format, arguments);
    va_end(arguments);
    return length;
}

int kinglet_logf(int level, const char *format, ...) {
    char line[513];
    va_list arguments;
    va_start(arguments, format);
    kinglet_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    return kinglet_log(level, line);
}
