/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names with values, and who has taken them.
 */
#include "guest/settings.h"

#include <string.h>

static void setting_free(void *data)
{
    GuestSetting *setting = data;

    g_free(setting->name);
    g_free(setting->value);
    g_free(setting);
}

GuestSettings *guest_settings_new(void)
{
    GuestSettings *settings = g_new0(GuestSettings, 1);

    settings->list = g_ptr_array_new_with_free_func(setting_free);
    settings->last = g_hash_table_new(g_str_hash, g_str_equal);
    return settings;
}

void guest_settings_free(GuestSettings *settings)
{
    if (settings) {
        g_hash_table_unref(settings->last);
        g_ptr_array_unref(settings->list);
        g_free(settings);
    }
}

void guest_settings_add(GuestSettings *settings, const char *name,
                        const char *value)
{
    GuestSetting *setting = g_new0(GuestSetting, 1);

    setting->name = g_strdup(name);
    setting->value = g_strdup(value);
    g_ptr_array_add(settings->list, setting);
    /* (The key is the new one's as well: the old one may go first.) */
    g_hash_table_replace(settings->last, setting->name, setting);
}

GuestSettings *guest_settings_parse(const char *text, const char *first)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    GuestSettings *settings = guest_settings_new();

    for (char **p = parts; *p; p++) {
        char *equals = strchr(*p, '=');
        const char *value = equals ? equals + 1 : *p;

        if (!**p) {
            continue;
        }
        if (!equals && first) {
            guest_settings_add(settings, first, value);
        } else if (!equals || !*value) {
            guest_settings_add(settings, "", *p);
        } else {
            *equals = '\0';
            guest_settings_add(settings, *p, value);
        }
    }
    return settings;
}

static GuestSetting *find(const GuestSettings *settings, const char *name)
{
    return g_hash_table_lookup(settings->last, name);
}

const char *guest_settings_look(const GuestSettings *settings,
                                const char *name)
{
    const GuestSetting *setting = find(settings, name);

    return setting ? setting->value : NULL;
}

const char *guest_settings_take(GuestSettings *settings, const char *name)
{
    GuestSetting *setting = find(settings, name);

    if (!setting) {
        return NULL;
    }
    setting->taken = true;
    return setting->value;
}

bool guest_settings_take_flag(GuestSettings *settings, const char *name,
                              bool *value)
{
    static const char *const yes[] = { "1", "on", "yes", "true", NULL };
    static const char *const no[] = { "0", "off", "no", "false", NULL };
    GuestSetting *setting = find(settings, name);
    g_autofree char *lower = setting ? g_ascii_strdown(setting->value, -1)
                                     : NULL;

    if (!lower || (!g_strv_contains(yes, lower) &&
                   !g_strv_contains(no, lower))) {
        return false;
    }
    setting->taken = true;
    *value = g_strv_contains(yes, lower);
    return true;
}

bool guest_settings_take_number(GuestSettings *settings, const char *name,
                                uint64_t min, uint64_t max, uint64_t *value)
{
    GuestSetting *setting = find(settings, name);

    if (!setting || !g_ascii_string_to_unsigned(setting->value, 10, min, max,
                                                value, NULL)) {
        return false;
    }
    setting->taken = true;
    return true;
}

const char *guest_settings_take_word(GuestSettings *settings, const char *name,
                                     const char *const *words)
{
    GuestSetting *setting = find(settings, name);

    for (; setting && *words; words++) {
        if (g_str_equal(setting->value, *words)) {
            setting->taken = true;
            return *words;
        }
    }
    return NULL;
}

const char *guest_settings_take_valid(GuestSettings *settings,
                                      const char *name, GuestValidFunc *valid)
{
    GuestSetting *setting = find(settings, name);

    if (!setting || !valid(setting->value)) {
        return NULL;
    }
    setting->taken = true;
    return setting->value;
}

char *guest_settings_rest(const GuestSettings *settings)
{
    g_autoptr(GString) rest = g_string_new(NULL);

    for (guint i = 0; i < settings->list->len; i++) {
        const GuestSetting *setting = g_ptr_array_index(settings->list, i);

        if (!setting->taken) {
            g_string_append_printf(rest, "%s%s%s%s", rest->len > 0 ? "," : "",
                                   setting->name, *setting->name ? "=" : "",
                                   setting->value);
        }
    }
    return rest->len > 0 ? g_strdup(rest->str) : NULL;
}

bool guest_text_is_valid(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL)) {
        return false;
    }
    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);

        /* The last two are no characters of XML. */
        if (g_unichar_iscntrl(c) || c == 0xfffe || c == 0xffff) {
            return false;
        }
    }
    return true;
}

bool guest_text_is_plain(const char *text, size_t max, const char *others)
{
    size_t bytes = strnlen(text, max + 1);

    if (bytes == 0 || bytes > max) {
        return false;
    }
    for (; *text; text++) {
        if (!g_ascii_isalnum(*text) && !strchr(others, *text)) {
            return false;
        }
    }
    return true;
}

bool guest_text_is_uuid(const char *text)
{
    return g_uuid_string_is_valid(text);
}

char *guest_text_decode(const char *text)
{
    g_autofree char *decoded = g_uri_unescape_string(text, NULL);

    return decoded && *decoded && guest_text_is_valid(decoded)
           ? g_steal_pointer(&decoded) : NULL;
}
