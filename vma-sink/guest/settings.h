/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names with values, as a configuration of Proxmox VE has them on its lines and,
 * once more, within a line: "virtio=52:54:00:12:34:56,bridge=vmbr0".
 *
 * Whoever understands one takes it, and what nobody has taken in the end is what
 * was not translated.  So a value that makes no sense is never taken, and nothing
 * gets lost without a word.
 */
#ifndef GUEST_SETTINGS_H
#define GUEST_SETTINGS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct GuestSetting {
    char *name;
    char *value;                /* valid UTF-8 on one line, not empty */
    bool taken;
} GuestSetting;

typedef struct GuestSettings {
    GPtrArray *list;            /* of GuestSetting, in the order found */
    GHashTable *last;           /* by name; of several the last one counts */
} GuestSettings;

GuestSettings *guest_settings_new(void);

/*
 * Of "a=1,b=2"; a part without '=' is the value of FIRST.  A part without a value
 * has the name "", and is never taken.
 */
GuestSettings *guest_settings_parse(const char *text, const char *first);

void guest_settings_free(GuestSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestSettings, guest_settings_free)

void guest_settings_add(GuestSettings *settings, const char *name,
                        const char *value);

/* The value as it is, NULL where there is none; takes nothing. */
const char *guest_settings_look(const GuestSettings *settings,
                                const char *name);

/*
 * All these return NULL or false, and take nothing, where there is none of that
 * name or its value is not as said; *value is left alone then.
 */
const char *guest_settings_take(GuestSettings *settings, const char *name);
bool guest_settings_take_flag(GuestSettings *settings, const char *name,
                              bool *value);
bool guest_settings_take_number(GuestSettings *settings, const char *name,
                                uint64_t min, uint64_t max, uint64_t *value);
/* One of WORDS, which ends in NULL: returned is that one, a constant. */
const char *guest_settings_take_word(GuestSettings *settings, const char *name,
                                     const char *const *words);
/* Where VALID is true of it. */
typedef bool GuestValidFunc(const char *value);
const char *guest_settings_take_valid(GuestSettings *settings,
                                      const char *name, GuestValidFunc *valid);

/* "a=1,b=2" of what was not taken; NULL if all was.  To be freed. */
char *guest_settings_rest(const GuestSettings *settings);

/* Text that can go on, such as into XML: UTF-8, no control characters. */
bool guest_text_is_valid(const char *text);

/* Of 1 to MAX characters, all of them letters, digits, or in OTHERS. */
bool guest_text_is_plain(const char *text, size_t max, const char *others);

bool guest_text_is_uuid(const char *text);

/* Of "%2C"; NULL where that makes no valid text.  To be freed. */
char *guest_text_decode(const char *text);

#endif /* GUEST_SETTINGS_H */
